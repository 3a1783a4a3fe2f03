"""Devices of aihwkit: its presets and any parameter dictionary, as devices in siemens.

aihwkit counts in weight units. Here w_min … w_max is mapped onto a conductance range that the caller chooses, so steps
become shares of the range. The source gives none: by default it is 9 µS wide and begins at 1 µS, or higher where the
published spread of w_min would otherwise put cells below 0 S. What is translated to first order or not at all is in the
notes of the import.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from memspike.devices.base import AbstractPulseDevice
from memspike.devices.presets.neurosim import Imported
from memspike.devices.step import ConstantStep, ExpStep, LinearStep, PowerStep
from memspike.devices.variation.fabricate import Absolute, AbstractSpread, LogNormal, Relative
from memspike.devices.variation.wrappers import CycleToCycle, WriteNoise
from memspike.parts.errors import InputError, unknown
from memspike.parts.registry import DEVICES

SOURCE = "aihwkit: Rasch et al., arXiv 2104.02184 (2021)"

# what aihwkit assumes where a parameter set says nothing
DEFAULTS: dict[str, Any] = {
    "dw_min": 0.001, "up_down": 0.0, "w_max": 0.6, "w_min": -0.6, "dw_min_std": 0.3, "write_noise_std": 0.0,
    "dw_min_dtod": 0.3, "up_down_dtod": 0.01, "w_max_dtod": 0.3, "w_min_dtod": 0.3, "mult_noise": True,
    "gamma_up": 0.0, "gamma_down": 0.0, "gamma_up_dtod": 0.05, "gamma_down_dtod": 0.05,
    "A_up": 0.00081, "A_down": 0.36833, "a": 0.244, "b": 0.2425, "dw_min_std_add": 0.0, "dw_min_std_slope": 0.0,
    "pow_gamma": 1.0, "pow_gamma_dtod": 0.1, "pow_up_down": 0.0, "dw_min_dtod_log_normal": False,
}  # fmt: skip
# read by aihwkit, without a meaning for a device in siemens
IGNORED = {
    "enforce_consistency", "mean_bound_reference", "construction_seed", "subtract_symmetry_point", "reference_std",
    "corrupt_devices_prob", "corrupt_devices_range", "lifetime", "lifetime_dtod", "reset", "reset_dtod", "reset_std",
    "diffusion", "diffusion_dtod", "perfect_bias", "mean_count", "apply_write_noise_on_set", "pow_up_down_dtod",
}  # fmt: skip


# spreads of the slopes; those of step size, balance and bounds are translated
WITHOUT_SPREAD = {"gamma_up_dtod", "gamma_down_dtod", "pow_gamma_dtod"}

# S: where the range begins and how wide it is, unless the caller says so
LOWEST, WIDTH = 1e-6, 9e-6
# so many s.d. of G_min above 0 S, 3 cells in 100,000 are below
CLEARANCE = 4.0


class _Units(NamedTuple):
    """The map of weight units onto siemens."""

    w_min: float
    w_max: float
    g_min: float
    g_max: float

    @property
    def range(self) -> float:
        return self.w_max - self.w_min

    @property
    def siemens(self) -> float:
        """S per weight unit."""
        return (self.g_max - self.g_min) / self.range


def _both(base: float, up_down: float) -> tuple[float, float]:
    """A step or power upwards and downwards: `up_down` makes the weaker direction smaller, the other stays."""
    return base * (1 + min(up_down, 0.0)), base * (1 - max(up_down, 0.0))


def _steps(p: Mapping[str, Any], u: _Units) -> dict[str, float]:
    up, down = _both(p["dw_min"], p["up_down"])
    return {"step_up": up / u.range, "step_down": down / u.range}


def _linear_step(p: Mapping[str, Any], u: _Units) -> dict[str, float]:
    """Δw = s(1 − γ·w/w_max) upwards and −s(1 − γ·w/w_min) downwards, on the share of the range."""
    middle, gamma_up, gamma_down = 0.5 * (u.w_max + u.w_min), p["gamma_up"], p["gamma_down"]
    up, down = _both(p["dw_min"], p["up_down"])
    at_up, at_down = 1 - gamma_up * middle / u.w_max, 1 - gamma_down * middle / u.w_min
    return {
        "step_up": up * at_up / u.range,
        "step_down": down * at_down / u.range,
        "slope_up": -gamma_up * 0.5 * u.range / u.w_max / at_up,
        "slope_down": -gamma_down * 0.5 * u.range / u.w_min / at_down,
    }


def _soft_bounds(p: Mapping[str, Any], u: _Units) -> dict[str, float]:
    return _linear_step({**p, "gamma_up": 1.0, "gamma_down": 1.0}, u)


def _constant_step(p: Mapping[str, Any], u: _Units) -> dict[str, float]:
    up, down = _both(p["dw_min"], p["up_down"])
    return {"pulses_up": u.range / up, "pulses_down": u.range / down}


def _exp_step(p: Mapping[str, Any], u: _Units) -> dict[str, float]:
    offset = p["b"] + p["a"] * 2 * (0.5 * (u.w_max + u.w_min)) / u.range
    amplitudes = {"amplitude_up": p["A_up"], "amplitude_down": p["A_down"]}
    gammas = {"gamma_up": p["gamma_up"], "gamma_down": p["gamma_down"]}
    return {**_steps(p, u), **amplitudes, **gammas, "scale": p["a"], "offset": offset}


def _power_step(p: Mapping[str, Any], u: _Units) -> dict[str, float]:
    up, down = _both(p["pow_gamma"], p["pow_up_down"])
    return {**_steps(p, u), "power_up": up, "power_down": down}


# the law here, and its fields from the parameters there
LAWS: dict[str, tuple[Any, Callable[[Mapping[str, Any], _Units], dict[str, float]]]] = {
    "ConstantStep": (ConstantStep, _constant_step),
    "LinearStep": (LinearStep, _linear_step),
    "SoftBounds": (LinearStep, _soft_bounds),
    "SoftBoundsReference": (LinearStep, _soft_bounds),
    "ExpStep": (ExpStep, _exp_step),
    "PowStep": (PowerStep, _power_step),
}


def _noise(law: str, p: Mapping[str, Any], u: _Units, device: AbstractPulseDevice) -> AbstractPulseDevice:
    """Cycle-to-cycle noise and write noise around the law."""
    std = p["dw_min_std"]
    relative = p["mult_noise"] or law in ("ExpStep", "PowStep", "ConstantStep")
    fixed = std * p["dw_min_std_add"] if relative else std * p["dw_min"]
    device = CycleToCycle(
        device,
        up=fixed / u.range,
        down=fixed / u.range,
        proportional=std * p["dw_min_std_slope"],
        relative=std if relative else 0.0,
    )
    if p["write_noise_std"]:
        device = WriteNoise(device, level=p["write_noise_std"] * p["dw_min"] / u.range)
    return device


def _spread(law: str, p: Mapping[str, Any], u: _Units, prefix: str) -> dict[str, AbstractSpread]:
    """Device-to-device variation of the step size (both directions alike), its balance (oppositely) and the bounds."""
    names = ("pulses_up", "pulses_down") if law == "ConstantStep" else ("step_up", "step_down")
    common = LogNormal(p["dw_min_dtod"]) if p["dw_min_dtod_log_normal"] else Relative(p["dw_min_dtod"])
    if law == "ConstantStep":
        common = LogNormal(p["dw_min_dtod"])  # of the pulse counts, i.e. of the inverse step
    balance = LogNormal(p["up_down_dtod"]) if law == "ConstantStep" else Relative(p["up_down_dtod"])
    wanted: dict[str, AbstractSpread] = {
        " ".join(prefix + n for n in names): common,
        f"{prefix}{names[0]} {prefix}{names[1]}-": balance,
        prefix + "g_max": Absolute(p["w_max_dtod"] * abs(u.w_max) * u.siemens),
        prefix + "g_min": Absolute(_sd_of_g_min(p, u)),
    }
    return {k: s for k, s in wanted.items() if getattr(s, "sd", 0.0) > 0}


def _sd_of_g_min(p: Mapping[str, Any], u: _Units) -> float:
    return p["w_min_dtod"] * abs(u.w_min) * u.siemens


def _units(p: Mapping[str, Any], g_min: float | None, g_max: float | None) -> _Units:
    """The range that was given; of the default width, and with all cells above 0 S, where it was not."""
    low = LOWEST if g_min is None else g_min
    u = _Units(float(p["w_min"]), float(p["w_max"]), low, low + WIDTH if g_max is None else g_max)
    if g_min is None and g_max is None:
        low = max(low, CLEARANCE * _sd_of_g_min(p, u))
    return u._replace(g_min=low, g_max=low + WIDTH if g_max is None else g_max)


def _truncated(p: Mapping[str, Any], u: _Units) -> list[str]:
    """A note where the spread of w_min puts more than one cell in a thousand below 0 S."""
    sd = _sd_of_g_min(p, u)
    share = 0.5 * math.erfc(u.g_min / (sd * math.sqrt(2))) if sd else 0.0
    if share <= 1e-3:
        return []
    return [
        f"the spread of w_min ({sd:.3g} S) puts {share:.0%} of the cells below 0 S, where they are cut off; "
        f"a range that begins at {CLEARANCE * sd:.3g} S avoids it"
    ]


def from_aihwkit(parameters: Mapping[str, Any], *, g_min: float | None = None, g_max: float | None = None) -> Imported:
    """The device of an aihwkit parameter set, with w_min … w_max mapped onto `g_min` … `g_max` S.

    Without a range: 9 µS from 1 µS on, or from four s.d. of G_min on where that is higher, so that the published spread
    of w_min is not cut off at 0 S. With a range that cuts it off, the notes say so.
    `parameters["device"]` names the law (ConstantStep, LinearStep, SoftBounds, SoftBoundsReference, ExpStep, PowStep,
    with or without the suffix Device); the other keys are its fields, with aihwkit's defaults where left out.
    InputError for an unknown law or key and for a range that is empty.
    """
    given = dict(parameters)
    law = str(given.pop("device", "")).removesuffix("Device")
    if law not in LAWS:
        raise unknown("aihwkit device", law, LAWS)
    for key, value in given.items():
        if key not in DEFAULTS and key not in IGNORED:
            raise unknown("aihwkit parameter", key, [*DEFAULTS, *IGNORED])
        if not isinstance(value, bool | int | float):
            raise InputError(f"The aihwkit parameter {key} is {value!r}; a number is needed.")
    own = {"gamma_up": 12.44625, "gamma_down": 12.78785} if law == "ExpStep" else {}
    p = DEFAULTS | own | {k: v for k, v in given.items() if k in DEFAULTS}
    if not p["w_min"] < p["w_max"]:
        raise InputError(f"The weight range is reversed or empty: w_min is {p['w_min']} and w_max is {p['w_max']}.")
    u = _units(p, g_min, g_max)
    make, fields = LAWS[law]
    device = _noise(law, p, u, make(g_min=u.g_min, g_max=u.g_max, **fields(p, u)))
    prefix = "device.device." if isinstance(device, WriteNoise) else "device."
    notes = ["spread of the bounds scales the step with the range of the device", *_truncated(p, u)]
    notes += [f"{key} is not translated" for key in sorted(set(given) & (IGNORED | WITHOUT_SPREAD))]
    return Imported(device, _spread(law, p, u, prefix), notes=tuple(notes))


PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "reram-es": (
        "HfO2 ReRAM with exponential steps (Gong 2018)",
        {
            "device": "ExpStep", "dw_min": 0.00135, "up_down": 0.259359, "w_max": 1.0, "w_min": -1.0, "a": -0.5,
            "b": -0.5, "gamma_up": 5.0, "gamma_down": 5.0, "A_up": -1.18445, "A_down": -0.081404, "dw_min_dtod": 0.2,
            "up_down_dtod": 0.05, "w_max_dtod": 0.3, "w_min_dtod": 0.3, "dw_min_std": 5.0, "write_noise_std": 75.0,
        },
    ),
    "reram-sb": (
        "HfO2 ReRAM with soft bounds, shifted to its symmetry point (Gong 2018)",
        {
            "device": "SoftBoundsReference", "dw_min": 0.002, "w_max": 1.25, "w_min": -0.75, "mult_noise": False,
            "dw_min_dtod": 0.3, "up_down_dtod": 0.01, "w_max_dtod": 0.24, "w_min_dtod": 0.4, "dw_min_std": 3.75,
            "write_noise_std": 56.0,
        },
    ),
    "reram-array-om": (
        "ReRAM array, optimised material (Gong & Rasch 2022): few, coarse steps",
        {
            "device": "SoftBoundsReference", "dw_min": 0.0949, "w_max": 1.0, "w_min": -1.0, "mult_noise": False,
            "dw_min_dtod": 0.7829, "dw_min_dtod_log_normal": True, "w_max_dtod": 0.3499, "w_min_dtod": 0.5695,
            "dw_min_std": 0.4158, "write_noise_std": 1.4113,
        },
    ),
    "reram-array-hfo2": (
        "ReRAM array, baseline HfO2 (Gong & Rasch 2022): a handful of steps",
        {
            "device": "SoftBoundsReference", "dw_min": 0.4622, "w_max": 1.0, "w_min": -1.0, "mult_noise": False,
            "dw_min_dtod": 0.7125, "dw_min_dtod_log_normal": True, "w_max_dtod": 0.4295, "w_min_dtod": 0.599,
            "dw_min_std": 0.2174, "write_noise_std": 0.5841,
        },
    ),
    "capacitor": (
        "capacitor cell with linear steps (Li 2018); its leak is not included",
        {
            "device": "LinearStep", "dw_min": 0.005, "w_max": 1.0, "w_min": -1.0, "mult_noise": False, "gamma_up": 0.05,
            "gamma_down": 0.05, "dw_min_dtod": 0.1, "up_down_dtod": 0.06, "w_max_dtod": 0.07, "w_min_dtod": 0.07,
            "gamma_up_dtod": 0.01, "gamma_down_dtod": 0.01, "dw_min_std": 0.3,
        },
    ),
    "ecram": (
        "lithium ECRAM with linear steps (Tang 2018), shifted to its symmetry point",
        {
            "device": "LinearStep", "dw_min": 0.002, "w_max": 1.1724, "w_min": -0.8276, "mult_noise": True,
            "gamma_up": 0.1153, "gamma_down": 0.5085, "dw_min_dtod": 0.1, "w_max_dtod": 0.05, "w_min_dtod": 0.05,
            "dw_min_std": 0.3,
        },
    ),
    "ecram-mo": (
        "metal-oxide ECRAM with linear steps (Kim 2019), shifted to its symmetry point",
        {
            "device": "LinearStep", "dw_min": 2.8214e-4, "w_max": 1.1714, "w_min": -0.8286, "mult_noise": True,
            "gamma_up": 0.4152, "gamma_down": 0.7342, "dw_min_dtod": 0.1, "w_max_dtod": 0.05, "w_min_dtod": 0.05,
            "dw_min_std": 2.0,
        },
    ),
    "pcm-exp-step": (
        "phase-change memory as a one-sided exponential-step device (Nandakumar 2020): potentiation only in use",
        {
            "device": "ExpStep", "dw_min": 0.01, "w_max": 2.0, "w_min": 0.0, "a": -1.0, "b": 0.0, "gamma_up": 2.5,
            "gamma_down": 2.5, "A_up": -27.235, "A_down": -2.235, "dw_min_dtod": 0.2, "up_down_dtod": 0.05,
            "w_max_dtod": 0.1, "w_min_dtod": 0.0, "dw_min_std": 0.6, "dw_min_std_add": 0.042, "dw_min_std_slope": 0.108,
        },
    ),
    "gokmen-vlasov": (
        "the 1200-step device of the RPU specification (Gokmen & Vlasov 2016)",
        {"device": "ConstantStep", "dw_min": 0.0016, "w_max": 1.0, "w_min": -1.0, "dw_min_std": 0.3},
    ),
    "idealized": (
        "a symmetric device with 10,000 steps",
        {
            "device": "ConstantStep", "dw_min": 0.0002, "w_max": 1.0, "w_min": -1.0, "dw_min_std": 0.3,
            "up_down_dtod": 0.0,
        },
    ),
}  # fmt: skip
# S per weight unit is known for one preset only: 1 unit = 7.4 µS reproduces the measured cumulative curve
RANGES = {"pcm-exp-step": (0.0, 14.8e-6)}


def from_preset(name: str) -> Imported:
    """A preset device of aihwkit by its name here, e.g. "reram-es"."""
    if name not in PRESETS:
        raise unknown("preset of aihwkit", name, PRESETS)
    low, high = RANGES.get(name, (None, None))
    return from_aihwkit(PRESETS[name][1], g_min=low, g_max=high)


def nominal(name: str) -> AbstractPulseDevice:
    """The nominal device of a preset."""
    return from_preset(name).device


for _name, (_doc, _) in PRESETS.items():
    DEVICES.add(_name, partial(nominal, _name), _doc, SOURCE)
