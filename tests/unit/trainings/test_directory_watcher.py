"""A file that appears wakes at once, a write once it was asked for, and without inotify somebody still looks."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ext.engine.common import health
from jupyter_ext.engine.trainings.monitoring.directory_watcher import Watcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
NEVER_S = 60.0


@pytest.fixture(autouse=True)
def no_problems() -> Iterator[None]:
    health.reset()
    yield
    health.reset()


def appear(directory: Path, name: str) -> None:
    """Write a file as `write_json` does: under another name first."""
    (directory / f".{name}").write_text("{}")
    os.replace(directory / f".{name}", directory / name)


async def test_many_directories_are_each_woken_by_their_own_files_again_and_again(tmp_path: Path) -> None:
    watcher = Watcher()
    watcher.start()
    events = {}
    directories = [tmp_path / str(number) for number in range(20)]
    watches = []
    for directory in directories:
        directory.mkdir()
        events[directory] = asyncio.Event()
        context = watcher.watching(directory, events[directory])
        watches.append((context, context.__enter__()))
    for turn in range(3):
        for directory, (_, watch) in zip(directories, watches, strict=True):
            appear(directory, f"exit{turn}.json")
            await watch.wait(NEVER_S)
            assert events[directory].is_set()
            await asyncio.sleep(0)
            assert [d for d in directories if events[d].is_set()] == [directory]
            while events[directory].is_set():  # the temporary name and the name are two changes
                events[directory].clear()
                await asyncio.sleep(0.001)
    for context, _ in watches:
        context.__exit__(None, None, None)
    watcher.close()
    assert health.lines() == []


async def test_a_write_wakes_only_once_it_was_asked_for(tmp_path: Path) -> None:
    watcher, event = Watcher(), asyncio.Event()
    watcher.start()
    (tmp_path / "logs.txt").touch()
    with watcher.watching(tmp_path, event) as watch, open(tmp_path / "logs.txt", "a") as log:
        print("unheard", file=log, flush=True)
        appear(tmp_path, "marker")  # events come in their order, so the write before would have come by now
        await watch.wait(NEVER_S)
        await asyncio.sleep(0.01)
        event.clear()
        watch.arm()
        print("heard", file=log, flush=True)
        await watch.wait(NEVER_S)
        assert event.is_set()
        assert not watch.is_armed
    watcher.close()


@pytest.mark.parametrize("fails", ["instance", "watch"])
async def test_without_inotify_somebody_looks_and_doctor_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    import asyncinotify

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC if fails == "watch" else errno.EMFILE, "none left")

    monkeypatch.setattr(asyncinotify.Inotify, "add_watch" if fails == "watch" else "__init__", refuse)
    watcher, event = Watcher(), asyncio.Event()
    watcher.start()
    with watcher.watching(tmp_path, event) as watch:
        watch.arm()
        await watch.wait(NEVER_S)  # returns at the next look, long before
        assert event.is_set()
    watcher.close()
    (line,) = health.lines()
    assert "inotify" in line
    assert "max_user_watches" in line
