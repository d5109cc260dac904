"""What all tests share: an engine home of their own, and nothing left running behind them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

_ROOMS_OF_REAL_PROCESSES = ("browser", "conformance", "faults", "integration")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In CI, try a test of real browsers, engines and kernels a second time, and name it in the summary as RERUN.

    On a busy machine about one such test in a thousand fails for reasons of the machine. What fails twice fails; a test
    that needs no process of ours is never tried again, nor one that hung, as nothing would end its second try.
    """
    if os.environ.get("CI") != "true":
        return
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in _ROOMS_OF_REAL_PROCESSES:
            own = item.get_closest_marker("timeout")
            one_try_s = float(own.args[0] if own else item.config.getini("timeout"))
            item.add_marker(pytest.mark.timeout(2 * one_try_s), append=False)  # one clock runs for both tries
            item.add_marker(pytest.mark.flaky(reruns=1, rerun_except="from pytest-timeout"))


@dataclass(frozen=True)
class EngineHome:
    """Directories for one engine, short enough for a Unix socket's path (107 bytes)."""

    path: Path

    @property
    def data_dir(self) -> Path:
        """Runs, versions, catalog."""
        return self.path / "data"

    @property
    def runtime_dir(self) -> Path:
        """Socket, locks, log."""
        return self.path / "run"

    @property
    def environment(self) -> dict[str, str]:
        """What tells clients and engine to use this home."""
        return {"JUPYTER_EXT_DATA_DIR": str(self.data_dir), "JUPYTER_EXT_RUNTIME_DIR": str(self.runtime_dir)}

    def engine(self) -> psutil.Process | None:
        """Return the engine that runs here, as it wrote itself into engine.json, if it still lives."""
        try:
            pid = json.loads((self.runtime_dir / "engine.json").read_text())["pid"]
            process = psutil.Process(pid)
            if "jupyter_ext.engine" in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
            pass
        return None

    def kill_engine(self) -> list[str]:
        """End the engine and all it started; say what that was."""
        engine = self.engine()
        if engine is None:
            return []
        try:
            processes = [engine, *engine.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        ended = []
        for process in processes:
            try:
                ended.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(processes, timeout=10)
        return ended


def make_engine_home() -> EngineHome:
    """Make the directories; the caller removes them."""
    home = EngineHome(Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp")))
    for directory in (home.data_dir, home.runtime_dir):
        directory.mkdir(mode=0o700)
    return home


@pytest.fixture(autouse=True)
def engine_home(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineHome]:
    """Give each test an engine home of its own, and fail a test that leaves an engine running there."""
    home = make_engine_home()
    for name, value in home.environment.items():
        monkeypatch.setenv(name, value)
    yield home
    left = home.kill_engine()
    log = home.runtime_dir / "engine.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else "(no log)"
    shutil.rmtree(home.path, ignore_errors=True)
    if left:
        pytest.fail(f"The test left an engine running: {left}\nIts log ended with:\n{tail}", pytrace=False)


@pytest.fixture(scope="session")
def session_engine_home() -> Iterator[EngineHome]:
    """Return an engine home for servers and engines that live as long as the test session."""
    yield from kept_engine_home()


@pytest.fixture(scope="session")
def browser_engine_home() -> Iterator[EngineHome]:
    """Return an engine home for the JupyterLab of the browser tests, which starts an engine there whenever it lacks one."""
    yield from kept_engine_home()


@pytest.fixture(scope="session")
def conformance_engine_home() -> Iterator[EngineHome]:
    """Return an engine home in which nothing but the conformance tests has run."""
    yield from kept_engine_home()


@pytest.fixture(scope="module")
def module_engine_home() -> Iterator[EngineHome]:
    """Return an engine home in which nothing but one module's tests has run."""
    yield from kept_engine_home()


def kept_engine_home() -> Iterator[EngineHome]:
    """Make an engine home, and remove it with its engine when it is no longer needed."""
    home = make_engine_home()
    yield home
    home.kill_engine()
    shutil.rmtree(home.path, ignore_errors=True)
