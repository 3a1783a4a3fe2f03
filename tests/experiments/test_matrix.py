"""The matrix: nothing dead, nothing silent, refusals that are true, and pairs that are all there."""

import itertools
import json
import random

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import experiments
from memspike.cells.base import AbstractCell
from memspike.config.build import classifier
from memspike.devices.base import AbstractMemoryDevice, AbstractPulseDevice, AbstractStateDevice
from memspike.devices.variation.wrappers import AbstractWrapper
from memspike.experiments.matrix import (
    ARRAYS,
    AXES,
    CELLS,
    DEVICES,
    HOSTS,
    Combination,
    Found,
    Inspector,
    choices,
    covering,
    pairs,
)
from memspike.parts import refusals
from memspike.parts.errors import InputError
from memspike.parts.fields import finals, kebab
from memspike.parts.refusals import Refusal
from memspike.parts.registry import DEVICES as NAMED
from memspike.parts.registry import RULES, SCHEMES

WORKS = Combination("bptt", "mixed-precision", "soft bounds", "differential-pair", "ideal")


@pytest.fixture(scope="module")
def inspect():
    return Inspector()


def some(count, seed=0):
    every = list(itertools.starmap(Combination, itertools.product(*choices().values())))
    return random.Random(seed).sample(every, count)


def of_memspike(base):
    """Final classes of the package; other tests may have made more."""
    return {cls for cls in finals(base) if cls.__module__.startswith("memspike.")}


def test_no_part_is_missing():
    assert set(HOSTS) == {entry.name for entry in RULES}
    assert set(CELLS) == {kebab(cls.__name__) for cls in of_memspike(AbstractCell)}
    laws = set()
    for name in DEVICES:
        combination = Combination("bptt", "ideal", name, "differential-pair", "ideal")
        try:
            device = combination.settings().synapse.device
        except Refusal:
            continue
        while isinstance(device, AbstractWrapper):
            device = device.device
        laws.add(type(device))
    assert laws == {cls for cls in of_memspike(AbstractPulseDevice) if not issubclass(cls, AbstractWrapper)}


def test_a_sample_is_traced_or_refused(inspect):
    found = {one: inspect(one) for one in some(20)}
    assert {one: what for one, what in found.items() if what.status == "failed"} == {}
    assert {"traced", "refused"} == {what.status for what in found.values()}
    assert all(what.sentence.count(". ") <= 1 for what in found.values())


@pytest.mark.full
def test_every_combination_is_traced_or_refused(inspect):
    every = itertools.starmap(Combination, itertools.product(*choices().values()))
    assert [one for one in every if inspect(one).status == "failed"] == []


def test_the_halves_of_a_step_are_the_whole_of_it(inspect):
    """What is traced in halves is traced as a whole where the training traces it."""
    for one in some(5):
        what, whole = inspect(one), Found("traced")
        try:
            classifier(one.settings())
        except Refusal as error:
            whole = Found("refused", type(error).__name__, str(error))
        assert what == whole, one


# a reason, a combination of which it is true, and the same with what the sentence asks for
TRUE = [
    ("NoGradientArray", {"scheme": "tiki-taka"}, {"cell": "stack"}),
    ("NoPair", {"scheme": "conditional-reverse", "cell": "single-reference"}, {"cell": "differential-pair"}),
    ("OneSided", {"scheme": "mixed-precision-refreshed", "cell": "range-reference"}, {"cell": "multi-device"}),
    ("FollowsVoltage", {"device": "VTEAM"}, {"device": "pulsed VTEAM"}),
    ("Volatile", {"device": "metastable switch"}, {"device": "PCM"}),
    (
        "NoLawToFollow",
        {"rule": "stdp-waveform", "scheme": "ideal"},
        {"device": "pulsed VTEAM", "cell": "range-reference"},
    ),
]


@pytest.mark.parametrize(("reason", "wrong", "right"), TRUE, ids=[one[0] for one in TRUE])
def test_refusals_of_the_matrix_are_true(inspect, reason, wrong, right):
    assert inspect(WORKS).status == "traced"
    refused = WORKS._replace(**wrong)
    assert inspect(refused)[:2] == ("refused", reason)
    assert inspect(refused._replace(**right)).status == "traced"


def test_what_is_called_volatile_forgets():
    """Two devices of every kind that is refused as volatile, set apart, are alike after an hour without a voltage."""
    made = {entry.name: entry.value() for entry in NAMED}
    for name, device in made.items():
        if isinstance(device, AbstractStateDevice) and not isinstance(device, AbstractMemoryDevice):
            assert device.volatile, name
            after, rested = forgotten(device)
            np.testing.assert_allclose(after, rested, rtol=0.05, err_msg=name)


@eqx.filter_jit
def forgotten(device):
    """Conductances an hour after 0.2 s at 1.5 V, and after as long without it."""

    def later(state, v, dt):
        return jax.lax.fori_loop(0, 200, lambda k, s: device.advance(s, jnp.asarray(v), dt), state)

    start = device.init()
    return tuple(device.conductance(later(later(start, v, 1e-3), 0.0, 18.0)) for v in (1.5, 0.0))


# what no physics or rule allows: an experiment, keys, the reason
WRONG = [
    *[("memprop-digits", [f"synapse.device={name}"], "Volatile") for name in ("mif-pair", "knowm", "nbo2", "vo2")],
    *[("eprop-spoken", [f"synapse.device={name}"], "Volatile") for name in ("threshold-switch", "diffusive")],
    *[("decolle-digits", [f"synapse.device={name}"], "FollowsVoltage") for name in ("vteam", "yakopcic")],
    *[("memprop-digits", [f"synapse.device={name}"], "FollowsVoltage") for name in ("stanford-pku", "mif-synapse")],
    ("pcm-eprop", ["synapse.device=linear-ion-drift"], "FollowsVoltage"),
    ("memprop-digits", ["synapse.device=pulsed", "synapse.device.device=mif-pair"], "Volatile"),
    *[
        ("memprop-digits", [f"learning.scheme={name}"], "NoGradientArray")
        for name in ("tiki-taka", "tiki-taka-2", "chopped-tiki-taka", "agad", "residual-tiles")
    ],
    ("memprop-digits", ["learning.scheme=agad", "synapse=stack", "synapse.tiles=4"], "OtherTiles"),
    ("decolle-digits", ["learning.scheme=conditional-reverse"], "NoPair"),
    ("memprop-digits", ["learning.scheme=conditional-reverse", "synapse=bit-sliced"], "NoPair"),
    ("decolle-digits", ["learning.scheme=mixed-precision-refreshed"], "OneSided"),
    ("stdp-patterns", ["learning.scheme=one-sided-refreshed"], "OneSided"),
    ("decolle-digits", ["learning.rule=eprop"], "NoRecurrence"),
    ("stdp-patterns", ["learning.rule=eprop"], "NoRecurrence"),
    ("memprop-digits", ["learning.rule=eprop-online", "training.batch=1"], "NoTracePerSynapse"),
    ("memprop-digits", ["learning.rule=eprop", "learning.rule.reference_order=true"], "NoTracePerSynapse"),
    (
        "memprop-digits",
        ["learning.rule=eprop", "learning.rule.feedback=adaptive", "network.layers=[9,9]"],
        "NoOutputWeights",
    ),
    ("memprop-digits", ["learning.rule=decolle"], "NoReadouts"),
    ("pcm-eprop", ["learning.rule=decolle"], "NoReadouts"),
    ("memprop-digits", ["learning.rule=stdp"], "NoWinners"),
    ("pcm-eprop", ["learning.rule=stdp-waveform"], "NoWinners"),
    ("memprop-digits", ["network=local"], "OtherNeurons"),
    ("decolle-digits", ["network=competitive", "network.layers=[8]"], "OtherNeurons"),
    ("memprop-digits", ["network=associative"], "NoNames"),
    ("memprop-digits", ["learning.objective=winner"], "NoLoss"),
    ("memprop-digits", ["learning.objective=squared-error"], "NoClasses"),
    ("pcm-eprop", ["learning.objective=smooth-maximum"], "NoStepError"),
    ("memprop-digits", ["learning.rule=eprop", "learning.objective=time-mean"], "NoStepError"),
    ("pcm-eprop", ["learning.rule=eprop-online", "training.batch=3"], "OneTrial"),
    ("stdp-patterns", ["training.batch=2"], "OneTrial"),
    ("decolle-digits", ["learning.rule=decolle-outer", "learning.optimizer=adamw"], "NotPlainDescent"),
    ("memprop-digits", ["training.update_every=5"], "OnlyAfterTrials"),
    ("stdp-patterns", ["simulation.parts=3"], "ReadOnce"),
    ("stdp-patterns-waveform", ["synapse.device=epiram"], "NoLawToFollow"),
    ("stdp-patterns-waveform", ["synapse=differential-pair"], "NoLawToFollow"),
    ("memory-retrieval", ["array.adc=adc", "array.adc.bits=8", "array.adc.range=1uA"], "Analog"),
    ("memprop-digits", ["evaluation.age=[1h]"], "NothingAges"),
    ("eprop-spoken", ["data.name=mackey-glass"], "OnlyNumbers"),
    ("eprop-regression", ["data.name=digits"], "NoNumbers"),
    ("eprop-regression", ["learning.objective=cross-entropy"], "NoNumbers"),
    ("eprop-regression", ["encoder=image-rate"], "NoNumbers"),
]


@pytest.mark.parametrize(("name", "keys", "reason"), WRONG, ids=[" ".join((w[0], *w[1])) for w in WRONG])
def test_wrong_pairs_are_refused_before_a_folder_is_made(tmp_path, name, keys, reason):
    out = tmp_path / "run"
    with pytest.raises(Refusal) as refused:
        experiments.run(experiments.resolve(name, keys, quick=True).settings, out)
    assert type(refused.value).__name__ == reason
    assert str(refused.value).endswith(".")
    assert not out.exists()


def test_every_reason_is_tested():
    every = {name for name, cls in vars(refusals).items() if isinstance(cls, type) and issubclass(cls, Refusal)}
    assert every - {"Refusal"} == {reason for *_, reason in WRONG}


def test_a_covering_set_has_every_possible_pair():
    """Under a rule that leaves no free choice to a search that never turns back."""
    names = [("a", "b", "c"), ("1", "2", "3", "4"), ("x", "y"), ("p", "q"), ("r", "s")]
    every = list(itertools.starmap(Combination, itertools.product(*names)))
    possible = [one for one in every if not (one.rule == "a" and one.scheme != "1" and one.array == "r")]
    found = covering(possible)
    assert set(found) <= set(possible)
    wanted = {pair for one in possible for pair in pairs(one)}
    assert {pair for one in found for pair in pairs(one)} == wanted
    assert len(found) <= 1.5 * 3 * 4
    assert covering(possible[:1]) == possible[:1]
    assert covering([]) == []


def test_a_small_matrix(tmp_path):
    keys = ["study.rule=[bptt]", "study.scheme=[ideal,sign-gain]", "study.device=[ideal,VTEAM]", "study.trained=1"]
    keys += ["study.cell=[differential-pair,stack]", "study.array=[ideal]", "study.processes=1"]
    out = tmp_path / "run"
    result = experiments.run(experiments.resolve("matrix", keys).settings, out)
    assert len(result["rows"]) == 8
    assert result["counts"] == {"run": 1, "traced": 3, "refused": 4}
    assert set(result["rows"][0]) == {*AXES, "status", "reason", "accuracy_mean"}
    assert result["rows"][0]["accuracy_mean"] > 0.8
    assert result["rows"][-1]["reason"] == "FollowsVoltage"
    assert "VTEAM" in result["reasons"]["FollowsVoltage"]
    assert "8 combinations: 4 possible, 4 refused for 1 reason, 0 failed; 1 trained" in result["headline"]
    (out / "result.json").unlink()
    again = experiments.run(experiments.resolve("matrix", keys).settings, out, resume=True)  # nothing is done twice
    assert again["rows"] == result["rows"] == json.loads((out / "result.json").read_text())["rows"]


@pytest.mark.parametrize("axis", AXES)
def test_unknown_names_are_told(tmp_path, axis):
    with pytest.raises(InputError, match=f"Unknown {axis} of the matrix 'idealll'"):
        experiments.run(experiments.resolve("matrix", [f"study.{axis}=[idealll]"]).settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_training_can_be_repeated_by_its_own_file(tmp_path):
    """The run of a combination is an ordinary run folder."""
    settings = Combination("decolle", "fp32", "ideal", "differential-pair", "ideal").settings()
    assert settings.experiment == "memprop-digits"
    assert set(ARRAYS) == {"ideal", "wires", "wires, tiles, converters"}
    assert {entry.name for entry in SCHEMES} == set(choices()["scheme"])
