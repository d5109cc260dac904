"""Sizes as people read them."""

from __future__ import annotations

import pytest

from jupyter_ext.bytes_format import format_bytes


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1434, "1.4 KiB"),
        (3 << 20, "3 MiB"),
        (340 << 20, "340 MiB"),
        (12.5 * 2**30, "12.5 GiB"),
        (5000 << 40, "5000 TiB"),
        (-2048, "-2 KiB"),
    ],
)
def test_sizes_are_written_in_binary_units(num_bytes: float, text: str) -> None:
    assert format_bytes(num_bytes) == text
