"""A secret that is none opens nothing: it is replaced, kept beside the new one, and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_ext.engine.common import health
from jupyter_ext.engine.common.secrets import read_or_make


@pytest.mark.parametrize("content", ["", " \n", "ab", "ä" * 64])
def test_a_file_without_a_good_secret_is_replaced_and_kept(tmp_path: Path, content: str) -> None:
    path = tmp_path / "link.secret"
    path.write_text(content)
    health.reset()
    made = read_or_make(path, lambda: "0" * 64, lambda text: len(text) == 64)
    assert made == path.read_text() == "0" * 64
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "link.secret.unreadable").read_text() == content
    assert health.is_reported(str(path))
    health.reset()
    assert read_or_make(path, lambda: "1" * 64, lambda text: len(text) == 64) == "0" * 64
    assert health.lines() == []
