"""Configuration: names, files, overrides, units, and one sentence for everything that is wrong."""

import re

import equinox as eqx
import jax
import numpy as np
import pytest
import tomli_w

import memspike as ms
from memspike.config.resolve import DEVICE_KEYS, checked, merged, parse_value, put, written
from memspike.experiments import resolve
from memspike.learning import Symmetric
from memspike.parts import units
from memspike.parts.errors import FEW
from memspike.parts.registry import EXPERIMENTS
from memspike.parts.written import keys_of

NAMES = [entry.name for entry in EXPERIMENTS]


def settings_of(*overrides, name="memprop-digits", **options):
    return resolve(name, overrides, **options).settings


def test_later_changes_win(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('experiment = "memprop-digits"\nseeds = 2\n[training]\nepochs = 7\nbatch = 16\n')
    settings = settings_of("training.epochs=5", "dt=25us", name=str(file), seeds=4)
    assert (settings.seeds, settings.training.epochs, settings.training.batch) == (4, 5, 16)
    assert settings.simulation.dt == pytest.approx(25e-6)
    assert settings.simulation.steps == 32


def test_quick_comes_before_what_the_user_says():
    experiment, quick, changed = resolve("memprop-digits", quick=True)
    assert quick.training.epochs == experiment.quick["training.epochs"]
    assert not changed
    _, settings, changed = resolve("memprop-digits", ["epochs=3"], quick=True)
    assert settings.training.epochs == 3
    assert changed
    assert not resolve("memprop-digits", ["seed=3"], seeds=2).changed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("1e-3", 1e-3),
        ("true", True),
        ("mif", "mif"),
        ("[400]", [400]),
        ("[0s, 1ms]", ["0s", "1ms"]),
        ("[]", []),
        ('"3"', "3"),
        ("{type='absolute', sd=1.0}", {"type": "absolute", "sd": 1.0}),
    ],
)
def test_values(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("50us", "s", 50e-6),
        ("50 µs", "s", 50e-6),
        ("1h", "s", 3600),
        ("0.1", "V", 0.1),
        ("100mV", "V", 0.1),
        ("90uS", "S", 90e-6),
        ("1kohm", "Ω", 1e3),
        ("-5e-1V", "V", -0.5),
        ("100us", "s", 1e-4),  # which 100 · 1e-6 is not
        ("1.5e3 nS", "S", 1.5e-6),
    ],
)
def test_units(text, unit, value):
    assert units.parse(text, unit) == value


@pytest.mark.parametrize(
    ("value", "unit"), [(90e-6, "S"), (1e-9, "F"), (0.0183, "V"), (1e9, "Ω"), (0.0, "A"), (-0.05, "V")]
)
def test_shown_quantities_parse_back(value, unit):
    assert units.parse(units.show(value, unit), unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["synapse.device.g_max=20uS"], lambda s: s.synapse.device.g_max == np.float32(20e-6)),
        (["rule=eprop", "learning.rule.feedback=symmetric"], lambda s: type(s.learning.rule.feedback) is Symmetric),
        (["rule=eprop", "feedback_gain=0.5"], lambda s: s.learning.rule.feedback_gain == 0.5),
        (["array.r_row=1"], lambda s: s.array.r_row == 1.0),
        (["array.adc=adc", "array.adc.bits=6", "array.adc.range=20uA"], lambda s: float(s.array.adc.bits) == 6),
        (["layers=[400]"], lambda s: [layer.size for layer in s.network.layers] == [400]),
        (["neuron.m1=knowm"], lambda s: float(s.neuron.m1.tau) > 0),
        (["fabrication.spread.g_max=0.1"], lambda s: s.fabrication.spread == {"g_max": 0.1}),
        (["learning.scheme=agad"], lambda s: s.learning.scheme.name == "agad"),
        (["evaluation.age=[1h,1month]"], lambda s: s.evaluation.age == (3600.0, 2629746.0)),
        (["array.tile=none"], lambda s: s.array.tile is None),
        (["array.tile=[64,64]"], lambda s: s.array.tile == (64, 64)),
    ],
)
def test_keys_reach_the_parts(keys, value):
    assert value(settings_of(*keys))


def test_keys_of_one_layer_change_that_layer_alone():
    s = settings_of("network.layers.0.neuron.m1.v_on=90mV", "network.layers=[8,6]", "network.layers.1.neuron.e1=20mV")
    first, second = s.network.layers
    assert [layer.size for layer in s.network.layers] == [8, 6]
    assert float(s.neuron.m1.v_on) != pytest.approx(0.09)
    assert first.neuron is None, "a new list of layers says nothing of their neurons"
    assert float(second.neuron.e1) == pytest.approx(0.02)
    assert eqx.tree_equal(second.neuron.m1, s.neuron.m1)
    s = settings_of("network.layers.0.neuron.m1.v_on=90mV", "neuron.m2.tau=3ms")
    (only,) = s.network.layers
    assert float(only.neuron.m1.v_on) == pytest.approx(0.09)
    assert float(only.neuron.m2.tau) == float(s.neuron.m2.tau) == pytest.approx(3e-3)
    s = settings_of("network.layers.1.synapse.device=pcmo")
    assert [layer.size for layer in s.network.layers] == [settings_of().network.layers[0].size, None]
    assert type(s.network.layers[1].synapse.device) is not type(s.synapse.device)


def test_another_type_keeps_the_keys_that_both_have():
    before = settings_of("synapse.scale=0.5")
    after = settings_of("synapse.scale=0.5", "synapse=multi-device", "synapse.per_side=3")
    assert type(after.synapse) is not type(before.synapse)
    assert float(after.synapse.scale) == float(before.synapse.scale) == 0.5
    assert after.synapse.per_side == 3
    back = settings_of("synapse.scale=0.5", "synapse=multi-device", "synapse.per_side=3", "synapse=differential-pair")
    assert eqx.tree_equal(back.synapse, before.synapse)
    rate = settings_of("learning.optimizer.learning_rate=0.25", "optimizer=sgd").learning.optimizer
    assert (rate.name, float(rate.options()["learning_rate"])) == ("sgd", 0.25)


def test_a_device_is_whole_and_the_type_that_is_there_keeps_its_values():
    found = settings_of("synapse.device.g_min=2uS", "synapse.device=pcm")
    assert eqx.tree_equal(found.synapse.device, ms.devices.PCM())
    assert found.fabrication.preset == "pcm"
    filters = [settings_of(*keys).network.input_filter for keys in ([], ["network.input_filter=alpha"])]
    assert eqx.tree_equal(*filters)
    inner = settings_of("synapse.device.device.g_max=30uS", name="stdp-patterns")
    assert inner.fabrication.preset == settings_of(name="stdp-patterns").fabrication.preset != ""


def test_merged_tables():
    old = {"a": {"type": "x", "k": 1, "device": {"type": "p", "g": 2}}, "rows": [{"size": 3}, 4]}
    assert merged(old, {"a": {"k": 5}})["a"] == {"type": "x", "k": 5, "device": {"type": "p", "g": 2}}
    assert merged(old, {"a": {"device": "q"}})["a"]["device"] == {"type": "q"}
    assert merged(old, {"rows": {"1": {"size": 9}}})["rows"] == [{"size": 3}, {"size": 9}]
    assert merged(old, {"rows": {"2": {"size": 9}}})["rows"] == [{"size": 3}, 4, {"size": 9}]
    assert merged(old, {"rows": [1]})["rows"] == [1]
    assert put({}, "a.b.c", 3) == {"a": {"b": {"c": 3}}}
    with pytest.raises(ms.InputError, match="Entry 7 does not exist"):
        merged(old, {"rows": {"7": {}}})


WRONG = [
    ("memprop-digit", [], "Did you mean 'memprop-digits'"),
    ("absent.toml", [], "does not exist"),
    # names
    ("memprop-digits", ["training.epoch=3"], "Did you mean 'epochs'"),
    ("memprop-digits", ["epoch=3"], "Did you mean 'epochs'"),
    ("memprop-digits", ["traning.epochs=3"], "Did you mean 'training.epochs'"),
    ("memprop-digits", ["tau=1ms"], "ambiguous; allowed: network.filter.tau, network.input_filter.tau"),
    ("memprop-digits", ["experiment=x"], "cannot be set"),
    ("memprop-digits", ["epochs"], "no '='"),
    ("memprop-digits", ["neuron=mfi"], "Did you mean 'mif'"),
    ("memprop-digits", ["neuron.m1=knwom"], "Did you mean 'knowm'"),
    ("memprop-digits", ["neuron.integrator=euler"], "Did you mean 'forward-euler'"),
    ("memprop-digits", ["network.reading=dynamic"], "Did you mean 'dynamical'"),
    ("memprop-digits", ["objective=window"], "Did you mean 'windowed'"),
    ("memprop-digits", ["rule=bptx"], "Did you mean 'bptt'"),
    ("memprop-digits", ["scheme=perfect"], "Unknown learning.scheme 'perfect'; see: memspike list schemes"),
    ("memprop-digits", ["data.name=mnits"], "Did you mean 'mnist'"),
    ("pcm-eprop", ["learning.rule.feedback=randm"], "allowed: adaptive, random, symmetric. Did you mean 'random'"),
    # kinds that do not fit
    ("memprop-digits", ["neuron.m1=pcm"], "neuron.m1 is 'pcm', a PCM; a relaxing device is needed"),
    (
        "memprop-digits",
        ["synapse.device=knowm"],
        "synapse.device is 'knowm', a MetastableSwitch, which forgets without a voltage; a pulse device",
    ),
    ("memprop-digits", ["array.adc.bits=6"], "array.adc is 'identity'; types that have it: dac, adc"),
    ("memprop-digits", ["learning.rule.feedback=symmetric"], "learning.rule is 'bptt'; types that have it: eprop"),
    ("memprop-digits", ["synapse=3"], "synapse is 3; a name or a table is needed"),
    ("memprop-digits", ["synapse.device=none.toml"], "none.toml does not exist"),
    ("memprop-digits", ["epochs={a=1}"], "training.epochs"),
    ("memprop-digits", ["network.layers=3"], "a list of tables is needed"),
    ("memprop-digits", ["learning.rule=none"], "learning.rule"),
    # numbers, units, bounds
    ("memprop-digits", ["epochs=0"], "training.epochs is 0"),
    ("memprop-digits", ["epochs=three"], "training.epochs is 'three'; a whole number is needed"),
    ("memprop-digits", ["epochs=true"], "training.epochs is True; a whole number is needed"),
    ("pcm-eprop", ["neuron.refractory=2.5"], "neuron.refractory is 2.5; a whole number is needed"),
    ("pcm-eprop", ["neuron.refractory=-1"], "neuron.refractory is -1"),
    ("memprop-digits", ["batch=-4"], "training.batch is -4"),
    ("memprop-digits", ["seeds=0"], "seeds is 0"),
    ("memprop-digits", ["dt=50uF"], "unknown unit 'uF'"),
    ("memprop-digits", ["dt=fast"], "'fast', which is not a number in s"),
    ("memprop-digits", ["dt=1e308"], "simulation.dt is 1e+308 s"),
    ("memprop-digits", ["g_min=200uS"], "g_min must be below g_max"),
    ("memprop-digits", ["network.layers=[0]"], "network.layers.0.size is 0"),
    ("memprop-digits", ["network.layers.5.size=3"], "Entry 5 does not exist"),
    ("memprop-digits", ["array.two_sided=1"], "array.two_sided is 1; true or false is needed"),
    ("memprop-digits", ["array.tile=[64]"], "array.tile has 1 entries; 2 are needed"),
    # not a number, in numbers and in lists
    ("memprop-digits", ["dt=nan"], "simulation.dt is nan"),
    ("memprop-digits", ["synapse.device.g_max=nan"], "synapse.device.g_max is nan"),
    ("memprop-digits", ["synapse.device.g_max=inf"], "synapse.device.g_max is inf"),
    ("memprop-digits", ["times=[0,inf]"], "encoder.times is inf"),
    ("memprop-digits", ["evaluation.age=[1h,nan]"], "evaluation.age is nan"),
    ("pcm-eprop", ["learning.optimizer.rates=[nan,nan,nan]"], "learning.optimizer.rates is nan"),
    ("pcm-eprop", ["learning.rule.rate_weight=nan"], "learning.rule.rate_weight is nan"),
    # what fits alone but not together
    ("memprop-digits", ["objective.start=0.9", "objective.stop=0.1"], "two ascending shares"),
    ("memprop-digits", ["times=[0s,1us]"], "at least the width of a pulse"),
]


@pytest.mark.parametrize(
    ("name", "overrides", "words"), WRONG, ids=lambda x: " ".join(x) if isinstance(x, list) else ""
)
def test_wrong_settings_are_one_short_sentence(name, overrides, words):
    with pytest.raises(ms.InputError) as error:
        resolve(name, [o.replace("objective.st", "learning.objective.st") for o in overrides])
    said = str(error.value)
    assert words in said
    assert "\n" not in said
    assert said.endswith((".", "?"))
    for listed in re.findall(r"(?:allowed|such as|types that have it): ([^.;]*)", said):
        assert listed.count(",") < FEW, f"a long list: {said}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiment = ", "not valid TOML"),
        ("seeds = 3", "needs a line like"),
        ('experiment = "memprop-digits"\n[trainning]\nepochs = 3', "Did you mean 'training'"),
        ('experiment = "memprop-digits"\n[training]\nepoch = 3', "Did you mean 'epochs'"),
        ('experiment = "memprop-digits"\n[synapse.device]\ntype = "pcmm"', "Did you mean 'pcm'"),
    ],
)
def test_wrong_files(tmp_path, text, words):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ms.InputError, match=words):
        resolve(str(file))


def test_a_part_may_be_a_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('type = "soft-bounds"\ng_max = "30uS"\npulses_up = 50\n')
    device = settings_of(f"synapse.device={file}", "synapse.device.pulses_down=20").synapse.device
    assert type(device).__name__ == "SoftBounds"
    np.testing.assert_allclose([device.g_max, device.pulses_up, device.pulses_down], [30e-6, 50, 20], rtol=1e-6)
    file.write_text("type = ")
    with pytest.raises(ms.InputError, match="is not TOML"):
        settings_of(f"synapse.device={file}")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("neuron=mfi", "Did you mean 'mif'"),
        ("data.name=mnits", "Did you mean 'mnist'"),
        ("training.batch=5000", "training.batch is 5000"),
        ("rule=eprop-online", "shows one trial at a time"),
        ("rule=stdp", "needs a winner-take-all layer"),
        ("neuron=trace-lif", "neuron is a TraceLIF; this kind of network needs membranes or spikes"),
        ("scheme=agad", "needs a gradient array beside the weight array"),
        ("learning.objective=winner", "has no loss"),
        ("evaluation.age=[1h]", "evaluation.age needs devices that age"),
        ("training.update_every=4", "by decolle alone"),
    ],
)
def test_what_is_wrong_stops_before_anything_is_written(tmp_path, setting, words):
    with pytest.raises(ms.InputError, match=re.escape(words)) as error:
        ms.experiments.run(settings_of(setting), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("name", NAMES)
def test_written_settings_read_back_as_a_file_are_the_same(name, quick, tmp_path):
    settings = resolve(name, quick=quick).settings
    file = tmp_path / "config.toml"
    file.write_text(tomli_w.dumps(written(settings)))
    again = resolve(str(file)).settings
    assert written(again) == written(settings)
    ours, theirs = (jax.tree.leaves(eqx.filter(s, eqx.is_array)) for s in (settings, again))
    for one, two in zip(ours, theirs, strict=False):
        np.testing.assert_array_equal(one, two)


def test_what_was_taken_away_stays_away_in_a_file(tmp_path):
    taken = ["evaluation.fine_dt", "array.drive", "training.checkpoint_every"]
    experiment = EXPERIMENTS.get("memprop-digits").value
    settings = resolve("memprop-digits", [f"{key}=none" for key in taken]).settings
    file = tmp_path / "config.toml"
    file.write_text(tomli_w.dumps(written(settings, experiment.tables)))
    again = resolve(str(file)).settings
    assert (again.evaluation.fine_dt, again.array.drive, again.training.checkpoint_every) == (None, None, None)
    assert written(again) == written(settings)
    usual = resolve("memprop-digits").settings
    assert written(usual, experiment.tables) == written(usual)
    nominal = resolve("pcm-eprop", ["learning.scheme.quantum=none"]).settings
    assert written(nominal, {"learning": {"scheme": {"quantum": 0.1}}})["learning"]["scheme"]["quantum"] == "none"


# one of every kind of network; the others have the same parts with other values
ONE_BY_ONE = {"memprop-digits", "pcm-eprop", "decolle-digits", "stdp-patterns", "memory-retrieval"}


@pytest.mark.parametrize("name", NAMES)
def test_every_key_can_be_set_to_its_own_value(name):
    """All together; names one by one, numbers those of a table at once: only a device's name stands for all it has."""
    experiment = EXPERIMENTS.get(name).value
    tables = {"experiment": name, **experiment.tables}
    settings = checked(experiment.root, tables)
    wanted, together = written(settings), dict(tables)
    apart: dict[tuple[str, bool], dict] = {}
    for key in keys_of(settings):
        several = isinstance(key.value, str) and key.value.endswith(" tables")
        if several or key.path == "experiment":
            continue
        assert key.doc, key.path
        together = put(together, key.path, key.value)
        named = isinstance(key.value, str)
        at = (key.path if named else key.path.rpartition(".")[0], named)
        apart[at] = put(apart.get(at, dict(tables)), key.path, key.value)
    for (path, named), changed in apart.items() if name in ONE_BY_ONE else ():
        whole = named and path.rsplit(".", 1)[-1] in DEVICE_KEYS
        assert written(checked(experiment.root, changed)) == wanted or whole, path
    assert written(checked(experiment.root, together)) == wanted


@pytest.mark.parametrize("name", ["decolle-digits", "stdp-patterns", "memprop-digits", "pcm-eprop"])
def test_another_device_on_a_written_file_brings_what_follows_from_it(name, tmp_path):
    """Reference and published spread are those of the new device, as they are without the file."""
    file = tmp_path / "config.toml"
    file.write_text(tomli_w.dumps(written(resolve(name).settings)))
    again = resolve(str(file), ["synapse.device=pcmo"]).settings
    assert written(again) == written(resolve(name, ["synapse.device=pcmo"]).settings)


def test_an_optional_part_can_be_taken_away():
    assert resolve("decolle-digits").settings.array.drive is not None
    assert resolve("decolle-digits", ["array.drive=none"]).settings.array.drive is None
