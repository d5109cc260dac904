"""How the table is written: with columns of fixed width, so that each row can be printed when it comes."""

from __future__ import annotations

from benchmarks.support.results import Change
from benchmarks.support.rows import Row

_WIDTHS = (60, 17, 28, 17, 8, 12, 8)
_HEAD = ("what", "measured", "beside", "its figure", "ratio", "goal", "")
_HEAD_OF_CHANGES = ("before", "now")


def head(compared: bool) -> str:
    """Return the line above the rows."""
    return _line((*_HEAD, *(_HEAD_OF_CHANGES if compared else ())))


def line(row: Row, change: Change | None = None) -> str:
    """Return a row's line, with how it changed where it is compared."""
    cells = [
        row.name,
        "" if row.is_left_out else _figure(row.measured, row.unit),
        row.peer,
        "" if row.peer_measured is None else _figure(row.peer_measured, row.unit),
        "" if row.ratio is None else f"{row.ratio:.3g}x",
        "" if row.goal is None else str(row.goal),
        {True: "met", False: "MISSED", None: ""}[row.met],
    ]
    if change is not None:
        cells += [change.before_text, change.text]
    return _line(cells)


def _figure(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{text} {unit}".rstrip()


def _line(cells: tuple[str, ...] | list[str]) -> str:
    """Put cells under each other; one that is too long moves those behind it only as far as it must."""
    text, end = "", 0
    for number, cell in enumerate(cells):
        text += cell
        end += _WIDTHS[number] if number < len(_WIDTHS) else 14
        text = text.ljust(end - 1) + " "
    return text.rstrip()
