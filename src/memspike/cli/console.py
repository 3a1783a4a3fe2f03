"""Where the program writes: results to the output, progress and errors to the error output."""

from rich.console import Console

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)
