"""The study of write accuracy, from its run to its page."""

import pytest

import memspike as ms
from memspike import report
from memspike.experiments import resolve


def test_write_accuracy_is_an_experiment_with_a_page(tmp_path):
    """Grids of the four writers and the curve of pulses, in numbers and on the page."""
    settings = resolve("pcm-writes", ("points=5", "repeats=60")).settings
    result = ms.experiments.run(settings, tmp_path / "run")
    errors = {row["writer"]: row["error"] for row in result["rows"]}
    assert list(errors) == ["N = 1", "N = 8", "N = 16", "update-ready"]
    assert errors["update-ready"] < 0.4 * min(errors["N = 1"], errors["N = 16"])
    known = {1: 2.06, 2: 3.43, 4: 5.26, 8: 7.15, 12: 8.09, 16: 8.62, 20: 8.91}
    for n, mean in known.items():
        assert abs(1e6 * result[f"g_after_{n}"] - mean) < 0.1
    page = report.write_report(tmp_path / "run").read_text()
    assert page.count("<figure") == 2
    with pytest.raises(ms.InputError, match="seeds is 2; allowed for pcm-writes: 1"):
        ms.experiments.run(resolve("pcm-writes", ("seeds=2",)).settings, tmp_path / "two")
    assert not (tmp_path / "two").exists()
