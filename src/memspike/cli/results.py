"""What a run has found, on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

from memspike.cli.console import out
from memspike.experiments.table import printed
from memspike.parts import units


def print_result(result: dict[str, Any], expected: str) -> None:
    """The headline of a result.json beside what is `expected`, and its rows with the columns that it declares."""
    out.print(f"{result['headline']}; {expected}", markup=False, soft_wrap=True)
    if result.get("rows"):
        out.print(printed(result), markup=False, soft_wrap=True)


def print_accuracy(result: dict[str, Any], expected: str) -> None:
    """Test accuracy of the network, and of noisy chips where there are some."""
    spread = f" ± {100 * result['test_accuracy_sd']:.2f}" if result["seeds"] > 1 else ""
    out.print(f"test accuracy [bold]{100 * result['test_accuracy']:.2f}{spread} %[/bold], {expected}")
    if "chips" in result:
        out.print(
            f"{result['chips']} chips with programming spread and read noise: "
            f"{100 * result['chips_accuracy']:.2f} ± {100 * result['chips_accuracy_sd']:.2f} %"
        )


def print_rows(rows: list[dict[str, Any]]) -> None:
    """The rows of a study as a table; accuracies of aged chips as sentences."""
    if rows and "age_s" not in rows[0]:
        _print_table(rows)
        return
    for row in rows:
        held = "" if row["compensation"] == "none" else f", compensation {row['compensation']}"
        out.print(
            f"{units.duration(row['age_s'])} after programming{held}: "
            f"{100 * row['accuracy_mean']:.2f} ± {100 * row['accuracy_sd']:.2f} %"
        )


def _print_table(rows: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        found = (row.get(column, "") for column in columns)
        table.add_row(*(f"{x:.4g}" if isinstance(x, float) else str(x) for x in found))
    # as wide as it is: a terminal wraps it, a file keeps it
    wide = Console(file=out.file, width=10_000)
    wide.width = wide.measure(table).maximum
    wide.print(table)
