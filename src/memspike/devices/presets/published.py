"""Published parameter sets of devices: values, not classes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from jaxtyping import PRNGKeyArray

from memspike.devices.base import AbstractDevice, AbstractPulseDevice
from memspike.devices.constant_step import ConstantStep
from memspike.devices.exp_step import ExpStep
from memspike.devices.linear_step import LinearStep
from memspike.devices.log_step import LogStep
from memspike.devices.metastable_switch import MetastableSwitch
from memspike.devices.pcm import PCM
from memspike.devices.pcm_joshi import Cubic, Logarithmic, PCMJoshi, Switched
from memspike.devices.piecewise_step import PiecewiseStep
from memspike.devices.power_step import PowerStep
from memspike.devices.presets import aihwkit, neurosim
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.tabular import Tabular
from memspike.devices.variation.fabricate import AbstractSpread, fabricate
from memspike.parts.registry import DEVICES

HERMES = (
    "Le Gallo et al., Nat. Electron. 6: 680 (2023), doi 10.1038/s41928-023-01010-1; constants as in aihwkit's "
    "HermesNoiseModel"
)


def mif_pair() -> MetastableSwitch:
    """The volatile memristor of the published MIF neuron: 1 kΩ / 100 kΩ, on at 110 mV, off below 5 mV, 1 ms."""
    return MetastableSwitch()


def knowm() -> MetastableSwitch:
    """Knowm's default mean metastable switch: 500 Ω / 1.5 kΩ, ±270 mV, 0.1 ms, thermal voltage at 298.5 K."""
    return MetastableSwitch(r_on=500.0, r_off=1500.0, v_on=0.27, v_off=-0.27, v_scale=25.7227e-3, tau=1e-4)


def ideal() -> ConstantStep:
    """The ideal device of NeuroSim: 64 equal steps from 0.1 to 5 µS."""
    return ConstantStep()


def pcm() -> PCM:
    """Partial-SET phase-change memory of the e-prop study: history, drift, read noise, RESET; up to 12 µS."""
    return PCM()


def pcm_wide() -> PCM:
    """The same device with G_max = 20 µS, which replicates the measured cumulative curve of its source."""
    return PCM(g_max=20e-6)


def pcm_joshi() -> PCMJoshi:
    """Write–verified phase-change memory: programming error, scattered drift, 1/f noise; up to 25 µS."""
    return PCMJoshi()


def hermes() -> PCMJoshi:
    """The phase-change memory of the HERMES chip, one device a weight side; up to 10.35 µS."""
    return PCMJoshi(
        g_max=10.35e-6,
        t_c=200.0,
        t_read=512e-9,
        error=Cubic(0.1578, 2.3244, -2.1631, 0.6884),
        nu_mean=Switched(Logarithmic(-0.0387, -0.0182, 0.072, 0.13), Cubic(0.0736, -0.0126, -0.0436), 0.0945),
        nu_sd=Switched(Logarithmic(-0.0120, -0.0023, 0.0124, 0.04), Cubic(0.0104, 0.0116, -0.0165), 0.3039),
        noise=Switched(Logarithmic(-0.0078, 0.0038, 0.0179, 0.04), Cubic(0.0088, 0.0768, -0.1352, 0.0664), 0.1591),
    )


def hermes_two_devices() -> PCMJoshi:
    """The same with two devices a weight side in parallel; up to 20.7 µS, less drift variability."""
    return PCMJoshi(
        g_max=20.7e-6,
        t_c=300.0,
        t_read=512e-9,
        error=Cubic(0.1660, 4.7181, -8.4810, 4.6896),
        nu_mean=Switched(Logarithmic(-0.0387, -0.0182, 0.072, 0.13), Cubic(0.0736, -0.0126, -0.0436), 0.0945),
        nu_sd=Switched(Logarithmic(-0.0117, -0.0057, 0.0091, 0.04), Cubic(0.0073, 0.0093, -0.0118), 0.3055),
        noise=Switched(Logarithmic(-0.0117, -0.0069, 0.015, 0.04), Cubic(0.0123, 0.0211, -0.0280, 0.0069), 0.16),
    )


def _add(name: str, make: Callable[[], AbstractDevice], source: str, doc: str | None = None) -> None:
    DEVICES.add(name, make, (doc or make.__doc__ or "").strip().split("\n")[0].rstrip("."), source)


for _name, _preset, _source in (
    ("mif-pair", mif_pair, MetastableSwitch.source),
    ("knowm", knowm, MetastableSwitch.source),
    ("ideal", ideal, neurosim.SOURCE),
    ("pcm", pcm, PCM.source),
    ("pcm-wide", pcm_wide, PCM.source),
    ("pcm-joshi", pcm_joshi, PCMJoshi.source),
    ("hermes", hermes, HERMES),
    ("hermes-two-devices", hermes_two_devices, HERMES),
):
    _add(_name, _preset, _source)

for _name, _law in (
    ("soft-bounds", SoftBounds),
    ("linear-step", LinearStep),
    ("exp-step", ExpStep),
    ("power-step", PowerStep),
    ("log-step", LogStep),
    ("piecewise-step", PiecewiseStep),
    ("tabular", Tabular),
):
    _add(_name, _law, _law.source, f"the law {_law.__name__} with example values, not a measured device")


def _nominal(read: Callable[[str], neurosim.Imported], name: str) -> AbstractPulseDevice:
    return read(name).device


for _name, _row in neurosim.TABLE.items():
    _add(_name, partial(_nominal, neurosim.from_table, _name), neurosim.SOURCE, _row.doc)
for _name, (_doc, _) in aihwkit.PRESETS.items():
    _add(_name, partial(_nominal, aihwkit.from_preset, _name), aihwkit.SOURCE, _doc)


def spread_of(name: str) -> dict[str, AbstractSpread]:
    """The published device-to-device spread of a preset, by parameter path; empty where none is known."""
    if name in neurosim.TABLE:
        return neurosim.from_table(name).spread
    if name in aihwkit.PRESETS:
        return aihwkit.from_preset(name).spread
    return {}


def chip_of(name: str, shape: tuple[int, ...], *, key: PRNGKeyArray) -> Any:
    """`shape` devices of a registered name as one chip has them: with its published device-to-device spread."""
    return fabricate(DEVICES.get(name).value(), spread_of(name), shape=shape, key=key)
