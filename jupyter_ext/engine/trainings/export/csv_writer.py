"""Metrics as CSV: one point a line."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_ext.engine.trainings.export.points import Stretch

_HEADER = b"metric,rank,step,time,value\n"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvWriter:
    """Numbers are written as Python reads them back: exact, with `nan`, `inf` and `-inf`. Times are seconds since 1970."""

    def begin(self) -> bytes:
        """Return the names of the columns."""
        return _HEADER

    def add(self, piece: Sequence[Stretch]) -> bytes:
        """Return a line for each point."""
        lines = []
        for part in piece:
            begin = f"{_quoted(part.key)},{_quoted(part.rank)},"
            columns = part.steps.tolist(), part.times.tolist(), part.values.tolist()
            lines += [
                f"{begin}{step!r},{time!r},{value!r}\n" for step, time, value in zip(*columns, strict=True)
            ]
        return "".join(lines).encode("utf-8", "replace")

    def end(self) -> bytes:
        """Return nothing: the last line is the end."""
        return b""


def _quoted(text: str) -> str:
    """Return a text as a field; one that a spreadsheet would take for a formula is kept a text."""
    safe = f"'{text}" if text.startswith(_FORMULA) else text
    if any(sign in safe for sign in '",\r\n'):
        return '"' + safe.replace('"', '""') + '"'
    return safe
