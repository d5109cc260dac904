"""Large data of a notebook: written once, told, linked by what uses it, and gone with the last of that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from integration_tools import EngineUnderTest
from kernel_tools import Kernel

from jupyter_ext.engine.trainings.artifacts import large_files

SIZE = 100 << 20


def _kept(engine: EngineUnderTest) -> list[Path]:
    folder = engine.where.data_dir / "blobs"
    return sorted(folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize(
    "code",
    [
        "%%train large --as run\ndef train(): return len(data)",
        "run = jx.train(uses, name='large')",
        "run = jx.train(takes, x=data, name='large')",
    ],
)
def test_large_data_is_kept_once_and_goes_with_the_last_run(
    kernel: Kernel, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    assert _kept(engine) == []
    before = set(engine.where.data_dir.rglob("*.pkl"))
    kernel.run(
        f"import os\ndata = os.urandom({SIZE})\ndef uses(): return len(data)\ndef takes(x): return len(x)"
    )
    for number in range(2):
        cell = kernel.run(f"{code}\n" if code.startswith("%") else f"{code}; run")
        assert cell.error is None, cell.traceback
        assert "100 MiB packed" in cell.text or "100 MiB" in cell.text
        assert kernel.run("run.wait().output").result == str(SIZE)
        kernel.run(f"run{number} = run")
    (kept,) = _kept(engine)
    links = [
        path for path in engine.where.data_dir.rglob("*.pkl") if path.stat().st_ino == kept.stat().st_ino
    ]
    assert len(links) == kept.stat().st_nlink - 1 == 3  # one version, two runs
    assert kernel.run("again = run.again(); again.wait().output").result == str(SIZE)
    os.utime(kept, (1, 1))
    assert kernel.run("run0.delete(); run1.delete()").error is None
    assert _kept(engine) == [kept]
    assert kernel.run("again.delete()").error is None
    assert _kept(engine) == []
    assert set(engine.where.data_dir.rglob("*.pkl")) <= before


def test_what_somebody_may_be_about_to_name_stays(tmp_path: Path) -> None:
    for name, seconds in (("new", None), (".half", 1), ("old", 1)):
        (tmp_path / name).write_bytes(b"x")
        if seconds is not None:
            os.utime(tmp_path / name, (seconds, seconds))
    (tmp_path / "folder").mkdir()
    os.link(tmp_path / "old", tmp_path / "linked")
    assert large_files.collect(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "linked", "new", "old"]
    assert large_files.collect(tmp_path / "missing") == 0


def test_what_cannot_be_pickled_leaves_nothing(kernel: Kernel, engine: EngineUnderTest) -> None:
    kernel.run(f"data = bytearray({SIZE}); lock = __import__('threading').Lock()")
    for code in ("%%train x\ndef train(): return data, lock", "jx.train(lambda: (data, lock))"):
        assert "cannot travel" in (kernel.run(code).error or "")
    assert _kept(engine) == []
