"""The one table from the classes of state devices to the equations that netlists of them hold.

A law is written once, in the language of `expressions`, and becomes a subcircuit, a Verilog-A module and numbers. Every
state is the voltage of a capacitor: `capacitor`·dx/dt = `drive`, with x the state over its `scale`, so that voltages
are of the order of one. Names in a law are the parameters of the device, its states, the device voltage `v`, what the
law defines itself, in order, and constants.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from memspike.devices.base import AbstractStateDevice
from memspike.devices.memristors import (
    VTEAM,
    AbstractWindow,
    Biolek,
    Joglekar,
    LinearIonDrift,
    NoWindow,
    Prodromakis,
    StanfordPKU,
    Yakopcic,
    exponential_resistance,
    linear_resistance,
)
from memspike.devices.metastable import MetastableSwitch
from memspike.devices.volatile import (
    BOLTZMANN,
    SMALLEST_PROXIMITY,
    VO2,
    Diffusive,
    ThermalNbO2,
    ThresholdSwitch,
    VO2State,
)
from memspike.interop.spice.expressions import evaluated
from memspike.parts.errors import InputError
from memspike.parts.param import own_parameters

# how much stronger than a usual drive a bound pushes back, per unit of state beyond it
WALL = 1e4


class State(NamedTuple):
    """One state: capacitor·d(name/scale)/dt = drive. `ends` are where it stops, `wall` what stops it there."""

    name: str
    drive: str
    capacitor: str
    scale: str = "1"
    ends: tuple[str, str] | None = None
    wall: float = 0.0


class Law(NamedTuple):
    """States, what is defined on the way, and the current in A of a device; `word` names it in netlists.

    `start` gives the states of a device, in their units, from those of the library. Each of the `shared` definitions is
    the voltage of a node of its own, so that it is computed once. The first `compared` states mean the same in the
    library at every moment.
    """

    word: str
    states: tuple[State, ...]
    current: str
    lets: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, float], ...] = ()
    start: Callable[[Any, Any], tuple[Any, ...]] = lambda device, state: (state,)
    shared: tuple[str, ...] = ()
    compared: int | None = None


WINDOWS: dict[type[AbstractWindow], str] = {
    NoWindow: "1",
    Joglekar: "1 - power(max(1 - 2*{d}, 0)*max(1 - 2*{d}, 0), window_p)",
    Biolek: "1 - power((1 - {d})*(1 - {d}), window_p)",
    Prodromakis: "window_j*(1 - power(max(0.5 - {d}, 0)*max(0.5 - {d}, 0) + 0.75, window_p))",
}
RESISTANCES: dict[Callable, str] = {
    linear_resistance: "x*r_on + (1 - x)*r_off",
    exponential_resistance: "r_off*exp(x*log(r_on/r_off))",
}
ENDS = ("0", "1")


def _metastable(device: MetastableSwitch) -> Law:
    return Law(
        "metastable_switch",
        (State("x", "up*(1 - x) - down*x", "tau"),),
        "(1/r_off + x*(1/r_on - 1/r_off))*v",
        (("up", "logistic((v - v_on)/v_scale)"), ("down", "logistic((v_off - v)/v_scale)")),
    )


def _threshold(device: ThresholdSwitch) -> Law:
    return Law(
        "threshold_switch",
        (State("x", "logistic((v - switching)/v_scale) - x", "tau"),),
        "(x/r_on + (1 - x)/r_off)*v",
        (("switching", "v_th - (v_th - v_hold)*x"),),
    )


def _diffusive(device: Diffusive) -> Law:
    return Law(
        "diffusive",
        (
            State("f", "max(growth, 0)*edge(left, edge_width) + min(growth, 0)", "1"),
            State("r", "beta*f - gamma_2*r", "1"),
        ),
        "v/(r_on*bridge + r_off*(exp((1 - bridge)/length) - 1)/(exp(1/length) - 1))",
        (
            ("left", "1 - f - r"),
            ("growth", "drift*magnitude(v, v_smooth)/(alpha + left) - (gamma_1 + beta)*f"),
            ("bridge", "min(f + r, 1)"),
        ),
        start=lambda device, state: (state.f, state.r),
    )


def _nbo2(device: ThermalNbO2) -> Law:
    return Law(
        "nbo2",
        (State("t", "(r_th*i*v - (t - t_0))/t_0", "c_th*r_th", "t_0"),),
        "i",
        (
            ("lowering", "omega*root_magnitude(v, v_smooth)/sqrt(depth)"),
            ("i", "v/r_0*exp(min((lowering - e_a)/(boltzmann*t), 30))"),
        ),
        (("boltzmann", BOLTZMANN),),
    )


# `turn`: K of heating power over which branches change; `track`: how fast the idle one follows, over the thermal time
VO2_CONSTANTS = (("smallest", SMALLEST_PROXIMITY), ("pi_", float(np.pi)), ("turn", 1e-3), ("track", 1e-3))


def _vo2_offset(branch: str) -> tuple[tuple[str, str], ...]:
    p, y = f"p_{branch}", f"y_{branch}"
    return (
        (y, f"max((t - t_{branch})*{p}/({p}*{p} + smallest*smallest), 0)"),
        (f"off_{branch}", f"{p}*0.5*(1 - sin(gamma*{y}))*(1 + tanh(pi_*(pi_ - 2*{y})))"),
    )


def _vo2_start(device: VO2, state: VO2State) -> tuple[Any, ...]:
    """Temperature, and the reversals of both branches: the one in use, and the one that follows the temperature."""
    t, direction, t_reversal, proximity = (np.asarray(x, float) for x in state)
    values: dict[str, Any] = {"t": t, "t_a": t_reversal, "p_a": proximity, "gamma": np.asarray(device.gamma, float)}
    values |= dict(VO2_CONSTANTS)
    for name, text in _vo2_offset("a"):
        values[name] = evaluated(text, values)
    heating, width = direction > 0, np.asarray(device.width, float)
    idle = values["off_a"] - direction * width
    of_heating = np.where(heating, t_reversal, t), np.where(heating, proximity, idle)
    of_cooling = np.where(heating, t, t_reversal), np.where(heating, idle, proximity)
    return t, *of_heating, *of_cooling


def _vo2(device: VO2) -> Law:
    """Two reversals in turn: that of heating holds while the device heats, and that of cooling follows, and vice versa.

    Both branches agree at the temperature where the idle one follows, so the current does not jump when they change.
    """

    def ohms(centre: str) -> str:
        return f"r_0*exp(e_a/t)*logistic(2*steepness*({centre} + t_c - t)) + r_m"

    def following(name: str, target: str, scale: str, weight: str) -> State:
        return State(name, f"{weight}*({target} - {name})/{scale}", "track*c_th/s_th", scale)

    return Law(
        "vo2",
        (
            State("t", "(v*v/ohms - s_th*(t - t_0))/(s_th*t_0)", "c_th/s_th", "t_0"),
            following("t_a", "t", "t_0", "(1 - heating)"),
            following("p_a", "(width + off_b)", "width", "(1 - heating)"),
            following("t_b", "t", "t_0", "heating"),
            following("p_b", "(off_a - width)", "width", "heating"),
        ),
        "v/ohms",
        (
            *_vo2_offset("a"),
            *_vo2_offset("b"),
            ("middle", ohms("(-0.5*(off_a + off_b))")),
            ("heating", "logistic((v*v/(middle*s_th) - (t - t_0))/turn)"),
            ("ohms", ohms("(heating*(0.5*width - off_a) - (1 - heating)*(0.5*width + off_b))")),
        ),
        VO2_CONSTANTS,
        start=_vo2_start,
        shared=("off_a", "off_b", "heating", "ohms"),
        compared=1,
    )


def _ion_drift(device: LinearIonDrift) -> Law:
    window = WINDOWS.get(type(device.window))
    if window is None:
        raise InputError(
            f"LinearIonDrift.window is a {type(device.window).__name__}, which has no netlist; known are "
            f"{', '.join(kind.__name__ for kind in WINDOWS)}."
        )
    ahead, behind = window.replace("{d}", "(1 - x)"), window.replace("{d}", "x")
    return Law(
        "linear_ion_drift",
        (
            State(
                "x", f"r_on*i*(forward*({ahead}) + (1 - forward)*({behind}))", "depth*depth/mobility", "1", ENDS, WALL
            ),
        ),
        "i",
        (("i", "v/(r_on*x + r_off*(1 - x))"), ("forward", "logistic(i/i_turn)")),
    )


def _vteam(device: VTEAM) -> Law:
    resistance = RESISTANCES.get(device.resistance)
    if resistance is None:
        raise InputError(
            f"VTEAM.resistance is '{getattr(device.resistance, '__name__', device.resistance)}', which has no netlist; "
            f"known are {', '.join(f.__name__ for f in RESISTANCES)}."
        )
    return Law(
        "vteam",
        (State("x", "on*edge(1 - x, edge_width) - off*edge(x, edge_width)", "depth/speed", "1", ENDS, WALL),),
        f"v/({resistance})",
        (
            ("speed", "sqrt(-k_on*k_off)"),
            ("on", "power(positive_part(v/v_on - 1, smoothing), alpha_on)*(-k_on/speed)"),
            ("off", "power(positive_part(v/v_off - 1, smoothing), alpha_off)*(k_off/speed)"),
        ),
    )


def _yakopcic(device: Yakopcic) -> Law:
    def window(run: str, room: str, decay: str) -> str:
        d = f"positive_part({run}, min(smoothing, {room}))"
        return f"exp(-{decay}*{d})*(1 - {d}/({room}))"

    return Law(
        "yakopcic",
        (
            State(
                "x", "(up*growth - down*decay)/sqrt(rate_p*rate_n)", "1/sqrt(rate_p*rate_n)", "1", ("x_min", "1"), WALL
            ),
        ),
        "(a_2 + (a_1 - a_2)*logistic(v/v_turn))*x*bounded_sinh(b*v)",
        (
            ("up", "rate_p*positive_part(exp(min(v, 30)) - exp(v_p), smoothing)"),
            ("down", "rate_n*positive_part(exp(min(-v, 30)) - exp(v_n), smoothing)"),
            ("growth", window("x - x_p", "1 - x_p", "alpha_p")),
            ("decay", window("1 - x_n - x", "1 - x_n", "alpha_n")),
        ),
    )


def _stanford(device: StanfordPKU) -> Law:
    return Law(
        "stanford_pku",
        (State("x", "1e-6*speed_x*(closing - opening)", "1e-6", "1", ENDS, WALL),),
        "i",
        (
            ("gap", "gap_max - x*(gap_max - gap_min)"),
            ("i", "i_0*exp(-gap/g_0)*bounded_sinh(v/v_0)"),
            ("thermal", "boltzmann*(t_0 + v*i*r_th)"),
            ("field", "(gamma_0 - beta*(gap/1e-9)*(gap/1e-9)*(gap/1e-9))*v/t_ox"),
            ("speed_x", "0.5*gate(abs(field)/f_min - 1, smoothing)*speed/(gap_max - gap_min)"),
            ("closing", "exp(min((field*a_0 - e_a)/thermal, 40))*edge(1 - x, edge_width)"),
            ("opening", "exp(min((-field*a_0 - e_a)/thermal, 40))*edge(x, edge_width)"),
        ),
        (("boltzmann", BOLTZMANN),),
    )


LAWS: dict[type[AbstractStateDevice], Callable[[Any], Law]] = {
    MetastableSwitch: _metastable,
    ThresholdSwitch: _threshold,
    Diffusive: _diffusive,
    ThermalNbO2: _nbo2,
    VO2: _vo2,
    LinearIonDrift: _ion_drift,
    VTEAM: _vteam,
    Yakopcic: _yakopcic,
    StanfordPKU: _stanford,
}
"""From the class of a state device to its law; a device of your own comes in with one more entry."""


def law_of(device: Any) -> Law:
    """The law of a state device; InputError for one that has none."""
    made = LAWS.get(type(device))
    if made is None:
        raise InputError(
            f"{type(device).__name__} has no netlist: its equations are not in memspike.interop.spice.LAWS; there are "
            f"those of {', '.join(kind.__name__ for kind in LAWS)}."
        )
    return made(device)


def values_of(device: Any) -> dict[str, np.ndarray]:
    """The parameters of a device that its law uses, as numbers or arrays; those of a window begin with window_."""
    found = {one.path: np.asarray(one.value) for one in own_parameters(device)}
    for part in vars(device).values():
        if isinstance(part, AbstractWindow):
            found |= {f"window_{one.path}": np.asarray(one.value) for one in own_parameters(part)}
    return found


def start_of(device: Any, state: Any = None) -> tuple[np.ndarray, ...]:
    """The states that a netlist of a device begins with, each over its scale: those of a rested device by default."""
    law, values = law_of(device), values_of(device)
    given = law.start(device, device.init() if state is None else state)
    scales = [evaluated(one.scale, values) for one in law.states]
    return tuple(np.asarray(np.asarray(x, float) / scale) for x, scale in zip(given, scales, strict=True))


class Motion(NamedTuple):
    """Of a device: the current in A, and the rate of change of every state in its unit per second."""

    current: Any
    rates: tuple[Any, ...]


def motion(device: Any, states: tuple[Any, ...], v: Any) -> Motion:
    """What the equations of the netlist say at states (in their units) and a device voltage in V."""
    law = law_of(device)
    values: dict[str, Any] = {name: np.asarray(value, float) for name, value in values_of(device).items()}
    values |= dict(law.constants) | {"v": np.asarray(v, float)}
    values |= {one.name: np.asarray(x, float) for one, x in zip(law.states, states, strict=True)}
    for name, text in law.lets:
        values[name] = evaluated(text, values)
    rates = tuple(
        evaluated(one.drive, values) * evaluated(one.scale, values) / evaluated(one.capacitor, values)
        for one in law.states
    )
    return Motion(evaluated(law.current, values), rates)
