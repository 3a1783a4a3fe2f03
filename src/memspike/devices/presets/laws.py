"""Laws whose own defaults are a parameter set: of their source, or, for the step laws, an example."""

from memspike.devices.diffusive import Diffusive
from memspike.devices.exp_step import ExpStep
from memspike.devices.linear_ion_drift import LinearIonDrift
from memspike.devices.linear_step import LinearStep
from memspike.devices.log_step import LogStep
from memspike.devices.piecewise_step import PiecewiseStep
from memspike.devices.power_step import PowerStep
from memspike.devices.presets.preset import preset
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.stanford_pku import StanfordPKU
from memspike.devices.tabular import Tabular
from memspike.devices.thermal_nbo2 import ThermalNbO2
from memspike.devices.threshold_switch import ThresholdSwitch
from memspike.devices.vo2 import VO2
from memspike.devices.yakopcic import Yakopcic

EXAMPLES = {
    "soft-bounds": SoftBounds,
    "linear-step": LinearStep,
    "exp-step": ExpStep,
    "power-step": PowerStep,
    "log-step": LogStep,
    "piecewise-step": PiecewiseStep,
    "tabular": Tabular,
}

for _name, _law in EXAMPLES.items():
    preset(_name, _law.source, f"the law {_law.__name__} with example values, not a measured device")(_law)

for _name, _law, _doc in (
    (
        "yakopcic",
        Yakopcic,
        "Yakopcic's generalised device with the parameters of its first publication: thresholds 0.16 and 0.15 V",
    ),
    (
        "stanford-pku",
        StanfordPKU,
        "Filamentary oxide RRAM, Stanford–PKU version 1: gap of 0.2 to 1.7 nm, set and reset near 1.3 V",
    ),
    ("linear-ion-drift", LinearIonDrift, "The HP memristor: 100 Ω / 16 kΩ, 10 nm, with Biolek's window"),
    (
        "threshold-switch",
        ThresholdSwitch,
        "A smooth volatile switch: on at 110 mV, off at 20 mV, 10 µs (a reconstruction)",
    ),
    (
        "nbo2",
        ThermalNbO2,
        "A niobium dioxide threshold switch: Poole–Frenkel and Joule heat (parameters not confirmed by a source)",
    ),
    ("diffusive", Diffusive, "A silver diffusive memristor: 17 kΩ / 10 GΩ, forgets within 20 ms and, in part, 2.4 s"),
    ("vo2", VO2, "A vanadium dioxide thermal neuristor at 325 K: hysteresis of 7.2 K around 332.8 K"),
):
    preset(_name, _law.source, _doc)(_law)
