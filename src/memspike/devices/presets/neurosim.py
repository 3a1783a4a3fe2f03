"""Devices as papers quote them for NeuroSim: the table of its manual, and any parameter set as a dictionary."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from memspike.devices.step import ConstantStep, SoftBounds
from memspike.devices.variation.fabricate import AbstractSpread, OfLabel
from memspike.devices.variation.wrappers import CycleToCycle
from memspike.parts.errors import InputError, unknown
from memspike.parts.registry import DEVICES

SOURCE = (
    "NeuroSim user manual V3.0, benchmark tables: Chen, Peng & Yu, IEEE TCAD 37(12): 3067 (2018), "
    "doi 10.1109/TCAD.2018.2789723"
)


class WritePulse(NamedTuple):
    """The voltage (V) and width (s) of the pulses; None where the source does not say."""

    v_up: float | None = None
    width_up: float | None = None
    v_down: float | None = None
    width_down: float | None = None


class Imported(NamedTuple):
    """A device from another tool: the nominal (pulse) device, its device-to-device spread, its pulses, and notes.

    `fabricate(imported.device, imported.spread, shape=…, key=…)` makes a chip of it.
    """

    device: Any
    spread: dict[str, AbstractSpread]
    pulse: WritePulse = WritePulse()
    notes: tuple[str, ...] = ()


# our name → what parameter sets call it
SPELLINGS = {
    "g_max": ("gmax", "maxconductance"),
    "g_min": ("gmin", "minconductance"),
    "r_on": ("ron",),
    "on_off": ("onoff", "onoffratio", "ratio"),
    "levels_up": ("maxnumlevelltp", "levelsltp", "levelsup", "pltp", "levels", "numlevel", "maxnumlevel"),
    "levels_down": ("maxnumlevelltd", "levelsltd", "levelsdown", "pltd"),
    "nl_up": ("nlltp", "nlup"),
    "nl_down": ("nlltd", "nldown"),
    "c2c": ("sigmactoc", "c2c", "sigmac2c", "ctoc"),
    "d2d": ("sigmadtod", "d2d", "sigmad2d", "dtod"),
    "v_up": ("writevoltageltp", "vup", "vltp"),
    "v_down": ("writevoltageltd", "vdown", "vltd"),
    "width_up": ("writepulsewidthltp", "widthup", "tltp"),
    "width_down": ("writepulsewidthltd", "widthdown", "tltd"),
}


def _named(parameters: Mapping[str, Any]) -> dict[str, float]:
    known = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
    found: dict[str, float] = {}
    for key, value in parameters.items():
        plain = key.replace("_", "").replace("-", "").lower()
        if plain not in known:
            raise unknown("NeuroSim parameter", key, [s for spellings in SPELLINGS.values() for s in spellings])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputError(f"The NeuroSim parameter {key} is {value!r}; a number is needed.")
        found[known[plain]] = float(value)
    return found


def from_neurosim(parameters: Mapping[str, Any]) -> Imported:
    """The device of a NeuroSim parameter set.

    Needed: the range (Gmax, Gmin in S, or R_on in Ω with the on/off ratio), the levels (one number or LTP and
    LTD), NL_LTP and NL_LTD. Optional: sigmaCtoC (share of the range), sigmaDtoD (label units), write voltages
    (V) and pulse widths (s). Case and underscores do not matter. InputError for what is missing or unknown.
    """
    p = _named(parameters)
    if "r_on" in p and "g_max" not in p:
        p["g_max"] = 1 / p["r_on"]
    if "on_off" in p and "g_min" not in p and "g_max" in p:
        p["g_min"] = p["g_max"] / p["on_off"]
    p.setdefault("levels_down", p.get("levels_up", 0.0))
    missing = [SPELLINGS[k][0] for k in ("g_max", "g_min", "levels_up", "nl_up", "nl_down") if k not in p]
    if missing:
        raise InputError(f"The NeuroSim parameter set lacks {', '.join(missing)}.")
    law = SoftBounds.from_labels(
        p["nl_up"],
        p["nl_down"],
        g_min=p["g_min"],
        g_max=p["g_max"],
        pulses_up=p["levels_up"],
        pulses_down=p["levels_down"],
    )
    spread: dict[str, AbstractSpread] = {}
    if p.get("d2d"):
        spread = {f"device.curvature_{side}": OfLabel(p["d2d"]) for side in ("up", "down")}
    pulse = WritePulse(p.get("v_up"), p.get("width_up"), p.get("v_down"), p.get("width_down"))
    return Imported(CycleToCycle(law, up=p.get("c2c", 0.0), down=p.get("c2c", 0.0)), spread, pulse)


class Row(NamedTuple):
    """One row of the benchmark tables."""

    doc: str
    levels: tuple[int, int]
    labels: tuple[float, float]
    r_on: float
    on_off: float
    c2c: float
    pulse: WritePulse


TABLE = {
    "ag-a-si": Row(
        "Ag:a-Si (Jo 2010): strongly asymmetric", (97, 100), (2.4, -4.88), 26e6, 12.5, 0.035,
        WritePulse(3.2, 300e-6, -2.8, 300e-6),
    ),
    "taox-tio2": Row(
        "TaOx/TiO2: on/off ratio 2; cycle-to-cycle at its upper limit of 1 %",
        (102, 102), (1.85, -1.79), 5e6, 2.0, 0.01, WritePulse(3.0, 40e-3, -3.0, 10e-3),
    ),
    "taox-hfox": Row(
        "TaOx/HfOx (Wu, VLSI 2018): nearly linear upwards", (128, 128), (0.04, -0.63), 100e3, 10.0, 0.037,
        WritePulse(1.6, 50e-9, 1.6, 50e-9),
    ),
    "pcmo": Row(
        "PCMO (Park, IEDM 2013): the most asymmetric; inverted polarity; cycle-to-cycle at its upper limit of 1 %",
        (50, 50), (3.68, -6.76), 23e6, 6.84, 0.01, WritePulse(-2.0, 1e-3, 2.0, 1e-3),
    ),
    "alox-hfo2": Row(
        "AlOx/HfO2 (Woo, EDL 2016)", (40, 40), (1.94, -0.61), 16.9e3, 4.43, 0.05,
        WritePulse(0.9, 100e-6, -1.0, 100e-6),
    ),
    "gst-pcm": Row(
        "GST phase-change memory (Kuzum 2011): depression retraces potentiation, symmetry point repels",
        (100, 120), (0.105, 2.4), 4.71e3, 19.8, 0.015, WritePulse(0.7, 6e-6, 3.0, 125e-9),
    ),
    "epiram": Row(
        "EpiRAM Ag:SiGe (Choi 2018): nearly linear, symmetric", (64, 64), (0.5, -0.5), 81e3, 50.2, 0.02,
        WritePulse(5.0, 5e-6, -3.0, 5e-6),
    ),
    "hzo-fefet": Row(
        "HZO FeFET (Jerry 2017): symmetric nonlinearity; cycle-to-cycle at its upper limit of 0.5 %",
        (32, 32), (1.75, 1.46), 559.28e3, 45.0, 0.005, WritePulse(3.65, 75e-9, -2.95, 75e-9),
    ),
}  # fmt: skip


def from_table(name: str) -> Imported:
    """A device of the benchmark tables by its name here, e.g. "ag-a-si"."""
    if name not in TABLE:
        raise unknown("device of the NeuroSim tables", name, TABLE)
    row = TABLE[name]
    imported = from_neurosim(
        {
            "R_on": row.r_on,
            "on_off": row.on_off,
            "maxNumLevelLTP": row.levels[0],
            "maxNumLevelLTD": row.levels[1],
            "NL_LTP": row.labels[0],
            "NL_LTD": row.labels[1],
            "sigmaCtoC": row.c2c,
        }
    )
    return imported._replace(pulse=row.pulse)


def nominal(name: str) -> CycleToCycle:
    """The nominal device of a row of the benchmark tables."""
    return from_table(name).device


DEVICES.add("ideal", ConstantStep, "The ideal device of NeuroSim: 64 equal steps from 0.1 to 5 µS", SOURCE)
for _name, _row in TABLE.items():
    DEVICES.add(_name, partial(nominal, _name), _row.doc, SOURCE)
