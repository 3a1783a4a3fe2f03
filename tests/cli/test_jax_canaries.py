"""The two JAX faults that would silently ruin this library; see the pin in pyproject.toml."""

from memspike.cli import checks


def test_vmapped_matrix_vector_sum_is_right():
    assert checks.vmapped_sum_error() < 1e-4


def test_recorded_scans_take_linear_time():
    """A ratio of times per step, not a time: about 8 where every step copies the record."""
    assert min(checks.recorded_scan_growth() for _ in range(3)) < 4
