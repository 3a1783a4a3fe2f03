"""Neuron nodes of NIR ↔ a decay, a gain of the input and a threshold in every step.

NIR says τ·dv/dt = (v_leak − v) + r·I and no time step. Those who read it take a forward Euler step, v' = (1 − dt/τ)·v +
r·dt/τ·I; our neuron keeps α = e^(−dt/τ') of its membrane. So τ = dt/(1 − α) is what makes the two the same in steps.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from memspike.parts.errors import InputError

Values = Float[np.ndarray, " neurons"]
# a time constant and the factor of its input, each with its name in the file
Leak = tuple[tuple[str, Values], tuple[str, Values]]
NEURONS, SPIKING = ("LIF", "LI", "IF", "I", "CubaLIF", "CubaLI"), ("LIF", "IF", "CubaLIF")
CURRENT_BASED = ("CubaLIF", "CubaLI")
STEP = "NIR stores no time step"
NO_NODE = {
    "Delay": "connections of memspike have no delays",
    "Threshold": "a threshold without a membrane is no neuron of memspike; LIF can be read",
}
SOFT, LOWER, SEVERAL = ("subtract", "soft"), ("min_v", "v_min", "lower_bound"), ("multi",)


class Membrane(NamedTuple):
    """v[t+1] = decay·v[t]·(1 − z[t]) + gain·I[t+1], z = v > theta, one value a neuron in the order of the file.

    I is what arrives, or behind a synapse I[t+1] = synapse·I[t] + (1 − synapse)·(what arrives). A theta of None is a
    neuron without spikes.
    """

    decay: Values
    gain: Values
    theta: Values | None
    synapse: Values | None = None


class Found(NamedTuple):
    """A membrane, and what a reader should know about it."""

    membrane: Membrane
    told: tuple[str, ...]


def kind(node: Any) -> str:
    """The name of a node's class."""
    return type(node).__name__


def _text(value: Any) -> str:
    return (value.decode("utf8", "replace") if isinstance(value, bytes) else str(value)).lower()


def check_metadata(where: str, metadata: Any) -> None:
    """InputError where a writer has noted what the format cannot say, and memspike could not follow."""
    for key, value in dict(metadata or {}).items():
        if "reset" in key and any(word in _text(value) for word in SOFT):
            raise InputError(
                f"{where} says {key} = {_text(value)}: a soft reset, which NIR nodes cannot hold, so that it would "
                "become a reset to zero; train with a reset to zero."
            )
        if key in LOWER:
            raise InputError(
                f"{where} says {key}: a lower bound of the membrane, which neurons of memspike do not have."
            )
        if "spike" in key and any(word in _text(value) for word in SEVERAL):
            raise InputError(
                f"{where} says {key} = {_text(value)}: several spikes in a step; neurons of memspike send one at most."
            )


def _wide(where: str, what: str, given: Any, shape: tuple[int, ...]) -> Values:
    """A parameter for every neuron, flat; InputError where it does not fit, or is not finite."""
    values = np.array(given, dtype=np.float64)
    if values.size == 1:
        values = values.reshape(())
    elif math.prod(values.shape) == math.prod(shape):
        values = values.reshape(shape)
    fits = values.ndim in (0, len(shape)) and all(n in (1, m) for n, m in zip(values.shape, shape, strict=False))
    if not fits:
        raise InputError(f"{where}: {what} has shape {list(values.shape)}; its neurons have shape {list(shape)}.")
    wide = np.broadcast_to(values, shape).reshape(-1).copy()
    if not np.isfinite(wide).all():
        raise InputError(f"{where}: {what} contains NaN or infinity.")
    return wide


def _threshold(where: str, node: Any, shape: tuple[int, ...], rest: Values | float, told: list[str]) -> Values | None:
    """Threshold above rest, None for a neuron without one."""
    if kind(node) not in SPIKING:
        return None
    given = getattr(node, "v_reset", None)
    reset = np.zeros(math.prod(shape)) if given is None else _wide(where, "v_reset", given, shape)
    if not np.allclose(reset, rest, rtol=1e-6, atol=1e-9):
        raise InputError(
            f"{where} is reset to v_reset = {_some(reset)} and rests at {_some(np.asarray(rest))} (v_leak); a constant "
            "current in v_leak belongs into the bias of an Affine node, and neurons of memspike are reset to rest."
        )
    theta = _wide(where, "v_threshold", node.v_threshold, shape) - reset
    if theta.min() <= 0:
        raise InputError(f"{where}: v_threshold is {_some(theta)} above rest; above 0 is needed.")
    if np.any(reset != 0):
        told.append(f"{where}: membranes are counted from rest, {_some(reset)}, and begin there.")
    return theta


def _some(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _leaky(where: str, given: Leak, dt: float, told: list[str]) -> tuple[Values, Values]:
    """Decay and gain of one step."""
    (name, tau), (factor, r) = given
    if tau.min() <= 0:
        raise InputError(f"{where}: {name} is {_some(tau)} s; above 0 is needed.")
    ratio = dt / tau
    if tau.max() >= 1:
        told.append(
            f"{where}: {name} is {_some(tau)} s, long for a membrane; sinabs writes steps for seconds, which a "
            "tau_scale of the step makes right."
        )
    if tau.min() < dt:
        told.append(
            f"{where}: {name} is {_some(tau)} s, below the step of {dt:g} s, where a forward Euler step would turn the "
            "sign; it is read as e^(−dt/tau). Norse writes tau·dt unless to_nir(dt=1.0): a tau_scale of 1/dt makes it "
            "right."
        )
        return np.exp(-ratio), -r * np.expm1(-ratio)
    gain = r * ratio
    if np.allclose(gain, 1, rtol=1e-5) or np.allclose(r, 1, rtol=1e-6):
        return 1 - ratio, gain
    if np.allclose(gain, np.exp(-ratio), rtol=1e-4):
        told.append(f"{where}: {factor} = {name}·e^(−dt/{name})/dt, as rockpool writes it, whose decay is e^(−dt/tau).")
        return np.exp(-ratio), gain
    told.append(
        f"{where}: {factor} = {_some(r)} is neither 1 nor {name}/dt at dt = {dt:g} s, and is taken as the equation "
        f"says: a gain of {_some(gain)} a step."
    )
    return 1 - ratio, gain


def _current_based(where: str, node: Any, shape: tuple[int, ...], given: tuple[float, float], theta: Any) -> Found:
    """A membrane behind a synapse; the numbers are the step in s, and what makes seconds of tau."""
    dt, tau_scale = given
    told: list[str] = []

    def leak(tau: str, factor: str) -> tuple[Values, Values]:
        each = (tau, _wide(where, tau, getattr(node, tau), shape) * tau_scale)
        return _leaky(where, (each, (factor, _wide(where, factor, getattr(node, factor), shape))), dt, told)

    (decay, gain), (synapse, through) = leak("tau_mem", "r"), leak("tau_syn", "w_in")
    if np.ptp(synapse) > 1e-6:
        raise InputError(
            f"{where}: tau_syn is {_some(np.asarray(node.tau_syn))} s; the neurons of a layer have one synaptic filter."
        )
    return Found(Membrane(decay, gain * through / (1 - synapse), theta, synapse), tuple(told))


def read(where: str, node: Any, shape: tuple[int, ...], dt: float, tau_scale: float = 1.0) -> Found:
    """The membranes of a node whose neurons have that shape; `tau_scale` makes seconds of its tau.

    InputError for what neurons of memspike are not.
    """
    check_metadata(where, getattr(node, "metadata", None))
    told: list[str] = []
    r = _wide(where, "r", node.r, shape)
    if kind(node) in ("IF", "I"):
        if np.allclose(r, 1) and dt != 1:
            told.append(
                f"{where}: r = 1 is taken as the equation says, a gain of dt = {dt:g} a step; Norse and snnTorch mean "
                "1, which is r = 1/dt."
            )
        return Found(Membrane(np.ones_like(r), r * dt, _threshold(where, node, shape, 0.0, told)), tuple(told))
    leak = _wide(where, "v_leak", node.v_leak, shape)
    if kind(node) in ("LI", "CubaLI") and np.any(leak != 0):
        raise InputError(f"{where} rests at v_leak = {_some(leak)}; put it into the bias of an Affine node.")
    theta = _threshold(where, node, shape, leak, told)
    if kind(node) in CURRENT_BASED:
        found = _current_based(where, node, shape, (dt, tau_scale), theta)
        return Found(found.membrane, (*told, *found.told))
    given = ("tau", _wide(where, "tau", node.tau, shape) * tau_scale), ("r", r)
    decay, gain = _leaky(where, given, dt, told)
    return Found(Membrane(decay, gain, theta), tuple(told))


def time_constant(decay: Values, dt: float) -> Values:
    """τ' in s whose e^(−dt/τ') is the decay of a step: nothing is kept for 0, nothing lost for 1."""
    inner = np.clip(decay, 1e-30, 1 - 1e-12)
    return np.clip(-dt / np.log(inner), max(1e-9, 1e-3 * dt), 1e6)


def written(nir: Any, membrane: Membrane, shape: tuple[int, ...], dt: float) -> Any:
    """The LIF or LI node with r = 1 of membranes whose gain, 1/(1 − decay), is in the weights.

    Behind a synapse it is the CubaLIF or CubaLI node that all readers take, r = tau_mem/dt and w_in = tau_syn/dt, whose
    gain, 1 − synapse, is in the weights.
    """

    def tau_of(decay: Values) -> Any:
        return np.asarray(dt / (1 - np.asarray(decay, np.float64)), np.float32).reshape(shape)

    tau, theta = tau_of(membrane.decay), membrane.theta
    rest = np.zeros_like(tau)
    ends = {} if theta is None else {"v_threshold": np.asarray(theta, np.float32).reshape(shape), "v_reset": rest}
    if membrane.synapse is None:
        return (nir.LI if theta is None else nir.LIF)(tau=tau, r=np.ones_like(tau), v_leak=rest, **ends)
    syn = tau_of(membrane.synapse)
    node = nir.CubaLI if theta is None else nir.CubaLIF
    return node(tau_syn=syn, tau_mem=tau, r=tau / np.float32(dt), v_leak=rest, w_in=syn / np.float32(dt), **ends)
