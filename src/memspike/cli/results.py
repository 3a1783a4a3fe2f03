"""What a run has found, on the terminal."""

from typing import Any

from memspike.cli.console import out
from memspike.experiments.table import printed


def print_result(result: dict[str, Any], expected: str) -> None:
    """The headline of a result.json beside what is `expected`, and its rows with the columns that it declares."""
    out.print(f"{result['headline']}; {expected}", markup=False, soft_wrap=True)
    if result.get("rows"):
        out.print(printed(result), markup=False, soft_wrap=True)
