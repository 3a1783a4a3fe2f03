"""Pages and figures of online learning, from run folders without any training."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike import report
from memspike.arrays import ledger
from memspike.devices.pcm import PCM
from memspike.devices.step import SoftBounds
from memspike.experiments.table import ERROR, SCHEME, WRITES, Column, declared
from memspike.report import online_figures as draw
from memspike.report import web
from memspike.report.study_figures import by_scheme
from memspike.report.web import png
from memspike.training.costs import reading
from memspike.training.folder import RunFolder

PATTERNS, STEPS, NEURONS, EPOCHS, SEEDS = 3, 100, 8, 12, 3
SAID = {"headline": "what came out", "source": "Demirağ et al., arXiv 2108.01804", "seeds": SEEDS, "seed": 0}
RESULT = SAID | {
    "experiment": "pcm-eprop",
    "kind": "generation",
    "scheme": "mixed-precision",
    "last_epochs": 10,
    "rate_limit_hz": 120.0,
    "target_rate_hz": 12.0,
    "devices_per_side": 4,
    "endurance": 1e8,
    "set_energy_j": 10e-12,
    "reset_energy_j": 30e-12,
    "mse_median": 0.04,
    "mse_q1": 0.03,
    "mse_q3": 0.05,
    "mse": [0.03, 0.04, 0.05],
    "diverged": 0,
    "rate_hz": 11.5,
    "writes_per_device": 0.15,
    "sets_per_device": 0.15,
    "resets_per_device": 0.0,
    "writes_most": 7,
    "endurance_used": 7e-8,
    "energy_j": 7.287e-8,
    "mse_zero_output": 0.2,
    "epochs": EPOCHS,
    "wall_s": 12.5,
    "ms_per_seed_and_epoch": 300.0,
}


def history(loss=lambda e, s: 0.2 * 0.9**e * (1 + 0.1 * s), **columns):
    return [
        {"epoch": e, "seed": s, "loss": loss(e, s), "rate": 5.0 + e, **{k: f(e, s) for k, f in columns.items()}}
        for e in range(1, EPOCHS + 1)
        for s in range(SEEDS)
    ]


def samples():
    rng = np.random.default_rng(0)
    t = np.arange(STEPS) / STEPS
    target = np.stack([np.sin(2 * np.pi * (k + 1) * t) for k in range(PATTERNS)])[..., None].astype(np.float32)
    z = (rng.random((PATTERNS, STEPS, NEURONS)) < 0.05).astype(np.uint8)
    return {"y": 0.8 * target, "target": target, "z": z, "dt": np.asarray(1e-3)}


def snapshots():
    rng = np.random.default_rng(1)
    edges = np.linspace(-12e-6, 12e-6, 82)
    counts = {
        name: np.stack([np.histogram(rng.normal(0, 1e-6 * (k + 1), size), edges)[0] for k in range(4)])
        for name, size in (("input", 100), ("recurrent", 64), ("output", 8))
    }
    return {"edges": edges, "epochs": np.array([3, 6, 9, 12]), **counts}


def folder_of(path, result, metrics=None, arrays=(), about=None):
    """A finished run as training leaves it."""
    folder = RunFolder(path)
    path.mkdir()
    (path / "config.toml").write_text('experiment = "mine"\n\n[learning]\nrate = 0.1\n')
    if about:
        folder.write_json("run.json", about)
    folder.write_json("environment.json", {"python": "3.11", "packages": {"jax": "0"}})
    folder.write_json("result.json", result)
    if metrics is not None:
        folder.write_csv("metrics.csv", metrics)
    for name, content in arrays:
        folder.write_arrays(name, content)
    return path


def whole(path, result=RESULT, metrics=None, about=None):
    arrays = (("samples.npz", samples()), ("snapshots.npz", snapshots()))
    return folder_of(path, result, history() if metrics is None else metrics, arrays, about)


def pictures(folder):
    return {p.stem: p.stat().st_size for p in (folder / "figures").glob("*.png")}


def test_page_of_a_run_has_its_figures_and_facts(call, tmp_path):
    out = whole(tmp_path / "run")
    status, text, error = call("report", out)
    assert status == 0, error
    assert f"report: {out / 'report.html'}\n" in text
    drawn = pictures(out)
    assert set(drawn) == {"loss", "targets", "spikes", "conductances"}
    assert min(drawn.values()) > 10000
    page = (out / "report.html").read_text()
    assert page.count("<figure class=plot") == 4
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    for words in (
        "mean squared error 0.0400",
        "0.03 to 0.05",
        "0.2; the median is 20 % of it",
        "0.15 (0.15 SET, 0 RESET)",
        "7e-06 % of 1e+08 pulses",
        "72.9 nJ, at 10 pJ a SET and 30 pJ a RESET: the energy of a pulse is an assumption of the configuration",
        "<td>11.5 Hz</td>",
        "<td>12 Hz</td>",
        "12.5 s",
        "300.0 ms",
        "[learning]",
        "&quot;python&quot;: &quot;3.11&quot;",
    ):
        assert words in page, words


def test_expected_line_stands_on_the_page(tmp_path):
    about = {"expected": "error 0.02", "reference": "Demirağ et al.", "command": "memspike run <mine>", "settings": []}
    page = report.write_report(whole(tmp_path / "run", about=about)).read_text()
    assert "<p class=note>expected error 0.02; Demirağ et al.</p>" in page
    assert "<code>memspike run &lt;mine&gt;</code>" in page


@pytest.mark.parametrize("about", [None, {"expected": "", "reference": "", "settings": []}])
def test_nothing_is_expected_of_a_run_with_other_settings(tmp_path, about):
    page = report.write_report(whole(tmp_path / "run", about=about)).read_text()
    assert "expected " not in page
    assert "2108.01804" not in page


def test_energy_is_told_by_kind_of_pulse(tmp_path):
    both = RESULT | {"sets_per_device": 0.3, "resets_per_device": 0.1, "energy_j": 6e-9}
    page = report.write_report(whole(tmp_path / "run", both)).read_text()
    assert "<td>SET pulses</td><td>3 nJ</td><td>50.0 %</td>" in page
    parts = {"write_energy_j": 1e-9, "read_energy_j": 3e-9}
    page = report.write_report(whole(tmp_path / "parts", both | parts)).read_text()
    assert "<td>reading: in the devices</td><td>3 nJ</td><td>75.0 %</td>" in page
    unknown = {k: v for k, v in both.items() if k != "reset_energy_j"}
    assert "SET and RESET pulses" in report.write_report(whole(tmp_path / "unknown", unknown)).read_text()


def test_energy_that_was_not_counted_is_named_and_not_drawn(tmp_path):
    page = report.write_report(whole(tmp_path / "run")).read_text()
    rest = "wires, converters and drivers, adding partial sums, neurons"
    assert f"Not counted in this run: reading: in the devices, {rest}." in page
    assert "<td>wires</td>" not in page
    booked = report.write_report(whole(tmp_path / "booked", RESULT | {"read_energy_j": 1e-9})).read_text()
    assert "<td>reading: in the devices</td><td>1 nJ</td>" in booked
    assert "<td>SET pulses</td>" in booked
    assert f"Not counted in this run: {rest}, the reads of the trials." in booked
    nothing = report.write_report(whole(tmp_path / "unknown", RESULT | {"energy_j": 0.0})).read_text()
    assert "Not counted in this run: programming the devices (the energy of a pulse is not known), reading" in nothing
    unwritten = RESULT | {"energy_j": 0.0, "writes_per_device": 0.0}
    assert (
        "programming the devices (no pulses were sent)"
        in report.write_report(whole(tmp_path / "exact", unwritten)).read_text()
    )


def test_reads_that_a_scheme_books_are_counted():
    one = jax.vmap(lambda scale: ledger.read(jnp.ones((2, 3, 4)), scale * jnp.ones(3), 1e-6))(jnp.array([1.0, 2.0]))
    found = reading((one, one), 2)
    assert found == {"read_energy_j": pytest.approx(2 * (1 + 4) / 2 * 24e-6, rel=1e-5)}  # no wires, no wire energy
    assert reading((jax.vmap(lambda _: ledger.empty((2, 3, 4)))(jnp.arange(2)),), 2) == {}


def test_text_in_samples_cannot_end_their_script():
    assert "</script>x" not in web.inside("</script>x")[:-9]


def test_a_run_without_a_finite_loss_has_a_page(tmp_path):
    lost = {key: float("nan") for key in ("mse_median", "mse_q1", "mse_q3", "rate_hz")}
    result = RESULT | lost | {"mse": [float("inf")] * SEEDS, "diverged": SEEDS}
    out = tmp_path / "run"
    whole(out, result, history(lambda e, s: float("nan"), rate=lambda e, s: float("nan")))
    broken = samples()
    broken["y"][:] = np.nan
    broken["z"][:] = 0
    RunFolder(out).write_arrays("samples.npz", broken)
    page = report.write_report(out).read_text()
    assert "mean squared error not finite" in page
    assert "3 of 3 (error not finite, or more than 120 Hz)" in page
    assert page.count("<figure class=plot") == 4


def test_digital_weights_have_a_sentence_in_place_of_conductances(tmp_path):
    out = whole(tmp_path / "run", RESULT | {"digital": True, "scheme": "fp32"})
    page = report.write_report(out).read_text()
    assert set(pictures(out)) == {"loss", "targets", "spikes"}
    assert "The scheme fp32 keeps the weights in digital memory: there are no devices." in page
    assert "none: the scheme fp32" in page
    assert " nJ, at" not in page


@pytest.mark.parametrize("key", ["kind", "headline", "source"])
def test_a_result_of_an_older_version_is_one_sentence(call, tmp_path, key):
    out = whole(tmp_path / "run", {k: v for k, v in RESULT.items() if k != key})
    status, _, error = call("report", out)
    assert status == 2
    assert f"was written by an older version: it lacks {key}." in error
    assert error.count("\n") == 1


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(ms.InputError, match="Did you mean 'generation'"):
        report.write_report(whole(tmp_path / "run", RESULT | {"kind": "generations"}))


def test_rows_need_columns_and_show_no_others(tmp_path):
    result = SAID | {"experiment": "mine", "kind": "table", "rows": [{"a": 0.5, "b": 3}]}
    with pytest.raises(ms.InputError, match="lacks columns"):
        report.write_report(folder_of(tmp_path / "none", result))
    columns = declared([Column("a", "share", "percent", digits=1), Column("c", "lacking")])
    page = report.write_report(folder_of(tmp_path / "run", result | {"columns": columns})).read_text()
    assert "what came out" in page
    assert "<th scope=col>share</th><th scope=col>lacking</th></tr></thead>" in page
    assert "<tr><td>50.0 %</td><td></td></tr>" in page


@pytest.mark.parametrize("name", ["metrics.csv", "samples.npz", "environment.json", "config.toml"])
def test_a_missing_file_is_one_sentence(call, tmp_path, name):
    out = whole(tmp_path / "run")
    (out / name).unlink()
    status, _, error = call("report", out)
    assert status == 2
    assert f"it lacks {name}." in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["metrics.csv", "samples.npz", "result.json"])
def test_a_broken_file_is_one_sentence(tmp_path, name):
    out = whole(tmp_path / "run")
    (out / name).write_text("epoch,seed\n1,x\n")
    with pytest.raises(ms.InputError, match="cannot be read"):
        report.write_report(out)


def spoken(seeds=SEEDS):
    return SAID | {
        "experiment": "eprop-spoken",
        "kind": "classification",
        "test_accuracy": 0.912,
        "test_accuracy_sd": 0.01,
        "test_accuracies": [0.91] * seeds,
        "scheme": "mixed-precision",
        "rate_hz": 40.0,
        "writes_per_device": 0.4,
        "sets_per_device": 0.4,
        "resets_per_device": 0.0,
        "writes_most": 9,
        "energy_j": 1e-6,
        "seeds": seeds,
        "epochs": EPOCHS,
        "train_examples": 2700,
        "test_examples": 300,
        "wall_s": 9.0,
    }


def test_accuracies_get_a_page_with_curves(tmp_path):
    """Of epochs without a measurement the cell is empty."""
    rows = history(test_accuracy=lambda e, s: 0.05 * e + 0.01 * s if e % 4 == 0 else None)
    out = folder_of(tmp_path / "run", spoken(), rows)
    page = report.write_report(out).read_text()
    assert set(pictures(out)) == {"loss"}
    for words in ("91.20 ± 1.00 %", "<td>2700</td>", "<td>300</td>", "1 µJ"):
        assert words in page, words
    epochs, _, table = draw._by_epoch(
        [{k: np.nan if v is None else v for k, v in r.items()} for r in rows], "test_accuracy"
    )
    assert epochs == [4, 8, 12]
    np.testing.assert_allclose(table[-1], [0.6, 0.61, 0.62])


def test_accuracies_with_rows_and_arrays_draw_what_is_there(tmp_path):
    result = spoken() | {"rows": [{"speaker": "a", "accuracy_mean": 0.9}, {"speaker": "b", "rate_hz": 3.0}]}
    columns = (Column("speaker", "speaker", "text"), Column("accuracy_mean", "accuracy", "percent", digits=0))
    result["columns"] = declared(columns)
    arrays = (("snapshots.npz", snapshots()), ("samples.npz", {"z": samples()["z"], "dt": np.asarray(1e-3)}))
    out = folder_of(tmp_path / "run", result, history(), arrays)
    page = report.write_report(out).read_text()
    assert set(pictures(out)) == {"loss", "spikes", "conductances"}
    assert (
        "<th scope=col>accuracy</th></tr></thead><tbody><tr><td>a</td><td>90 %</td></tr><tr><td>b</td><td></td>" in page
    )


def data(line, axis):
    """The x or y of a line as numbers."""
    return np.asarray(line.get_data()["xy".index(axis)], dtype=float)


def table_rows():
    rows = []
    for k, scheme in enumerate(("fp32", "mixed-precision 4 a side", "sign")):
        for c, condition in enumerate(("full", "no drift") if k else ("full",)):
            median = 0.01 * 4**k * (1 - 0.3 * c)
            quartiles = {"mse_q1": 0.8 * median, "mse_q3": 1.4 * median}
            row = {"scheme": scheme, "condition": condition, "mse_median": median, **quartiles}
            rows.append(row | {"writes_per_device": 0.1, "energy_j": 1e-8, "diverged": k, "seeds": 5})
    rows[-1] |= {"mse_median": float("inf"), "mse_q3": float("inf"), "diverged": 4}
    return rows


def schemes(rows, *texts):
    columns = declared((*texts, ERROR, WRITES))
    return SAID | {"experiment": "mine", "kind": "schemes", "rows": rows, "columns": columns, "mse_zero_output": 0.2}


CONDITION = Column("condition", "condition", "text")


def test_table_of_schemes_has_a_page_without_accuracy(tmp_path):
    out = folder_of(tmp_path / "run", schemes(table_rows(), SCHEME, CONDITION))
    page = report.write_report(out).read_text()
    assert pictures(out)["study"] > 10000
    assert "what came out" in page
    assert page.count("<td>mixed-precision 4 a side</td>") == 2


def marks(axis):
    """Places and heights of the medians on the axis; legend entries have no data."""
    return [
        (float(x[0]), float(y[0]))
        for line in axis.get_lines()
        if line.get_marker() not in ("None", "", None, "_", "|")
        and len(x := data(line, "x"))
        and len(y := data(line, "y"))
    ]


def test_schemes_stand_where_their_medians_are():
    rows = table_rows()
    figure = by_scheme(schemes(rows, SCHEME, CONDITION))
    axis = figure.axes[0]
    found = marks(axis)
    assert [y for _, y in found[:-1]] == pytest.approx([r["mse_median"] for r in rows[:-1]])
    assert [round(x) for x, _ in found] == [0, 1, 1, 2, 2]
    assert len({x for x, _ in found}) == len(rows)
    assert found[-1][1] < axis.get_ylim()[1]
    assert axis.get_yscale() == "log"
    assert {t.get_text() for t in axis.texts} == {"1/5", "2/5", "4/5"}
    silent = [line for line in axis.get_lines() if str(line.get_label()).startswith("zero-output")]
    np.testing.assert_allclose(data(silent[0], "y"), 0.2)
    alone = by_scheme(schemes([row for row in rows if row["condition"] == "full"], SCHEME))
    assert len({x for x, _ in marks(alone.axes[0])}) == 3
    assert png(alone)


def test_medians_of_the_loss_are_numpy_medians_and_lost_losses_rank_last():
    rows = history(lambda e, s: np.nan if s == 2 and e > 6 else 0.2 / e * (1 + s))
    axis = draw.training_curves(rows, baseline=0.2, rate=12.0).axes[0]
    (line,) = [x for x in axis.get_lines() if str(x.get_label()).startswith("median")]
    expected = [0.2 / e * 2 for e in range(1, EPOCHS + 1)]
    np.testing.assert_allclose(data(line, "y"), expected)
    assert axis.get_ylim()[1] < 1.0
    assert axis.get_yscale() == "log"


def test_targets_and_outputs_say_their_errors():
    made = samples()
    made["y"][1] = 0.0
    titles = [a.get_title() for a in draw.targets_and_outputs(made).axes]
    error = np.square(made["target"][1]).mean()
    assert titles[1] == f"pattern 2: error {error:.3g}"
    assert len(titles) == PATTERNS


def test_rasters_show_every_spike_and_the_rate():
    made = samples()
    axes = draw.spike_rasters(made, 12.0).axes
    dots = axes[0].get_lines()[0]
    step, neuron = np.nonzero(made["z"][0])
    np.testing.assert_allclose(data(dots, "x"), step + 1.0)
    np.testing.assert_allclose(data(dots, "y"), neuron)
    rate = data(axes[PATTERNS].get_lines()[0], "y")
    assert len(rate) == STEPS // 20
    assert rate.mean() == pytest.approx(made["z"][0].mean() / 1e-3)


def test_many_patterns_take_several_lines():
    made = {k: v if k == "dt" else np.concatenate([v, v])[:5] for k, v in samples().items()}
    assert sum(a.get_visible() for a in draw.targets_and_outputs(made).axes) == 5
    assert sum(a.get_visible() for a in draw.spike_rasters(made).axes) == 10


@pytest.mark.parametrize("kept", [1, 4])
def test_conductances_show_the_counts(kept):
    made = snapshots()
    made = {k: v if k == "edges" else v[:kept] for k, v in made.items()}
    figure = draw.conductances_over_time(made, 4)
    mesh = figure.axes[0].collections[0]
    np.testing.assert_allclose(np.ma.filled(np.ma.asarray(mesh.get_array()), 0), made["input"])
    assert "mean of 4 devices a side (µS)" in figure.get_supxlabel()
    left, right = figure.axes[-2].get_xlim()
    seen = sum(made[name].sum(0) for name in ("input", "recurrent", "output"))
    inside = made["edges"][:-1][seen > 0] * 1e6
    assert left <= inside.min()
    assert right >= inside.max()
    assert right < 13


def test_cumulative_curve_goes_through_the_published_means():
    axis = report.cumulative_curve(PCM(g_max=20e-6)).axes[0]
    (mean,) = [x for x in axis.get_lines() if str(x.get_label()).startswith("mean")]
    (published,) = [x for x in axis.get_lines() if str(x.get_label()).startswith("published")]
    at = np.searchsorted(data(mean, "x"), data(published, "x"))
    np.testing.assert_allclose(data(mean, "y")[at], data(published, "y"), atol=0.15)
    assert len(report.cumulative_curve().axes[0].get_lines()) == 3


def test_cumulative_curve_is_for_one_pcm_device():
    with pytest.raises(ms.InputError, match="SoftBounds was given"):
        report.cumulative_curve(SoftBounds())
    with pytest.raises(ms.InputError, match="at least 1"):
        report.cumulative_curve(PCM(), 0)
    with pytest.raises(ms.InputError, match="many"):
        report.cumulative_curve(PCM(nu=jnp.full(3, 0.04)))


def test_write_grids_have_a_page(tmp_path):
    names, x = ["N = 1", "update-ready"], np.linspace(-1e-5, 1e-5, 5)
    parts = {"source": x, "target": x, "mean": np.tile(x, (5, 1)), "sd": np.full((5, 5), 1e-6)}
    grids = {f"{part}_{k}": value for k in range(2) for part, value in parts.items()}
    columns = declared([Column("writer", "writer", "text"), Column("error", "error", "fixed", "µS²", 2)])
    rows = [{"writer": name, "error": 0.32e-12} for name in names]
    result = SAID | {"experiment": "mine", "kind": "writes", "rows": rows, "columns": columns, "g_max": 12e-6}
    out = folder_of(tmp_path / "run", result, arrays=[("grids.npz", grids)])
    page = report.write_report(out).read_text()
    assert set(pictures(out)) == {"writes", "cumulative"}
    assert page.count("<td>0.32 µS²</td>") == 2
