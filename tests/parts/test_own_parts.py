"""Parts of users: files, modules and installed packages that register them; what is wrong is one sentence."""

import hashlib
import json
import sys
import tomllib
from typing import Any

import numpy as np
import pytest

import memspike as ms
from memspike.config.resolve import preset_of
from memspike.parts import imports
from memspike.parts.processes import each
from memspike.parts.registry import DEVICES, NEURONS, REGISTRIES

# one of every kind, short; annotations as texts, as many write them
PARTS = """
from __future__ import annotations

from typing import Annotated, ClassVar

import jax.numpy as jnp
import numpy as np

import memspike as ms
from memspike import Parameter, param
from memspike.experiments import Experiment, classification, classify, register


@ms.register("device", "own-steps", "equal steps that end softly")
class OwnSteps(ms.devices.AbstractStepDevice):
    source: ClassVar[str] = "a test"
    volatile: ClassVar[bool] = False
    g_min: Parameter = param(1e-6, "S", "lowest conductance", bounds=(0.0, 1.0))
    g_max: Parameter = param(10e-6, "S", "highest conductance", bounds=(0.0, 1.0))
    pulses: Parameter = param(60.0, "1", "pulses of a full sweep", bounds=(1.0, 1e9))

    def response(self, share, pulses):
        return jnp.clip(share + pulses / self.pulses, 0.0, 1.0)


@ms.register("neuron", "own-leak", "a leaky integrator")
class OwnLeak(ms.neurons.AbstractNeuron):
    capacitance: Parameter = param(1e-9, "F", "membrane capacitance", bounds=(1e-15, 1.0))
    leak: Parameter = param(20e-6, "S", "leak conductance", bounds=(1e-12, 1.0))

    def rest(self):
        return jnp.zeros_like(self.leak)

    def init(self, shape=()):
        return jnp.zeros(shape)

    def voltage(self, state):
        return state

    def step(self, state, current, dt):
        v = state - jnp.expm1(-dt * self.leak / self.capacitance) * (current / self.leak - state)
        return v, v


@ms.register("neuron", "own-slow", "the same, with twice the capacitance")
def slow() -> OwnLeak:
    return OwnLeak(capacitance=2e-9)


@ms.register("rule", "own-rule", "backpropagation, scaled")
class OwnRule(ms.learning.AbstractRule):
    source: ClassVar[str] = "a test"
    spread_batch: ClassVar[bool] = True
    segments: ClassVar[bool] = False
    finite: ClassVar[bool] = True
    sees_devices: ClassVar[bool] = False
    scale: float = ms.option(1.0, "factor of every change", bounds=(0.0, 10.0))

    def check(self, network, objective, batch):
        ms.learning.BPTT().check(network, objective, batch)

    def keys(self, key):
        return ms.learning.BPTT().keys(key)

    def init(self, view, optimizer, batch, *, key):
        return ms.learning.BPTT().init(view, optimizer, batch, key=key)

    def prepare(self, view, *, key):
        return ms.learning.untouched(view)

    def update(self, state, view, batch, optimizer, *, key):
        state, change, metrics = ms.learning.BPTT().update(state, view, batch, optimizer, key=key)
        return state, tuple(self.scale * dw for dw in change), metrics

    def run(self, state, view, x, *, key):
        return ms.learning.BPTT().run(state, view, x, key=key)

    def classes(self, state, predicted):
        return predicted


@ms.register("scheme", "own-scheme", "whole pulses, rounded by chance")
@ms.learning.checked
def own_scheme(most: Annotated[float, ms.Meta("1", "largest number of pulses", (1, 1e9))] = 1e9) -> ms.learning.Scheme:
    def count(state, crossbar, cells, dw, *, key):
        wanted = jnp.clip(dw / ms.learning.nominal_step(crossbar, None, dw), -most, most)
        return state, jnp.round(wanted) if key is None else ms.learning.stochastic_rounding(wanted, key=key)

    return ms.learning.compose(ms.learning.Counting(lambda crossbar, cells: (), count))


ms.register("encoder", "own-image", "images on rows of another voltage")(ms.data.AmplitudeEvents)


@ms.register("dataset", "own-data", "two diagonals")
def own_data() -> ms.data.Dataset:
    y = np.arange(120) % 2
    x = np.where(y[:, None, None] == 1, np.eye(6), np.eye(6)[::-1])
    return ms.data.Dataset("own-data", *(part for k in (slice(80), slice(80, None)) for part in (
        x[k].astype(np.float32), y[k].astype(np.int32))), classes=2, full_scale=1.0)


register(
    Experiment(
        "own-experiment",
        {
            "data": {"name": "own-data"},
            "encoder": "own-image",
            "network": {"layers": [6]},
            "neuron": "own-leak",
            "synapse": {"device": "own-steps"},
            "learning": {"rule": {"type": "own-rule", "scale": 0.5}, "scheme": {"type": "own-scheme", "most": 20.0}},
            "training": {"epochs": 2, "batch": 20},
        },
        {},
        1.0,
        1.0,
        "a test",
        carry=classify,
        prepare=classification,
        headline=lambda result: f"test accuracy {result['test_accuracy']:.1%}",
        kind="classification",
    ),
    "everything is one's own",
)
"""
NAMES = {
    "devices": "own-steps",
    "neurons": "own-leak",
    "rules": "own-rule",
    "schemes": "own-scheme",
    "encoders": "own-image",
    "datasets": "own-data",
    "experiments": "own-experiment",
}


@pytest.fixture
def forgotten(monkeypatch, tmp_path):
    """What a test brings is forgotten after it, as are the modules that it made; it runs in a folder of its own."""
    for registry in REGISTRIES.values():
        registry.load()
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    monkeypatch.setattr(imports, "_brought", {})
    monkeypatch.setattr(imports, "_installed", {})
    monkeypatch.setattr(imports, "_state", dict(imports._state))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_every_kind_of_part_comes_in_by_import_and_back_from_its_folder(forgotten, call):
    """Listed, shown, run, resumed, exported, loaded, drawn: the folder knows where its parts are."""
    (forgotten / "my_parts.py").write_text(PARTS)
    status, out, _ = call("list", "--json", "--import", "my_parts.py")
    assert status == 0
    listed = json.loads(out)
    for kind, name in NAMES.items():
        assert name in {entry["name"] for entry in listed[kind]}
    status, out, _ = call("show", "own-steps", "--no-figures", "--import", "my_parts.py")
    assert (status, "pulses of a full sweep" in out, "source: a test" in out) == (0, True, True)
    status, out, err = call("run", "own-experiment", "--import", "my_parts.py", "--set", "leak=10uS", "--out", "run")
    assert status == 0, err
    tables = tomllib.loads((forgotten / "run/config.toml").read_text())
    assert tables["imports"] == [str(forgotten / "my_parts.py")]
    assert tables["learning"]["rule"] == {"type": "own-rule", "scale": 0.5}
    assert tables["neuron"]["leak"] == pytest.approx(10e-6)
    run = ms.load("run")
    assert run.accuracy().tolist() == run.result["test_accuracies"]
    assert call("run", "own-experiment", "--set", "leak=10uS", "--out", "run", "--resume")[0] == 0
    assert call("export", "run")[0] == 0
    assert call("report", "run")[0] == 0
    assert ms.experiments.resolve("own-experiment", ["neuron=own-slow"]).settings.neuron.capacitance == 2e-9


CLI = ["run", "memprop-digits", "--import", "own_parts.py", "--set", "network.layers.0.neuron=own-leak", "--out", "run"]
TINY = ["network.layers=[4]", "data.train=64", "data.test=20", "training.epochs=1", "training.batch=32"]
TINY += ["seeds=1", "evaluation.chips=0", "evaluation.fine_dt=none"]


def test_a_changed_file_is_noticed_on_resume(forgotten, call):
    """What a finished run says again is enough: the check comes before any training."""
    file = forgotten / "own_parts.py"
    file.write_text(PARTS.split('@ms.register("rule"')[0])
    command = [*CLI, *(word for key in TINY for word in ("--set", key))]
    assert call(*command)[0] == 0
    kept = json.loads((forgotten / "run/environment.json").read_text())["parts"]
    assert kept["own_parts.py"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert call(*command, "--resume")[0] == 0
    file.write_text(file.read_text() + "\n# other\n")
    status, _, said = call(*command, "--resume")
    assert status == 2
    assert "own_parts.py has changed since run was started (its content is another)" in said.replace("\n", " ")
    environment = json.loads((forgotten / "run/environment.json").read_text())
    (forgotten / "run/environment.json").write_text(json.dumps(environment | {"parts": {}}))
    assert call(*command, "--resume")[0] == 0


def test_another_version_of_a_package_is_noticed(forgotten, monkeypatch):
    monkeypatch.setattr(imports, "versions", lambda: {"laboratory": "version 2.0", "new.py": "0" * 64})
    imports.check_unchanged({"laboratory": "version 2.0", "gone.py": "1" * 64}, forgotten)
    imports.check_unchanged(None, forgotten)
    with pytest.raises(ms.InputError, match=r"laboratory has changed since .* \(version 1.0 then, version 2.0 now\)"):
        imports.check_unchanged({"laboratory": "version 1.0"}, forgotten)


def test_a_file_that_moved_is_asked_for(forgotten, monkeypatch):
    (forgotten / "sub").mkdir()
    (forgotten / "sub/steps.py").write_text(PARTS.split('@ms.register("rule"')[0])
    mine = forgotten / "mine.toml"
    mine.write_text('experiment = "memprop-digits"\nimports = ["steps.py"]\nneuron = "own-leak"\n')
    with pytest.raises(ms.InputError, match=r"parts of .*steps\.py, which is not there any more; .* --import"):
        ms.experiments.resolve(str(mine))
    imports.bring("sub/steps.py")
    assert type(ms.experiments.resolve(str(mine)).settings.neuron).__name__ == "OwnLeak"
    mine.write_text('experiment = "memprop-digits"\nimports = "steps.py"\n')
    with pytest.raises(ms.InputError, match=r"imports in .*mine\.toml is 'steps\.py'; a list"):
        ms.experiments.resolve(str(mine))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\ndef f(:\n", "bad.py, line 2: invalid syntax."),
        ("import memspike\n\nx = y\n", "bad.py, line 3: NameError: name 'y' is not defined."),
        ("def f():\n    raise ValueError\n\nf()\n", "bad.py, line 2: ValueError."),
        ("import sys\nsys.exit(3)\n", "bad.py, line 2: SystemExit: 3."),
        ("import missing_package\n", "bad.py, line 1: ModuleNotFoundError: No module named 'missing_package'."),
        ("x = 1\n", "bad.py registers nothing; name its parts with memspike.register"),
        (
            'import memspike as ms\nms.register("device", "pcm", "mine")(ms.devices.PCM)\n',
            "bad.py, line 2: The device 'pcm' is registered twice: in memspike.devices.presets.published, line ",
        ),
        (
            'import memspike as ms\nfor _ in "12":\n    ms.register("rule", "mine", "mine")(ms.learning.BPTT)\n',
            "bad.py, line 3: The rule 'mine' is registered twice: in bad.py, line 3 and in bad.py, line 3.",
        ),
        (
            'import memspike as ms\nms.register("devize", "mine", "mine")(ms.devices.PCM)\n',
            "optimizer, encoder, dataset, experiment. Did you mean 'device'?",
        ),
        (
            'import memspike as ms\nms.register("device", "my device", "x")\n',
            "is 'my device'; letters, digits and",
        ),
        ('import memspike as ms\nms.register("device", "mine", "")\n', "needs one sentence that says what it is."),
        (
            'import memspike as ms\nms.register("device", "mine", "x")(ms.devices.PCM())\n',
            "was given a PCM; a class, or a function that makes one, is needed: def mine() -> PCM: return …",
        ),
        (
            'import memspike as ms\n@ms.register("device", "mine", "x")\ndef mine():\n    return ms.devices.PCM()\n',
            "the function mine does not say what it returns; write such as def mine() -> memspike.devices.SoftBounds.",
        ),
        (
            'import memspike as ms\nms.register("experiment", "mine", "x")(1)\n',
            "needs a memspike.experiments.",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence_and_nothing_of_it_stays(forgotten, call, code, said):
    before = {kind: [e.name for e in registry] for kind, registry in REGISTRIES.items()}
    (forgotten / "bad.py").write_text(code)
    status, out, err = call("list", "devices", "--import", "bad.py")
    assert (status, out) == (2, "")
    assert said in err
    assert (err.startswith("memspike: bad.py"), len(err.splitlines())) == (True, 1)
    assert "bad" not in sys.modules
    assert {kind: [e.name for e in registry] for kind, registry in REGISTRIES.items()} == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("my_part.py", "The file my_part.py to import does not exist. Did you mean 'my_parts.py'?"),
        ("no/such.py", "The file no/such.py to import does not exist."),
        ("sub.py", "sub.py is a folder; a file (.py) or the name of a module is needed."),
        ("my_parts", "There is no module"),
        ("json.py", "json.py has the name of a module that is there already"),
        ("json", "json registers nothing"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(forgotten, call, given, said):
    (forgotten / "sub.py").mkdir()
    (forgotten / "json.py").write_text("")
    if given != "my_parts":
        (forgotten / "my_parts.py").write_text("")
    status, _, err = call("list", "--import", given)
    assert (status, said in err) == (2, True), err


def test_a_file_is_imported_once_with_what_lies_beside_it(forgotten):
    (forgotten / "beside.py").write_text("VALUE = 3e-6\n")
    code = "import memspike as ms\nimport beside\n\n\n@ms.register('device', 'own', 'x')\n"
    code += "def own() -> ms.devices.ConstantStep:\n    return ms.devices.ConstantStep(g_min=beside.VALUE)\n"
    (forgotten / "own_parts.py").write_text(code)
    for given in ("own_parts.py", "./own_parts.py", str(forgotten / "own_parts.py"), "own_parts"):
        imports.bring(given)
    device: Any = ms.devices.find("own")
    assert float(device.g_min) == pytest.approx(3e-6)
    assert str(DEVICES.get("own").place) == "own_parts.py, line 5"
    assert imports.recorded()[0] == str(forgotten / "own_parts.py")


def test_processes_beside_this_one_know_own_parts(forgotten):
    (forgotten / "own_parts.py").write_text(PARTS.split('@ms.register("neuron"')[0])
    imports.bring("own_parts.py")
    found = dict(each(preset_of, ["own-steps", {"type": "own-steps"}], 2))
    assert found == {0: "own-steps", 1: "own-steps"}


def test_cells_of_a_notebook_may_be_run_again(forgotten):
    cell = "import memspike as ms\n\n\n@ms.register('neuron', 'own', 'x')\nclass Own(ms.neurons.LIF):\n    pass\n"
    space = {"__name__": "__main__"}
    for _ in range(2):
        exec(compile(cell, "<cell 1>", "exec"), space)
    assert NEURONS.get("own").value is space["Own"]
    assert imports.recorded() == []


def test_installed_packages_bring_their_parts(forgotten, monkeypatch, call):
    """By the entry point memspike.parts, when a registry is read; one that fails is named."""
    code = "import memspike as ms\nms.register('filter', 'packaged', 'x')(ms.neurons.AlphaFilter)\n"
    (forgotten / "some_package.py").write_text(code)
    about = forgotten / "some_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: some-package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[memspike.parts]\nany = some_package\n")
    monkeypatch.syspath_prepend(str(forgotten))
    monkeypatch.setitem(imports._state, "entry points", "not read")
    assert "packaged" in REGISTRIES["filters"]
    assert imports.offered() == ["some-package: some_package"]
    assert imports.recorded() == []
    REGISTRIES["filters"].forget([REGISTRIES["filters"].get("packaged")])
    (forgotten / "some_package.py").write_text("import memspike\n1 / 0\n")
    del sys.modules["some_package"]
    monkeypatch.setitem(imports._state, "entry points", "not read")
    status, _, err = call("list")
    assert status == 2
    assert "The installed package 'some-package' brings parts that fail: some_package.py, line 2: Zero" in err


def test_contracts_need_no_setting(forgotten):
    """A part that was made in single precision is checked in double precision, and nothing stays switched on."""
    (forgotten / "own_parts.py").write_text(PARTS.split('@ms.register("rule"')[0])
    imports.bring("own_parts.py")
    device = DEVICES.get("own-steps").value()
    assert np.asarray(device.g_min).dtype == np.float32
    ms.testing.check_device(device)
    ms.testing.check_neuron(NEURONS.get("own-leak").value())
    assert np.asarray(DEVICES.get("own-steps").value().g_min).dtype == np.float32
