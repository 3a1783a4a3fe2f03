"""1,000 MIF neurons for 10 ms at 10 µs: the netlist, the hand-written step, and voltax, a circuit simulator in JAX.

The neurons differ in their capacitance and get the same alpha-shaped current. All in double precision, which voltax
switches on when it is imported; it runs in a process of its own, which repeats its runs between ours. The membranes are
compared before anything is timed. Run with: make bench
"""

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np

PEAK, TAU, DT, STEPS = 5e-6, 0.3e-3, 10e-6, 1000
DECK = """C1 v 0 1n
X1 v 0 pair
X2 v e2 pair
VE2 e2 0 50m
.subckt pair p n
Cx x 0 1m
Bx 0 x I=(1-V(x))*0.5*(1+tanh((V(p,n)-0.11)/0.03))-V(x)*0.5*(1+tanh((0.005-V(p,n))/0.03))
Bg p n I=V(p,n)*(V(x)/1k+(1-V(x))/100k)
.ends
"""


def capacitances(count):
    """Those of the neurons, in F."""
    return 1e-9 * np.linspace(0.9, 1.1, count) if count > 1 else np.array([1e-9])


def alpha(t):
    """The current in A."""
    return PEAK * np.e * t / TAU * np.exp(-t / TAU)


def voltax_functions(counts):
    """For every count a function that simulates so many neurons → membranes [steps + 1, neurons]."""
    import jax
    import jax.numpy as jnp
    import voltax

    times = np.arange(STEPS + 1) * DT
    points = " ".join(f"{t:.9g} {i:.12g}" for t, i in zip(times, alpha(times), strict=True))
    circuit = voltax.parse_netlist(f"{DECK}Iin 0 v PWL({points})\n")

    @jax.jit
    def run(c):
        return jax.vmap(lambda c: voltax.transient(circuit.set("C1", c=c), jnp.asarray(times), method="trap").v("v"))(c)

    return [partial(lambda c: jax.block_until_ready(run(c).T), jnp.asarray(capacitances(n))) for n in counts]


def our_functions(counts):
    """The same for the netlist, and for the hand-written neuron."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import memspike as ms

    drive = jnp.asarray(alpha((np.arange(STEPS) + 0.5) * DT))
    ours, theirs = ms.neurons.mif_netlist(), ms.neurons.mif()

    def function(replace, neuron, count):
        c = jnp.asarray(capacitances(count))

        @jax.jit
        def run(c):
            one = eqx.tree_at(replace, neuron, c)
            start = one.init((count,))
            v = jax.lax.scan(lambda s, i: one.step(s, i, DT), start, drive)[1]
            return jnp.concatenate([one.voltage(start)[None], v])

        return lambda: jax.block_until_ready(run(c))

    places = (lambda n: n.elements[0].capacitance, ours), (lambda n: n.capacitance, theirs)
    return [[function(place, neuron, count) for count in counts] for place, neuron in places]


def peer(counts, rounds):
    """In a process of its own: seconds of every round and the membranes, as one line of JSON."""
    from clock import seconds

    functions = voltax_functions(counts)
    print(json.dumps([{"s": seconds(f, rounds), "v": np.asarray(f())[:, 0].tolist()} for f in functions]))


def main():
    """Times as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peer", action="store_true", help="what the other process does")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has voltax")
    given = parser.parse_args()
    counts = [1, 1000]
    if given.peer:
        peer(counts, given.rounds)
        return
    import jax
    from clock import alternate

    jax.config.update("jax_enable_x64", True)
    ours, theirs = our_functions(counts)
    v, w = (np.asarray(functions[0]())[:, 0] for functions in (ours, theirs))
    assert np.abs(v - w).max() < 0.6e-3, "the netlist is not the hand-written neuron"
    command = [given.python, __file__, "--peer", "--rounds", str(given.rounds)]
    first = alternate([*ours, *theirs], given.rounds)
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    again = alternate([*ours, *theirs], given.rounds)
    apart = float(np.abs(v - np.asarray(found[0]["v"])).max())
    assert apart < 0.6e-3, f"voltax is {apart} V away"
    rows = []
    for k, count in enumerate(counts):
        net, hand = ((first[k + j] + again[k + j]) / 2 for j in (0, len(counts)))
        rows.append(
            {
                "neurons": count,
                "netlist_s": net,
                "hand_written_s": hand,
                "voltax_s": found[k]["s"],
                "times_hand_written": net / hand,
                "times_faster_than_voltax": found[k]["s"] / net,
            }
        )
    result = {"steps": STEPS, "dt_s": DT, "voltax_apart_v": apart, "rows": rows}
    print(json.dumps(result, indent=1))
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
