"""Checkpoints: whole or not at all, the damaged ones skipped, the old ones gone."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.worker.sdk import checkpoint, checkpoint_files, logging


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_EXT_RUN_DIR", raising=False)
    logging._told.clear()


def steps(directory: Path) -> list[float]:
    return [item.step for item in checkpoint_files.listing(directory)]


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 4}
    saved = checkpoint.save(state, step=torch.tensor(10), directory=tmp_path)
    assert saved is not None
    assert (saved.step, saved.number, saved.path.suffix) == (10, 1, ".pt")
    found = checkpoint.latest(tmp_path)
    assert found == saved
    again = found.load()
    assert again["epoch"] == 4
    torch.testing.assert_close(again["model"], state["model"])
    assert torch.load(saved.path, weights_only=True)["epoch"] == 4
    other = torch.optim.Adam(model.parameters())
    other.load_state_dict(again["optimizer"])
    assert not list(tmp_path.glob(".*"))


def test_without_torch_it_is_a_pickle(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom jupyter_ext import checkpoint\n"
        f"checkpoint.save({{'w': [1, 2]}}, step=3, directory={str(tmp_path)!r})\n"
        f"print(checkpoint.load(directory={str(tmp_path)!r}), 'torch' in sys.modules)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    assert told.stdout == "{'w': [1, 2]} False\n"
    assert checkpoint.load(directory=tmp_path) == {"w": [1, 2]}


def test_other_objects_than_tensors_are_saved_too(tmp_path: Path) -> None:
    checkpoint.save({"path": Path("a"), "err": ValueError("x")}, step=1, directory=tmp_path)
    assert checkpoint.load(directory=tmp_path)["path"] == Path("a")


def test_the_newest_and_the_bests_stay(tmp_path: Path) -> None:
    for step, best in enumerate([False, True, False, "recall", True, False, False]):
        checkpoint.save({"step": step}, step=step, best=best, directory=tmp_path)
    assert steps(tmp_path) == [3, 4, 5, 6]
    assert checkpoint.load("best", directory=tmp_path) == {"step": 4}
    assert checkpoint.load("recall", directory=tmp_path) == {"step": 3}
    assert checkpoint.load(directory=tmp_path) == {"step": 6}
    checkpoint.save({}, step=7, keep=1, directory=tmp_path)
    assert steps(tmp_path) == [3, 4, 7]
    assert len(list(tmp_path.iterdir())) == 6


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: os.truncate(path, path.stat().st_size - 1), "bytes"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9] + b"x" * 9), "not those that were saved"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_a_damaged_one_is_skipped_with_a_notice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: Any, says: str
) -> None:
    for step in (1, 2):
        saved = checkpoint.save({"step": step}, step=step, directory=tmp_path)
    assert saved is not None
    harm(saved.path)
    assert checkpoint.load(directory=tmp_path) == {"step": 1}
    told = capsys.readouterr().err
    assert "step 2" in told
    assert says in told
    with pytest.raises(ValueError, match="not used"):
        saved.load()


def test_a_state_without_manifest_is_none_and_goes_with_the_next(tmp_path: Path) -> None:
    checkpoint.save({"step": 1}, step=1, directory=tmp_path)
    (tmp_path / "checkpoint-2.pt").write_bytes(b"half")
    (tmp_path / ".checkpoint-3.pt.999999999").write_bytes(b"half")
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.step == 1
    third = checkpoint.save({"step": 2}, step=2, directory=tmp_path)
    assert third is not None
    assert third.number == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint-1.json",
        "checkpoint-1.pt",
        "checkpoint-3.json",
        "checkpoint-3.pt",
    ]


def test_kill_in_the_middle_of_saving_leaves_the_one_before(tmp_path: Path) -> None:
    code = f"""
import os
from jupyter_ext import checkpoint
class Deadly:
    def __reduce__(self):
        os.kill(os.getpid(), 9)
checkpoint.save([b'x' * 1000000], step=1, directory={str(tmp_path)!r})
checkpoint.save([b'x' * 1000000, Deadly()], step=2, directory={str(tmp_path)!r})
"""
    ended = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3])
    assert ended.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".checkpoint-2*"))
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert (found.step, len(found.load()[0])) == (1, 1_000_000)


def test_what_cannot_be_saved_raises_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        checkpoint.save({"f": lambda: 1}, step=1, directory=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert checkpoint.latest(tmp_path) is None
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        checkpoint.load(directory=tmp_path)
    with pytest.raises(ValueError, match="keep at least 1"):
        checkpoint.save({}, keep=0, directory=tmp_path)


def test_a_full_disk_is_told_and_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint.save({"step": 1}, step=1, directory=tmp_path)

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    assert checkpoint.save({"step": 2}, step=2, directory=tmp_path) is None
    assert "disk is full" in capsys.readouterr().err
    assert checkpoint.load(directory=tmp_path) == {"step": 1}


@pytest.mark.parametrize("left_out", ["file", "number", "sha256", "bytes"])
def test_a_manifest_that_says_too_little_is_none_and_harms_no_other(tmp_path: Path, left_out: str) -> None:
    checkpoint.save({"step": 1}, step=1, directory=tmp_path)
    checkpoint.save({"step": 2}, step=2, directory=tmp_path)
    manifest = tmp_path / "checkpoint-2.json"
    told = read_json(manifest)
    del told[left_out]
    write_json(manifest, told)
    assert checkpoint.load(directory=tmp_path) == {"step": 1}
    assert steps(tmp_path) == [1]


def test_outside_of_a_run_a_directory_is_asked_for() -> None:
    assert checkpoint.latest() is None
    with pytest.raises(ValueError, match="directory="):
        checkpoint.save({})


def test_in_a_run_it_goes_to_the_run_and_is_announced(tmp_path: Path) -> None:
    report = logging.Reporter(tmp_path, "0", first_call=5)
    logging.activate(report)
    try:
        logging.log(loss=1.0)
        assert report.last_step == 5
        saved = checkpoint.save({"a": 1})
    finally:
        logging.activate(None)
        report.close()
    assert saved is not None
    assert (saved.step, saved.next_call, saved.run) == (5, 6, tmp_path.name)
    assert read_json(tmp_path / "checkpoints" / "checkpoint-1.json")["step"] == 5
    assert b'"kind": "checkpoint", "step": 5' in (tmp_path / "metrics-0-0.jnl").read_bytes()
