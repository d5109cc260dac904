"""Progress bars in a log."""

from __future__ import annotations

import pytest

from jupyter_ext.protocol.log_text import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("a\nb\n", "a\nb\n"),
        ("0%\r50%\r100%\nnext\n", "100%\nnext\n"),
        ("\r10%\r20%", "20%"),
        ("windows\r\nline\r\n", "windows\nline\n"),
        ("50%\r\n", "50%\n"),
        ("", ""),
        ("\r\r\n", "\n"),
    ],
)
def test_the_last_state_stays(text: str, folded: str) -> None:
    assert fold(text) == folded
