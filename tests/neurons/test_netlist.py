"""Rings 1 and 2 for netlists: the step against exact solutions and the hand-written neurons, gradients, refusals."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

import memspike as ms
from memspike.neurons.netlist.circuits import MIF_DECK
from memspike.neurons.netlist.elimination import solve
from memspike.neurons.netlist.numbers import number
from memspike.parts.table import build
from memspike.parts.written import plain

DRIVE = 5e-6 * np.e


def run(neuron, current, dt):
    """The membrane after every step."""
    return jax.lax.scan(lambda s, i: neuron.step(s, i, dt), neuron.init(current.shape[1:]), current)[1]


def pulse(steps, dt, peak=DRIVE):
    t = (jnp.arange(steps, dtype=float) + 0.5) * (dt / 0.3e-3)
    return peak * t * jnp.exp(-t)


def test_the_rebuilt_neuron_is_the_hand_written_one(x64):
    """Two methods of second order: they differ by an amount that falls with dt²."""
    theirs, ours = ms.neurons.mif(), ms.neurons.mif_netlist()
    np.testing.assert_allclose(ours.rest(), theirs.rest(), rtol=1e-12)
    apart = []
    for dt in (10e-6, 5e-6):
        drive = pulse(round(2e-3 / dt), dt)
        both = [jax.jit(lambda i, n=n, dt=dt: run(n, i, dt))(drive) for n in (ours, theirs)]
        apart.append(float(jnp.abs(both[0] - both[1]).max()))
    assert apart[0] < 0.25e-3
    assert apart[0] / apart[1] == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(("sections", "time"), [(2, 20e-6), (10, 2e-3)])
def test_a_linear_circuit_is_solved_to_second_order(x64, sections, time):
    """Against the matrix exponential; with 10 sections by elimination with pivots."""
    lines = [f"C1 n1 0 1n\nR1 n1 0 2k\nI1 n{sections} 0 1u"]
    lines += [f"R{k} n{k - 1} n{k} {k}k\nC{k} n{k} 0 {k}n" for k in range(2, sections + 1)]
    neuron = ms.neurons.Netlist(ms.neurons.parse_deck("\n".join(["ladder", *lines])), "n1", f"n{sections}")
    g = np.zeros((sections, sections))
    g[0, 0] = 1 / 2e3
    for k in range(1, sections):
        pair = np.ix_([k - 1, k], [k - 1, k])
        g[pair] += np.array([[1, -1], [-1, 1]]) / ((k + 1) * 1e3)
    c = np.arange(1, sections + 1) * 1e-9
    rest = -np.linalg.solve(g, np.eye(sections)[-1]) * 1e-6
    np.testing.assert_allclose(neuron.rest(), rest[-1], rtol=1e-10)
    settled = rest + np.linalg.solve(g, np.eye(sections)[0]) * 1e-5
    exact = (settled + expm(-np.diag(1 / c) @ g * time) @ (rest - settled))[-1]
    errors = [abs(float(run(neuron, jnp.full(n, 1e-5), time / n)[-1]) - exact) for n in (100, 200)]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] < 1e-3 * abs(exact - rest[-1])


def test_elimination_is_that_of_numpy(x64):
    random = np.random.default_rng(0)
    for n in (3, 8, 9):
        a = random.normal(size=(n, n)) + n * np.eye(n)
        a[0, -1] = a[-1, 0] = 0
        left = [[None if x == 0 else jnp.asarray(x) for x in row] for row in a]
        b = random.normal(size=n)
        found = solve(left, [[jnp.asarray(x) for x in b]])[0]
        np.testing.assert_allclose(np.asarray(found), np.linalg.solve(a, b), rtol=1e-12)


def test_a_population_is_a_loop_and_a_vmap(x64):
    neuron, dt = ms.neurons.mif_netlist(), 10e-6
    drives = pulse(100, dt)[:, None] * jnp.linspace(0.2, 2.0, 1000)[None]
    many = jax.jit(lambda i: run(neuron, i, dt))(drives)
    assert many.shape == (100, 1000)
    by_vmap = jax.jit(jax.vmap(lambda i: run(neuron, i, dt), 1, 1))(drives)
    np.testing.assert_allclose(by_vmap, many, rtol=1e-9)
    one = jax.jit(lambda i: run(neuron, i, dt))
    for k in (0, 999):
        np.testing.assert_allclose(one(drives[:, k]), many[:, k], rtol=1e-9)


def check_slopes(f, neuron, where, values):
    """The gradient in numbers of a netlist, forwards and backwards, against central differences to 1e-4."""

    def of(x):
        return f(eqx.tree_at(lambda n: [getattr(n.elements[k], name) for k, name in where], neuron, [*x]))

    x = jnp.asarray(values)
    steps = jnp.diag(1e-5 * x)
    ends = jax.jit(jax.vmap(of))(jnp.concatenate([x[None] + steps, x[None] - steps]))
    differences = (ends[: len(x)] - ends[len(x) :]) / (2e-5 * x)
    forwards = jax.jit(jax.jacfwd(of))(x)
    np.testing.assert_allclose(forwards, differences, rtol=1e-4)
    np.testing.assert_allclose(jax.jit(jax.grad(of))(x), forwards, rtol=1e-8)


def test_gradient_through_memristors(x64):
    """Also through the rest, from where it starts."""
    drive = pulse(60, 10e-6)
    where = [(0, "capacitance"), (3, "voltage")]
    check_slopes(lambda n: run(n, drive, 10e-6)[-1], ms.neurons.mif_netlist(), where, [1e-9, 50e-3])


def test_gradient_through_switchings(x64):
    """The time of a switching moves with the numbers: the slope is that of the moving event, not of the grid."""
    where = [(2, "capacitance"), (3, "threshold"), (3, "hysteresis"), (1, "resistance")]
    dt, values = 5e-9, [100e-12, 0.505, 0.205, 3e3]
    check_slopes(lambda n: run(n, jnp.zeros(53), dt)[-1], ms.neurons.pearson_anson(), where, values)


def test_gradient_through_two_memristors(x64):
    where = [(4, "resistance"), (2, "capacitance")]
    drive = jnp.full(640, 120e-6)
    check_slopes(lambda n: run(n, drive, 0.25e-9)[-1], ms.neurons.two_memristor_neuron(), where, [1.5e3, 200e-12])


def test_the_period_of_the_oscillator_is_the_exact_one(x64):
    """Two exponentials between 0.3 and 0.71 V: switchings fall where they belong, whatever the grid."""
    parallel = [1 / (1 / 3e3 + 1 / r) for r in (20e3, 300.0)]
    goals = [2 * r / 3e3 for r in parallel]
    up = parallel[0] * np.log((goals[0] - 0.3) / (goals[0] - 0.71))
    down = parallel[1] * np.log((0.71 - goals[1]) / (0.3 - goals[1]))
    v = np.asarray(jax.jit(lambda i: run(ms.neurons.pearson_anson(), i, 1e-9))(jnp.zeros(1500)))
    at = np.flatnonzero((v[:-1] < 0.5) & (v[1:] >= 0.5))
    times = at + (0.5 - v[at]) / (v[at + 1] - v[at])
    np.testing.assert_allclose(np.diff(times), (up + down) * 100e-12 / 1e-9, rtol=2e-4)
    assert v.max() <= 0.71 + 1e-9


def test_a_step_without_a_solution_is_told(x64):
    neuron = changed(ms.neurons.pearson_anson(), jnp.asarray(1e-12))
    state, v = neuron.step(neuron.init(), jnp.zeros(()), 5e-9)  # four switchings in one step
    assert np.isnan(float(v))
    with pytest.raises(ms.RunError, match="1 steps of the netlist had no solution"):
        ms.neurons.check_solved(state)
    finer = build(ms.neurons.Netlist, {"type": "netlist", "substeps": 10}, "neuron", neuron)
    state, v = finer.step(finer.init(), jnp.zeros(()), 5e-9)
    assert np.isfinite(float(v))
    ms.neurons.check_solved(state)


def test_a_device_that_switches_too_hard_for_the_step_is_told(x64):
    """A bistable switch of 50 ns: solved at 2 ns, no solution at 50 ns, and never a plausible number instead."""
    deck = "bistable\nC1 v 0 1n\nX1 v 0 threshold-switch tau=50n v_scale=1m\n"
    neuron = ms.neurons.Netlist(ms.neurons.parse_deck(deck))
    coarse, fine = (
        jax.jit(lambda i, dt=dt: jax.lax.scan(lambda s, i: neuron.step(s, i, dt), neuron.init(), i))
        for dt in (50e-9, 2e-9)
    )
    state, v = coarse(jnp.full(600, 5e-6))
    assert np.isnan(np.asarray(v[-1]))
    with pytest.raises(ms.RunError, match="did not converge"):
        ms.neurons.check_solved(state)
    state, v = fine(jnp.full(15_000, 5e-6))
    ms.neurons.check_solved(state)
    assert 0.1 < float(v.max()) < 0.11


def test_oscillators_of_a_population_switch_each_at_its_time(x64):
    neuron, scales = ms.neurons.pearson_anson(), jnp.asarray([0.7, 1.0, 1.6])
    many = changed(neuron, 100e-12 * scales)
    together = jax.jit(lambda i: run(many, i, 5e-9))(jnp.zeros((60, 3)))
    one = jax.jit(lambda c: run(changed(neuron, c), jnp.zeros(60), 5e-9))
    for k in range(3):
        np.testing.assert_allclose(together[:, k], one(100e-12 * scales[k]), rtol=1e-9)


def changed(neuron, capacitance):
    """The oscillator with another capacitor."""
    return eqx.tree_at(lambda n: n.elements[2].capacitance, neuron, capacitance)


def test_single_precision_gives_the_same_spikes():
    v = run(ms.neurons.pearson_anson(), jnp.zeros(300), 5e-9)
    with jax.enable_x64(True):
        exact = run(ms.neurons.pearson_anson(), jnp.zeros(300), 5e-9)
    np.testing.assert_allclose(np.asarray(v), np.asarray(exact), atol=2e-3)


def test_initial_voltages_and_sources(x64):
    deck = "two capacitors\nV1 a 0 1\nC1 a b 1n ic=0.25\nC2 b 0 3n\nR1 b 0 10k\nR2 a b 10k\n"
    neuron = ms.neurons.Netlist(ms.neurons.parse_deck(deck), "b", "b")
    assert float(neuron.rest()) == pytest.approx(0.75)  # C2 follows from the source and C1
    assert float(run(neuron, jnp.zeros(400), 1e-6)[-1]) == pytest.approx(0.5, rel=1e-3)
    assert float(neuron.between(neuron.init(), "a", "b")) == pytest.approx(0.25)


def test_a_dictionary_a_table_and_a_deck_are_one(tmp_path):
    circuit = {
        "c1": {"type": "capacitor", "nodes": ["v", "0"], "capacitance": "1nF"},
        "x1": {"type": "memristor", "nodes": ["v", "0"], "device": "mif-pair"},
        "x2": {"type": "memristor", "nodes": ["v", "e2"], "device": {"type": "mif-pair", "v_on": "110mV"}},
        "ve2": {"type": "voltage-source", "nodes": ["e2", "0"], "voltage": "50mV"},
    }
    by_dictionary = ms.neurons.netlist_of(circuit)
    assert eqx.tree_equal(by_dictionary, ms.neurons.mif_netlist())
    (tmp_path / "mine.cir").write_text(MIF_DECK)
    table = {"type": "netlist", "deck": str(tmp_path / "mine.cir"), "substeps": 2}
    by_deck = build(ms.neurons.AbstractNeuron, table, "neuron")
    assert by_deck.substeps == 2
    assert eqx.tree_equal(by_deck.elements, by_dictionary.elements)
    assert eqx.tree_equal(build(ms.neurons.AbstractNeuron, plain(by_deck), "neuron"), by_deck)


@pytest.mark.parametrize(
    ("text", "card", "parameter"),
    [
        ("1M", 1e-3, 1e-3),
        ("1MEG", 1e6, 1e6),
        ("2mil", 50.8e-6, 2e-3),
        ("1F", 1e-15, 1e-15),
        ("4.7n", 4.7e-9, 4.7e-9),
        ("1kohm", 1e3, 1e3),
        ("1e3k", 1e6, 1e6),
        ("1a", 1.0, 1.0),
        ("-.5u", -0.5e-6, -0.5e-6),
    ],
)
def test_numbers_are_those_of_ngspice(text, card, parameter):
    assert number(text, "it") == card
    assert number(text, "it", evaluated=True) == parameter


REFUSED = [
    ("L1 v 0 1u", "'l1' in line 3 of the deck is not known"),
    ("R1 v 0 1k5", "A value in line 3 of the deck is '1k5'"),
    ("R1 v 0 1k tc1=0.1", "read is R… n1 n2 value"),
    ("R1 v 0 {r}", "Unknown parameter in line 3 of the deck 'r'"),
    ("C2 v 0 1n id=0", "Unknown parameter of c2 in line 3 of the deck 'id'"),
    ("I1 0 v pulse(0 1 0 1n 1n 5n 10n)", "no other wave form"),
    ("I1 0 v sin", "no other wave form"),
    (".ic v(v)=0.5", ".ic in line 3 of the deck is not read; give the capacitors their voltage at the start"),
    (".tran 1n 1u uic", ".tran in line 3 of the deck is an analysis"),
    (".subckt a b c", "'.subckt' in line 3 of the deck is not known"),
    (".model d1 d(is=1e-14)", "of type 'd'; switches (sw) alone are read"),
    (".model s sw(vt=1 vh=0.1 ron=1)", "does not say roff"),
    (".model s sw(vt=1 vh=-0.1 ron=1 roff=1k)", "a smooth switch, which is not read"),
    ("S1 v 0 v 0 none", "Unknown model in line 3 of the deck 'none'"),
    ("X1 v 0 mif-pare", "Did you mean 'mif-pair'"),
    ("X1 v 0 pcm", "device of x1 in line 3 of the deck is 'pcm'"),
    ("X1 v 0 0 mif-pair", "names 3 nodes and a subcircuit"),
    ("X1 v 0 mif-pair tao=1m", "Unknown key of device of x1 in line 3 of the deck"),
    ("C1 v 0 1n", "two elements 'c1'"),
    ("C2 v 0 -1n", "c2 in line 3 of the deck: Capacitor.capacitance (capacitance) is -1e-09 F"),
    ("R1 v v 1k", "Both nodes of r1 are 'v'"),
    ("R1 v w 1k", "Node 'w' is connected to r1 alone"),
    ("V1 v 0 1\nV2 v 0 2", "closes a loop of voltage sources"),
    ("C2 v 0 1n ic=1\n.end\nR1 v 0 1", "Line 5 of the deck stands behind .end"),
    ("C2 w 0 1n\nI1 0 w 1u\nR1 v 0 1k", "From node 'w' no current can flow to the ground at rest"),
    ("R1 v w 1k\nR2 w 0 1k\nS1 v 0 w 0 s\n.model s sw(vt=1 vh=0 ron=1 roff=1k)", "no capacitors hold"),
    ("R1 v 0 1k\nC2 v 0 1n ic=0.5", "The initial voltage of c2 is 0.5 V, but"),
]


@pytest.mark.parametrize(("cards", "said"), REFUSED)
def test_what_is_not_known_is_refused_by_name(cards, said):
    deck = f"title\nC1 v 0 1n{' ic=0' if 'ic=0.5' in cards else ''}\n{cards}\n"
    with pytest.raises(ms.InputError) as refused:
        ms.neurons.Netlist(ms.neurons.parse_deck(deck))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_nodes_that_are_not_there_or_not_held():
    elements = ms.neurons.parse_deck("title\nC1 v 0 1n\nR1 v w 1k\nR2 w 0 1k\n")
    for names, said in ((("u", "v"), "Unknown node for the input"), (("v", "w"), "which no capacitor holds")):
        with pytest.raises(ms.InputError, match=said):
            ms.neurons.Netlist(elements, *names)


def test_a_deck_that_is_nothing(tmp_path):
    with pytest.raises(ms.InputError, match="does not exist"):
        ms.neurons.read_deck(tmp_path / "none.cir")
    with pytest.raises(ms.InputError, match="has no elements"):
        ms.neurons.parse_deck("R1 v 0 1k\n")  # a title
    with pytest.raises(ms.InputError, match="one of them is needed"):
        build(ms.neurons.AbstractNeuron, {"type": "netlist", "deck": "x", "elements": []}, "neuron")


def test_a_network_of_netlists_is_that_of_the_hand_written_neurons(x64):
    """Two layers with shared neurons, forwards and backwards."""
    random = np.random.default_rng(0)
    weights = tuple(jnp.asarray(random.uniform(-0.3, 0.3, shape)) for shape in ((5, 4), (4, 2)))
    events = ms.networks.Events(jnp.asarray(random.uniform(0, 0.1, (1, 3, 5))), (0.0,))
    found = []
    for neuron in (ms.neurons.mif(), ms.neurons.mif_netlist()):
        filters = ms.neurons.AlphaFilter(tau=0.3e-3), ms.neurons.ExponentialFilter(tau=0.1e-3)
        layers = [
            ms.networks.Layer((w.shape[0], w.shape[1]), ms.arrays.Crossbar(), filter=f, neuron=neuron)
            for w, f in zip(weights, filters, strict=True)
        ]
        network = ms.networks.Feedforward(tuple(layers))

        def last(weights, network=network):
            out = ms.networks.simulate(network, network.program(weights), events, steps=60, dt=5e-6)[-1]
            return out[-1].sum(), out

        found.append(jax.jit(jax.value_and_grad(last, has_aux=True))(weights))
    (_, theirs), (_, ours) = (one[0] for one in found)
    assert np.ptp(theirs) > 1e-3
    np.testing.assert_allclose(ours, theirs, atol=0.02 * np.ptp(theirs))
    for a, b in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(b, a, atol=0.05 * np.abs(a).max())


def test_an_experiment_takes_a_deck(tmp_path):
    (tmp_path / "mine.cir").write_text(MIF_DECK)
    changes = ["neuron=netlist", f"neuron.deck={tmp_path / 'mine.cir'}", "neuron.substeps=2"]
    settings = ms.experiments.resolve("memprop-digits", changes)[1]
    assert eqx.tree_equal(settings.neuron, ms.neurons.mif_netlist(substeps=2))
    with pytest.raises(ms.InputError, match="does not exist"):
        ms.experiments.resolve("memprop-digits", ["neuron=netlist", "neuron.deck=none.cir"])
