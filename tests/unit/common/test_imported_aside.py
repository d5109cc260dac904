"""A module is imported in a thread, once, and one that is not there fails where it is used."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from jupyter_ext.engine.common.imported_aside import ImportedAside


async def test_it_is_imported_once_and_not_by_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_module.py").write_text("import threading\nBY = threading.get_ident()\n")
    aside = ImportedAside("slow_module")
    aside.begin()
    await aside.ready()
    found = sys.modules.pop("slow_module")
    assert threading.get_ident() != found.BY
    await aside.ready()
    assert "slow_module" not in sys.modules, "it was imported again"


async def test_one_that_is_not_there_stops_nobody() -> None:
    await ImportedAside("no_module_of_this_name").ready()
