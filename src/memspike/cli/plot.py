"""A small plot of dots in a terminal: two by four of them in each character."""

from collections.abc import Sequence

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a braille character, column by column


def _places(values: Sequence[float], size: int) -> tuple[list[int], float, float]:
    low, high = min(values), max(values)
    width = (high - low) or 1.0
    return [round((v - low) / width * (size - 1)) for v in values], low, high


def dots(x: Sequence[float], y: Sequence[float], *, width: int = 64, height: int = 8, plain: bool = False) -> list[str]:
    """Lines of the plot of finite points, y upwards; `plain` uses asterisks, one to a character."""
    if not x:
        return []
    fine, tall = (1, 1) if plain else (2, 4)
    columns, rows = _places(x, fine * width)[0], _places(y, tall * height)[0]
    cells = [[0] * width for _ in range(height)]
    for column, row in zip(columns, rows, strict=True):
        down = tall * height - 1 - row
        cells[down // tall][column // fine] |= 1 if plain else _DOTS[column % 2][down % 4]
    if plain:
        return ["".join("*" if cell else " " for cell in line).rstrip() for line in cells]
    return ["".join(chr(0x2800 + cell) for cell in line) for line in cells]
