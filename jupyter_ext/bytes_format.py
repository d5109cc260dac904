"""Write a number of bytes for people, the same way everywhere."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def format_bytes(num_bytes: float) -> str:
    """Return a size in binary units with up to three digits or one decimal: `512 B`, `1.4 KiB`, `3 MiB`, `340 GiB`.

    Args:
        num_bytes: Bytes; a negative number keeps its sign.
    """
    size, unit = float(num_bytes), 0
    while abs(size) >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    text = f"{size:.0f}" if unit == 0 or abs(size) >= 100 else f"{size:.1f}".removesuffix(".0")
    return f"{text} {_UNITS[unit]}"
