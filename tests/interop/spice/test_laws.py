"""The equations of netlists are those of the library, for every state device that is registered."""

import re
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError
from memspike.devices import VO2, VTEAM, AbstractStateDevice, LinearIonDrift, exponential_resistance, find, memristors
from memspike.devices.sweep import SWEEPS
from memspike.interop.spice import LAWS, device_subcircuit, law_of, motion, verilog_a
from memspike.interop.spice.expressions import HELPERS, NGSPICE, VERILOG, evaluated, number, translated
from memspike.interop.spice.laws import RESISTANCES, WINDOWS
from memspike.parts.registry import DEVICES

WINDOWED = [LinearIonDrift(window=window()) for window in WINDOWS]
STATE_DEVICES = [e.name for e in DEVICES if isinstance(find(e.name), AbstractStateDevice)]
MANY = [*map(find, STATE_DEVICES), *WINDOWED, VTEAM(resistance=exponential_resistance)]


def doubled(device):
    return jax.tree.map(lambda x: jnp.asarray(x, float) if eqx.is_inexact_array(x) else x, device)


def states_of(device, rng) -> Any:
    """Fifty states inside of the bounds of a device."""
    x = jnp.asarray(rng.uniform(0, 1, 50))
    start = device.init()
    if isinstance(device, VO2):
        return start._replace(
            t=320 + 25 * x,
            direction=jnp.sign(x - 0.5),
            t_reversal=jnp.asarray(rng.uniform(325, 340, 50)),
            proximity=jnp.asarray(rng.uniform(-5, 5, 50)),
        )
    if hasattr(start, "f"):
        return type(start)(0.9 * x, jnp.asarray(rng.uniform(0, 0.1, 50)))
    if law_of(device).states[0].name == "t":
        return 298 + 900 * x
    low, high = device.ends() if hasattr(device, "ends") else (0.0, 1.0)
    return jnp.concatenate([low + (high - low) * x[:48], jnp.stack([jnp.asarray(low + 0.0), jnp.asarray(high + 0.0)])])


@pytest.mark.parametrize("device", MANY, ids=lambda d: type(d).__name__)
def test_equations_are_those_of_the_library(device, x64):
    device, rng = doubled(device), np.random.default_rng(1)
    law = law_of(device)
    states = states_of(device, rng)
    v = jnp.asarray(rng.uniform(-1, 1, 50) * rng.choice([0.01, 0.1, 1.0], 50))
    if isinstance(device, VO2):  # a direction that its temperature has, far from where it turns
        v, states = 10 * v, device.turn(states, 10 * v)
    found = motion(device, law.start(device, states), v)
    assert np.allclose(found.current, device.current(states, v), rtol=1e-9, atol=0)
    rates = device.rate(states, v)
    rates = rates if isinstance(rates, tuple) else (rates,)
    for ours, theirs in zip(rates[: law.compared], found.rates, strict=False):
        scale = np.abs(np.asarray(ours)).max()
        assert np.allclose(theirs, ours, rtol=1e-9, atol=1e-12 * scale)


def test_every_registered_state_device_has_a_law():
    assert set(STATE_DEVICES) == set(SWEEPS)
    assert {type(find(name)) for name in STATE_DEVICES} == set(LAWS)
    windows = {c for c in vars(memristors).values() if isinstance(c, type) and issubclass(c, memristors.AbstractWindow)}
    assert set(WINDOWS) == windows - {memristors.AbstractWindow}
    assert len(RESISTANCES) == 2


def test_a_device_without_a_law_is_refused_by_name():
    with pytest.raises(InputError, match="PCM has no netlist"):
        law_of(find("pcm"))
    with pytest.raises(InputError, match=r"VTEAM.resistance is 'cubic', which has no netlist"):
        law_of(VTEAM(resistance=cubic))


def cubic(x, r_on, r_off):
    return r_off - (r_off - r_on) * x * x * x


@pytest.mark.parametrize("name", STATE_DEVICES)
def test_subcircuits_hold_no_power_no_suffix_and_no_builtin(name):
    text = "\n".join(device_subcircuit(find(name), "device").lines[1:])
    assert "^" not in text
    assert "**" not in text
    assert "?" not in text
    assert not re.search(r"\b\d[\d.]*(?:e[-+]?\d+)?[a-df-zA-DF-Z]", text)
    parameters = re.findall(r"(\w+)=", text.split(".func")[0])
    assert parameters
    assert all(one.startswith("p_") for one in parameters)
    called = set(re.findall(r"\b([a-z]\w*)\(", text))
    assert (
        not called
        - {"exp", "ln", "sqrt", "tanh", "sin", "min", "max", "abs", *(f"f_{h}" for h in HELPERS)}
        - {f"device_{k}" for k, _ in [*law_of(find(name)).lets, ("current", "")]}
        - {f"device_d{one.name}" for one in law_of(find(name)).states}
    )


def complaints(text):
    """What is plainly wrong with the text of a module: blocks and brackets that do not close, undeclared names."""
    plain = re.sub(r"//.*|`include.*", "", text)
    words = re.findall(r"[A-Za-z_]\w*", plain)
    found = []
    for opening, closing in (("module", "endmodule"), ("begin", "end"), ("function", "endfunction")):
        if words.count(opening) != words.count(closing):
            found.append(f"{words.count(opening)} {opening}, {words.count(closing)} {closing}")
    if plain.count("(") != plain.count(")"):
        found.append("brackets do not close")
    declared = {"V", "I", "ddt", "exp", "ln", "sqrt", "tanh", "sin", "min", "max", "abs"}
    declared |= {"module", "endmodule", "begin", "end", "analog", "function", "endfunction", "parameter", "real"}
    declared |= {"input", "inout", "electrical", *re.findall(r"(?:module|parameter real|function real) (\w+)", plain)}
    for line in re.findall(r"^\s+(?:real|input|inout|electrical) ([^;]+);", plain, flags=re.M):
        declared |= set(re.findall(r"\w+", line))
    rest = re.sub(r"\b\d[\w.]*(?:[eE][-+]?\d+)?", "", plain)
    return found + sorted(set(re.findall(r"[A-Za-z_]\w*", rest)) - declared)


@pytest.mark.parametrize("name", STATE_DEVICES)
def test_verilog_is_sane(name):
    text = verilog_a(find(name))
    assert not complaints(text)
    assert text.count("<+") == 1 + len(law_of(find(name)).states)
    assert complaints(text.replace("endmodule", "")) == ["1 module, 0 endmodule"]
    assert complaints(text.replace("parameter real p_", "parameter real q_p_", 1))


def test_the_language():
    assert translated("a*-x + min(b, 2)/3", NGSPICE, {"a": "p_a"}) == "(p_a*(-x))+(min(b,2)/3)"
    assert translated("1/3", VERILOG, {}) == "1.0/3.0"
    assert translated("logistic((v - a))", NGSPICE, {"v": "u"}) == "f_logistic(u-a)"
    for text in ("x**3", "x if y else z", "pow(x, 3)", "x[0]", "x > 1"):
        with pytest.raises(InputError, match="has no meaning"):
            translated(text, NGSPICE, {})
        with pytest.raises((InputError, KeyError)):
            evaluated(text, {"x": 1.0, "y": 1.0, "z": 1.0})
    assert [number(x) for x in (1.0, 0.1, np.float32(0.1), 1e-15, 123456789.0, -2)] == [
        *("1", "0.1", "0.1", "1e-15", "123456789.0", "-2")
    ]
    assert float(number(np.float64(1) / 3)) == 1 / 3
    with pytest.raises(InputError, match="finite"):
        number(np.inf)


def test_smooth_stand_ins_are_those_of_the_library(x64):
    from memspike.devices import numerics

    y, w = np.linspace(-2, 2, 401), 0.3
    for name in ("edge", "positive_part", "gate", "magnitude", "root_magnitude"):
        helper = HELPERS[name]
        values = dict(zip(helper.arguments, (y, w), strict=True))
        ours = getattr(numerics, name)(jnp.asarray(y), w)
        assert np.allclose(evaluated(helper.text, values), ours, rtol=1e-12, atol=1e-15), name
    b = np.linspace(0, 3, 101)
    assert np.allclose(evaluated(HELPERS["power"].text, {"b": b, "k": 2.5}), numerics.power(jnp.asarray(b), 2.5))
