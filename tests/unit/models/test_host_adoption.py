"""Hosts that an earlier engine started: one whose directory is damaged keeps no other from being adopted."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from jupyter_ext.config import locations
from jupyter_ext.engine.models.hosts.directory import HostDirectory
from jupyter_ext.engine.models.hosts.manager import HostManager
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.engine.processes.shim_process import ShimProcess
from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.channel_server import Call, serve
from jupyter_ext.ipc.frames import Buffer

STATE = {
    "device": "cpu", "dtype": None, "task": "tensors", "architecture": None, "tokenizer": False, "num_parameters": 1,
    "weights_bytes": 4, "grown_bytes": 4, "load_s": 0.1, "pid": 1, "memory_bytes": 4, "private_bytes": 4,
    "device_bytes": None, "state": "ready", "notices": [], "num_calls": 0, "num_batches": 0, "in_flight": 0,
    "used_at": 1.0, "keep_alive_s": 300.0, "expires_at": None, "pinned": False, "users": [],
}  # fmt: skip


async def answer(call: Call) -> tuple[Mapping[str, Any], Sequence[Buffer]]:
    """Answer whatever is asked with the state of a host that does nothing."""
    return {**STATE, "loaded_at": time.time()}, ()


DAMAGED: dict[str, Any] = {
    "no_socket": {"model_id": "file:/a"},
    "odd_estimate": {"model_id": "file:/b", "calls": "/none", "estimate": [1, 2, 3, 4, 5, 6, 7]},
    "odd_calls": {"model_id": "file:/c", "calls": 5, "estimate": None},
    "gone": {"model_id": "file:/d", "calls": "/no/such/socket", "estimate": None},
    "no_model": {"calls": "/none"},
    "a_list": [],
}


async def test_a_damaged_host_is_ended_and_the_others_are_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_EXT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(tmp_path / "rt"))
    where = locations()
    stopped: list[str] = []
    monkeypatch.setattr(HostDirectory, "ended", lambda self: None)
    monkeypatch.setattr(ShimProcess, "stop", lambda self, *_: stopped.append(self.run_dir.name))
    calls = tmp_path / "h.call"
    server = await serve(str(calls), answer)
    specs = {
        **DAMAGED,
        "right": {"model_id": "file:/right", "calls": str(calls), "estimate": [4, 1, None, True]},
    }
    for name, spec in specs.items():
        directory = where.hosts_dir / name
        directory.mkdir(parents=True)
        begun = run_files.claim(directory, "shim")
        assert begun is not None
        os.close(begun)
        (directory / "spec.json").write_text(json.dumps(spec))
        (directory / "host.json").write_text(json.dumps({"state": "ready"}))
    never_begun = where.hosts_dir / "no_spec"
    never_begun.mkdir()
    hosts = HostManager(cast(Environments, None), where)
    try:
        adopted = await hosts.adopt()
        assert list(adopted) == ["file:/right"]
        assert adopted["file:/right"].num_calls == 0
        assert sorted(stopped) == sorted(DAMAGED)
        assert run_files.claim(never_begun, "shim") is None  # it can no longer begin
    finally:
        await hosts.close()
        server.close()
