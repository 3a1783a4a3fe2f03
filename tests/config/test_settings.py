"""Configuration: names, files, overrides, units, and one sentence for everything that is wrong."""

import pytest

import memspike as ms
from memspike.experiments.settings import parse_value, resolve
from memspike.parts import units


def test_layers_of_settings(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('experiment = "memprop-digits"\nseeds = 2\n[training]\nepochs = 7\nbatch = 16\n')
    _, config = resolve(str(file), ["training.epochs=5", "dt=25us"], seeds=4)
    assert (config.seeds, config.training.epochs, config.training.batch) == (4, 5, 16)
    assert config.simulation.dt == pytest.approx(25e-6)
    assert config.simulation.steps == 32


def test_quick_comes_before_what_the_user_says():
    experiment, quick = resolve("memprop-digits", quick=True)
    assert quick.training.epochs == experiment.quick["training.epochs"]
    _, config = resolve("memprop-digits", ["epochs=3"], quick=True)
    assert config.training.epochs == 3


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
    ],
)
def test_units(text, unit, value):
    assert units.parse(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("value", "unit"), [(90e-6, "S"), (1e-9, "F"), (0.0183, "V"), (1e9, "Ω"), (0.0, "A"), (-0.05, "V")]
)
def test_shown_quantities_parse_back(value, unit):
    assert units.parse(units.show(value, unit), unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("memprop-digit", [], "Did you mean 'memprop-digits'"),
        ("absent.toml", [], "does not exist"),
        ("memprop-digits", ["training.epoch=3"], "Did you mean 'training.epochs'"),
        ("memprop-digits", ["tau=1ms"], "ambiguous; allowed: network.tau, synapse.tau"),
        ("memprop-digits", ["epochs"], "no '='"),
        ("memprop-digits", ["epochs=0"], "training.epochs is 0"),
        ("memprop-digits", ["epochs=three"], "training.epochs is 'three'"),
        ("memprop-digits", ["dt=50uF"], "unknown unit 'uF'"),
        ("memprop-digits", ["dt=fast"], "'fast' is not a number"),
        ("memprop-digits", ["dt=nan"], "simulation.dt"),
        ("memprop-digits", ["g_min=200uS"], "g_min must be below g_max"),
        ("memprop-digits", ["hidden=[0]"], "network.hidden"),
        ("memprop-digits", ["window=[0.9,0.1]"], "two ascending shares"),
        ("memprop-digits", ["times=[0s,1us]"], "at least width apart"),
        ("memprop-digits", ["experiment=x"], "cannot be set"),
        ("memprop-digits", ["seeds=0"], "seeds is 0"),
    ],
)
def test_wrong_settings_are_one_sentence(name, overrides, words):
    with pytest.raises(ms.InputError) as error:
        resolve(name, overrides)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiment = ", "not valid TOML"),
        ("seeds = 3", "needs a line like"),
        ('experiment = "memprop-digits"\n[trainning]\nepochs = 3', "training.epochs"),
    ],
)
def test_wrong_files(tmp_path, text, words):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(ms.InputError, match=words):
        resolve(str(file))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("neuron=mfi", "Did you mean 'mif'"),
        ("m1=knwom", "Did you mean 'knowm'"),
        ("integrator=euler", "Unknown integrator 'euler'"),
        ("synapse.model=dynamic", "Did you mean 'dynamical'"),
        ("loss=window", "Did you mean 'windowed'"),
        ("rule=bptx", "Did you mean 'bptt'"),
        ("scheme=perfect", "Unknown scheme"),
        ("data.name=mnits", "Did you mean 'mnist'"),
        ("batch=5000", "training.batch is 5000"),
    ],
)
def test_wrong_names_stop_before_anything_is_written(tmp_path, setting, words):
    _, config = resolve("memprop-digits", [setting])
    with pytest.raises(ms.InputError, match=words):
        ms.experiments.run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
