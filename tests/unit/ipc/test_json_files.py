"""What processes that were killed leave of a file that they were writing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from jupyter_ext.ipc.json_files import ReservedFile, remove_unfinished, write_json


def test_what_the_dead_left_goes_and_what_the_living_write_stays(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    for name in (f".exit.json.{ended.pid}", f".checkpoint-7.pt.{ended.pid}", ".error.json.reserved"):
        (tmp_path / name).touch()
    kept = {f".labels.json.{os.getpid()}", ".hidden", ".bashrc.bak", "checkpoint-7.pt", f"x.{ended.pid}"}
    for name in kept:
        (tmp_path / name).touch()
    write_json(tmp_path / "spec.json", {})
    ReservedFile(tmp_path / "output.json", 100)
    remove_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept | {"spec.json"}
    remove_unfinished(tmp_path / "not there")
