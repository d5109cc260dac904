"""A process under a shim: one per directory, none after it was called off, and no signal to strangers."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration_tools import until

import jupyter_ext
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail
from jupyter_ext.engine.processes.fresh_process import WorkerStartError
from jupyter_ext.engine.processes.interpreters import Interpreter
from jupyter_ext.engine.processes.outcome import outcome
from jupyter_ext.engine.processes.shim_process import ShimProcess, ended_by
from jupyter_ext.engine.sessions.outcome import ending
from jupyter_ext.ipc import json_files, processes, run_files
from jupyter_ext.ipc.json_files import ReservedFile, read_json, write_json

ROOT = Path(jupyter_ext.__file__).parent
WAITS = "import os, time\nopen('began', 'a').write(f'{os.getpid()}\\n')\nwhile not os.path.exists('go'): time.sleep(0.01)\n"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    path = tmp_path / "01jrun"
    (path / "code").mkdir(parents=True)
    manifest = {"kind": "script", "entry": "train", "label": "Cell", "source": "code.py"}
    (path / "code" / "manifest.json").write_text(json.dumps(manifest))
    (path / "code" / "code.py").write_text(WAITS)
    write_json(path / "spec.json", {"input": {}})
    return path


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        process.kill()
        process.wait()


def spec(run_dir: Path) -> dict[str, Any]:
    return {"run_dir": str(run_dir), "control": str(run_dir / "c.sock"), "cwd": str(run_dir)}


def begin_shim(run_dir: Path, started: list[subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """Start a shim as the engine does where there is no zygote."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "worker" / "bootstrap.py"), str(ROOT), "shim"],
        stdin=subprocess.PIPE,
        env=processes.with_placeholder(os.environ),
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(spec(run_dir)).encode())
    process.stdin.close()
    started.append(process)
    return process


def finish(run_dir: Path, process: subprocess.Popen[bytes]) -> None:
    (run_dir / "go").touch()
    process.wait(60)


def test_of_shims_for_one_directory_one_begins(run_dir: Path, started: list[subprocess.Popen[bytes]]) -> None:
    shims = [begin_shim(run_dir, started) for _ in range(4)]
    until(lambda: sum(shim.poll() is None for shim in shims) == 1, "all but one to end")
    winner = next(shim for shim in shims if shim.poll() is None)
    until((run_dir / "began").exists, "the worker")
    claim, start = run_files.read_claim(run_dir), run_files.read_start(run_dir)
    assert claim is not None
    assert start is not None
    assert claim["shim"]["pid"] == start["shim"]["pid"] == winner.pid
    finish(run_dir, winner)
    assert (run_dir / "began").read_text().split() == [str(start["worker"]["pid"])]
    end = ShimProcess(run_dir).end()
    assert end is not None
    assert end["code"] == 0


def test_a_start_that_was_called_off_never_begins(
    run_dir: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    assert run_files.call_off(run_dir)
    assert begin_shim(run_dir, started).wait(60) == 0
    assert not (run_dir / "start.json").exists()
    assert not (run_dir / "began").exists()
    ended = outcome(ShimProcess(run_dir))
    assert ended is not None
    assert ended.cause is not None
    assert ended.cause.kind == "start"


def test_a_directory_that_is_gone_ends_its_shim(
    run_dir: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    process = spec(run_dir / "gone")
    assert process["run_dir"] != str(run_dir)
    assert begin_shim(run_dir / "gone", started).wait(60) == 0
    assert not (run_dir / "gone").exists()


def test_what_has_begun_cannot_be_called_off(run_dir: Path, started: list[subprocess.Popen[bytes]]) -> None:
    shim = begin_shim(run_dir, started)
    until((run_dir / "began").exists, "the worker")
    ShimProcess(run_dir).fail_start("too late")
    assert ShimProcess(run_dir).end() is None
    finish(run_dir, shim)
    end = ShimProcess(run_dir).end()
    assert end is not None
    assert end["code"] == 0
    assert not (run_dir / "error.json").exists()


async def test_an_interpreter_that_ends_at_once_is_told(run_dir: Path, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 7\n")
    broken.chmod(0o700)
    process = ShimProcess(run_dir)
    interpreter = Interpreter(str(broken), (), lambda: None)
    try:
        with pytest.raises(WorkerStartError, match="ended with code 7 before it began"):
            await process.start(interpreter, spec(run_dir))
    finally:
        await interpreter.close()
    ended = outcome(process)
    assert ended is not None
    assert ended.cause is not None
    assert "ended with code 7" in ended.cause.message


@pytest.mark.parametrize("name", ["claim.json", "start.json"])
@pytest.mark.parametrize("reused", ["pid", "session", "namespace", "boot"])
def test_whoever_has_the_pids_of_a_lost_run_now_is_left_alone(run_dir: Path, name: str, reused: str) -> None:
    strangers = [subprocess.Popen(["sleep", "1000"], start_new_session=reused == "session") for _ in range(2)]
    try:
        shim, worker = ({"pid": stranger.pid, "ticks": 1} for stranger in strangers)
        place = dict(run_files.here())
        if reused in ("namespace", "boot"):  # the same start times, but of another world
            shim["ticks"] = processes.start_ticks(shim["pid"]) or 0
            worker["ticks"] = processes.start_ticks(worker["pid"]) or 0
            place |= {"pid_namespace": 1} if reused == "namespace" else {"boot_id": "another"}
        content = {"by": "shim", "shim": shim, "worker": worker, "control": "", "time": 1.0, **place}
        write_json(run_dir / name, content)
        end = ShimProcess(run_dir).end()
        assert end is not None
        reason = "killed" if name == "start.json" else "killed_at_start"
        assert end["lost"] == {"reason": "restarted" if reused == "boot" else reason, "pid": shim["pid"]}
        assert all(stranger.poll() is None for stranger in strangers)
        written = (run_dir / "exit.json").read_text()
        assert ShimProcess(run_dir).end() == end
        assert (run_dir / "exit.json").read_text() == written
    finally:
        for stranger in strangers:
            stranger.kill()
            stranger.wait()


def test_a_run_of_another_container_that_goes_on_is_not_lost(run_dir: Path) -> None:
    descriptor = run_files.claim(run_dir, "shim")
    assert descriptor is not None
    claim = json.loads((run_dir / "claim.json").read_text())
    (run_dir / "claim.json").write_text(json.dumps(claim | {"pid_namespace": 1}))
    assert ShimProcess(run_dir).end() is None
    os.close(descriptor)
    assert ShimProcess(run_dir).end() is not None


CHILDREN = {
    "executed": "subprocess.Popen(['setsid', 'sleep', '1000'])",
    "forked": "os.fork() or (os.setsid(), time.sleep(1000))",
    "twice forked": "os.fork() or (os.setsid(), os.fork() or time.sleep(1000), os._exit(0))",
    "below it": "subprocess.Popen(['setsid', 'env', '-i', 'sh', '-c', 'sleep 1000 & wait'])",
}


@pytest.mark.parametrize("child", list(CHILDREN))
def test_what_left_the_session_of_a_killed_shim_is_found(
    run_dir: Path, started: list[subprocess.Popen[bytes]], child: str
) -> None:
    text = f"import os, subprocess, time\n{CHILDREN[child]}\n{WAITS}"
    (run_dir / "code" / "code.py").write_text(text)
    shim = begin_shim(run_dir, started)
    until((run_dir / "began").exists, "the worker")
    below = until(
        lambda: found if len(found := set(processes.descendants(shim.pid))) > 1 else None, "a child"
    )
    os.kill(shim.pid, signal.SIGKILL)
    shim.wait()
    ended = ending(ShimProcess(run_dir))
    assert ended is not None
    assert ended.code == "lost"
    assert "guards this session" in ended.message
    if child == "below it":  # an emptied environment, and nobody left above it: no proof, no signal
        left = {pid for pid in below if processes.is_alive(pid, None)}
        for pid in left:
            processes.kill(pid)
    else:
        until(lambda: not any(processes.is_alive(pid, None) for pid in below), "the end of all that was left")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"ended_at": "now"}', '{"shim": {"pid": "x"}, "boot_id": 3}', "null", "1e999"],
)
@pytest.mark.parametrize("name", ["claim.json", "start.json", "exit.json", "stop", "error.json"])
def test_a_file_of_another_shape_is_as_good_as_none(run_dir: Path, name: str, text: str) -> None:
    (run_dir / name).write_text(text)
    readers = (
        run_files.read_claim,
        run_files.read_start,
        run_files.read_exit,
        run_files.read_stop,
        run_files.read_error,
    )
    assert [reader(run_dir) for reader in readers] == [None] * 5
    ShimProcess(run_dir).end()


def test_the_end_is_written_into_its_room_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, large = ReservedFile(tmp_path / "exit.json", 4096), ReservedFile(tmp_path / "output.json", 64)
    plain_open = os.open

    def full(path: Any, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.ENOSPC, "No space left on device")
        return plain_open(path, flags, mode)

    monkeypatch.setattr(os, "open", full)
    end.write_json({"code": 0}, 0)
    assert read_json(tmp_path / "exit.json") == {"code": 0}
    assert not list(tmp_path.glob(".exit.json*"))
    with pytest.raises(OSError, match="No space"):
        large.write_json(["x" * 1000], 0)
    monkeypatch.undo()
    large.write_json(["x" * 1000], 0)
    assert len(read_json(tmp_path / "output.json")[0]) == 1000


def test_a_full_disk_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ReservedFile(tmp_path / "output.json", 1)
    refused = []
    plain_write = file.write

    def write(data: bytes) -> None:
        if len(refused) < 2:
            refused.append(len(data))
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        plain_write(data)

    monkeypatch.setattr(file, "write", write)
    monkeypatch.setattr(json_files, "_RETRY_PAUSE_S", 0.0)
    file.write_json([1, 2, 3], 60)
    assert (len(refused), read_json(tmp_path / "output.json")) == (2, [1, 2, 3])


@pytest.mark.skipif(os.getuid() != 0, reason="mounts a small file system")
def test_a_run_whose_disk_is_full_at_its_end_tells_how_it_ended(
    tmp_path: Path, started: list[subprocess.Popen[bytes]]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        run_dir = disk / "01jrun"
        (run_dir / "code").mkdir(parents=True)
        manifest = {"kind": "cell", "entry": "train", "label": "Cell", "source": "code.py"}
        (run_dir / "code" / "manifest.json").write_text(json.dumps(manifest))
        text = "from jupyter_ext import log\ndef train():\n    log(x=1.0)\n"
        text += "    try:\n        with open('filler', 'wb', 0) as f:\n            while True: f.write(b'x' * 4096)\n"
        text += (
            "    except OSError: pass\n    for n in range(3000): log(x=n, step=n)\n    return {'score': 5}\n"
        )
        (run_dir / "code" / "code.py").write_text(text)
        write_json(run_dir / "spec.json", {"input": {}})
        assert begin_shim(run_dir, started).wait(60) == 0
        ended = outcome(ShimProcess(run_dir))
        assert ended is not None
        assert (ended.status, ended.output) == ("succeeded", {"score": 5})
        marks = []
        for path in sorted(run_dir.glob("metrics-0-*.jnl")):
            tail = JournalTail(path)
            marks += [mark.fields for mark in tail.read().marks]
            tail.close()
        assert sum(mark["count"] for mark in marks if mark["kind"] == "dropped") > 0
        assert not list(run_dir.glob(".*.reserved"))
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


def test_our_files_are_the_owners_alone(run_dir: Path, started: list[subprocess.Popen[bytes]]) -> None:
    (run_dir / "code" / "code.py").write_text("open('own', 'w').close()")
    before = set(run_dir.iterdir())
    previous = os.umask(0o002)
    try:
        shim = begin_shim(run_dir, started)
    finally:
        os.umask(previous)
    assert shim.wait(60) == 0
    modes = {
        path.name: path.stat().st_mode & 0o777
        for path in run_dir.iterdir()
        if path not in before and path.is_file()
    }
    assert modes.pop("own") == 0o664, "the user's file has the user's umask"
    assert set(modes) >= {
        "claim.json",
        "start.json",
        "exit.json",
        "output.json",
        "logs.txt",
        "stacks.txt",
        "metrics-0-0.jnl",
    }
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}


async def test_an_interpreter_that_ended_at_once_is_tried_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, python = tmp_path / "broken", tmp_path / "python"
    broken.touch()
    python.write_text(f'#!/bin/sh\n[ -e {broken} ] && exit 1\nexec {sys.executable} "$@"\n')
    python.chmod(0o700)
    changed = asyncio.Event()
    interpreter = Interpreter(str(python), ("json",), changed.set)

    async def becomes(state: str) -> None:
        async with asyncio.timeout(60):
            while interpreter.state != state:
                changed.clear()
                await changed.wait()

    try:
        interpreter.warm()
        await becomes("cold")
        broken.unlink()
        interpreter.warm()
        assert interpreter.state == "cold", "not at once"
        monkeypatch.setattr(interpreter, "_retry_at", 0.0)
        await asyncio.sleep(0)
        interpreter.warm()
        await becomes("warm")
    finally:
        await interpreter.close()


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (signal.SIGSEGV, "crashed with signal 11 (SIGSEGV), in native code"),
        (signal.SIGABRT, "crashed with signal 6 (SIGABRT), in native code"),
        (signal.SIGTERM, "was ended by signal 15 (SIGTERM)"),
        (signal.SIGHUP, "was ended by signal 1 (SIGHUP)"),
        (signal.SIGXCPU, "was ended by signal 24 (SIGXCPU)"),
        (64, "was ended by signal 64"),
    ],
)
def test_only_what_native_code_does_to_itself_is_a_crash(number: int, says: str) -> None:
    assert ended_by(number).startswith(says)
