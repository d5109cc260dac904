"""A zygote that ends is started again: at once where it had worked, later and later where it crashes, soon where it was killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jupyter_ext.engine.processes import interpreters
from jupyter_ext.engine.processes.interpreters import Interpreter

WARM = """#!{python}
import os, socket, sys
{before}
channel = socket.socket(fileno=int(sys.argv[4]))
channel.sendall(b'{{"state": "warm", "detail": null, "torch": null, "ready_s": 0.1}}\\n')
channel.recv(1)
"""


def zygote(folder: Path, before: str = "") -> str:
    """Write a program that stands for an interpreter whose zygote becomes warm, unless `before` ends it."""
    path = folder / "python"
    path.write_text(WARM.format(python=sys.executable, before=before))
    path.chmod(0o700)
    return str(path)


class States:
    """What an interpreter has been, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.of: Interpreter | None = None
        self._news = asyncio.Event()

    def note(self) -> None:
        """Remember the state of now."""
        assert self.of is not None
        self.seen.append(self.of.state)
        self._news.set()

    async def until(self, *last: str) -> None:
        """Wait until it has been these, last."""
        async with asyncio.timeout(30):
            while tuple(self.seen[-len(last) :]) != last:
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def states() -> AsyncIterator[States]:
    states = States()
    yield states
    if states.of is not None:
        await states.of.close()


def watched(states: States, python: str) -> Interpreter:
    """Make an interpreter whose states are noted, and begin to warm it."""
    states.of = Interpreter(python, ("torch",), states.note)
    states.of.warm()
    return states.of


async def test_a_zygote_that_is_killed_again_and_again_is_back_within_a_moment(
    tmp_path: Path, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "_FIRST_PAUSE_S", 0.01)
    found = watched(states, zygote(tmp_path))
    for _ in range(12):  # doubled twelve times, it would be 40 s
        await states.until("warm")
        pid = found.describe().pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await states.until("cold")
        assert "was killed" in (found.detail or "")
        await states.until("cold", "warm")


async def test_a_zygote_that_worked_for_a_while_is_replaced_at_once(
    tmp_path: Path, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "_STEADY_S", 0.0)
    monkeypatch.setattr(interpreters, "_FIRST_PAUSE_S", 3600.0)
    found = watched(states, zygote(tmp_path))
    await states.until("warm")
    os.kill(found.describe().pid or 0, signal.SIGKILL)
    await states.until("warm", "starting", "warm")


async def test_a_zygote_that_crashes_at_its_start_is_tried_less_and_less_often(
    tmp_path: Path, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(interpreters, "_LONGEST_UNASKED_S", 0.05)
    starts = tmp_path / "starts"
    found = watched(
        states, zygote(tmp_path, f"os.write(os.open({str(starts)!r}, 1089, 0o600), b'x'); sys.exit(7)")
    )
    await states.until("cold", "cold", "cold", "cold")
    async with asyncio.timeout(30):
        while found._task is None or not found._task.done():
            await asyncio.sleep(0)
    assert (
        starts.read_text() == "xxxx"
    )  # after 10, 20 and 40 ms; the fourth pause is waited for only when asked
    assert "ended with code 7" in (found.detail or "")
    zygote(tmp_path)  # whatever was wrong with it is mended
    async with asyncio.timeout(30):
        while "warm" not in states.seen:
            found.warm()
            await asyncio.sleep(0.01)
    assert found._num_crashes == 4  # forgotten once it has been warm for a while


async def test_an_interpreter_can_be_closed_while_it_pauses(
    tmp_path: Path, states: States, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "_LONGEST_UNASKED_S", 3600.0)
    monkeypatch.setattr(interpreters, "_FIRST_PAUSE_S", 3600.0)
    found = watched(states, zygote(tmp_path, "sys.exit(7)"))
    await states.until("cold")
    await found.close()
    assert found._task is not None
    assert found._task.done()
    assert not found._task.cancelled()
