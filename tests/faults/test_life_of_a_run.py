"""The life of runs against a model: whatever is asked of a real engine and done to it, in whatever order, each is what it must be.

`make faults` plays `ROUNDS` sequences; a run of this file alone plays a few. A sequence that fails is made shorter and printed
as the calls to make.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from integration_tools import EngineUnderTest, until

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineError, RequestRefused, UnknownId
from jupyter_ext.protocol.trainings import TERMINAL, Status, Training
from tests.faults.victims import living

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "2"))
NUM_STEPS = 4
T = TypeVar("T")

CODE = """
import os, time
from jupyter_ext import checkpoint, log
def train(folder: str, fails: bool, n: int = 4):
    found = checkpoint.latest()
    for i in range(found.step + 1 if found else 0, n):
        log(x=3 * i + 1, step=i)
        checkpoint.save({"i": i}, step=i)
    open(folder + "/reached", "w").close()
    while not os.path.exists(folder + "/go"):
        time.sleep(0.005)
    if fails:
        raise ValueError("as it was asked to")
    return n
"""


@dataclass
class Expected:
    """What must be true of one run."""

    id: str
    folder: Path
    """Where it is told to go on, and tells that it has come so far."""
    fails: bool
    resumed_from: str | None = None
    tags: list[str] = field(default_factory=list)
    notes: str = ""
    was_let_go: bool = False
    was_canceled: bool = False
    was_killed: bool = False
    ended_as: Status | None = None

    @property
    def may_end_as(self) -> set[Status]:
        """The ends that what was done to it may have."""
        own: Status = "failed" if self.fails else "succeeded"
        ends: set[Status] = set()
        if self.was_let_go:
            ends.add(own)
        if self.was_canceled:
            ends.add("canceled")
        if self.was_killed:
            ends.add("failed")
        return ends

    @property
    def has_reached(self) -> bool:
        """Whether all of its steps were logged and kept."""
        return (self.folder / "reached").exists()


class LifeOfRuns(RuleBasedStateMachine):
    """Runs of one engine home, and what must be true of them. All sequences share the home."""

    home: EngineUnderTest
    runs = Bundle("runs")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.client = AsyncClient(self.home.where)
        self.known: dict[str, Expected] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="life-", dir=self.home.where.data_dir.parent))

    def now(self, asked: Coroutine[Any, Any, T]) -> T:
        """Ask, and wait for the answer."""
        return self.runner.run(asyncio.wait_for(asked, 60))

    # -- what a user does ------------------------------------------------------------------------------------------

    @initialize(target=runs, fails=st.booleans())
    def first(self, fails: bool) -> Expected:
        """Begin with one."""
        return self._create(fails)

    @rule(target=runs, fails=st.booleans())
    def create(self, fails: bool) -> Expected:
        """Start a run; what was acknowledged will end as it must, whatever happens to the engine."""
        return self._create(fails)

    @rule(run=runs)
    def reach(self, run: Expected) -> None:
        """Wait until it has logged and kept all of its steps, unless somebody ended it before."""
        until(lambda: run.has_reached or (run.may_end_as and self._look(run).status in TERMINAL), "steps", 60)

    @rule(run=runs)
    def let_go(self, run: Expected) -> None:
        """Let it come to its own end; nobody waits."""
        run.was_let_go = run.was_let_go or run.ended_as is None
        (run.folder / "go").touch()

    @rule(run=runs)
    def wait(self, run: Expected) -> None:
        """Wait for its end."""
        if run.ended_as is None and not run.may_end_as:
            self.let_go(run)
        self._ended(run, self.now(self.client.wait(run.id)))

    @rule(run=runs)
    def cancel(self, run: Expected) -> None:
        """Cancel it; one that is over stays as it is."""
        run.was_canceled = run.was_canceled or run.ended_as is None
        self._check(run, self.now(self.client.cancel(run.id)))

    @rule(
        run=runs,
        tags=st.lists(st.sampled_from(["best", "č", "a b"]), unique=True),
        notes=st.sampled_from(["", "x"]),
    )
    def label(self, run: Expected, tags: list[str], notes: str) -> None:
        """Name it, whether it runs or not."""
        run.tags, run.notes = tags, notes
        self._check(run, self.now(self.client.label(run.id, tags, notes)))

    @rule(target=runs, run=runs)
    def resume(self, run: Expected) -> Expected:
        """Go on with what did not succeed and has a checkpoint; all else is refused and changes nothing."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        before = self._look(run)
        can_be = before.status in ("failed", "canceled") and run.has_reached
        must_not = before.status in ("starting", "processing", "succeeded")
        try:
            resumed = self.now(self.client.resume(run.id, {"folder": str(folder)}))
        except RequestRefused:
            assert not can_be, f"{before.status} {run}"
            return run
        assert not must_not, f"{before.status} {run}"
        return self._know(Expected(resumed.id, folder, run.fails, resumed_from=run.id))

    @rule(run=consumes(runs))
    def delete(self, run: Expected) -> None:
        """Delete what is over; what runs is refused and goes on."""
        if self._look(run).status not in TERMINAL:
            with pytest.raises(RequestRefused):
                self.now(self.client.delete(run.id))
            self.wait(run)
        self.now(self.client.delete(run.id))
        del self.known[run.id]
        with pytest.raises(UnknownId):
            self.now(self.client.get(run.id))
        until(lambda: not (self.home.where.runs_dir / run.id).exists(), "the end of its directory")

    @rule()
    def list(self) -> None:
        """Look at all of them: those that are known are there, once, and no other."""
        there = self.now(self.client.list(limit=1000))
        assert [one.id for one in there] == list(reversed(self.known))
        for one in there:
            self._check(self.known[one.id], one)

    # -- what happens to it ----------------------------------------------------------------------------------------

    @rule()
    def kill_engine(self) -> None:
        """Kill the engine; the next request starts another."""
        self.home.kill()

    @rule()
    def restart_engine(self) -> None:
        """End the engine as an upgrade does; the runs go on."""
        found = discovery.ensure(where=self.home.where)
        discovery.request(found.socket_path, "POST", "/native/engine/drain", {})
        until(lambda: not discovery.is_running(self.home.where), "the engine's end")

    @rule(run=runs, who=st.sampled_from(["worker", "shim"]))
    def kill_run(self, run: Expected, who: str) -> None:
        """Kill its process, or the one that guards it."""
        pid = living(self.home.where.runs_dir / run.id / "start.json", who)
        if pid is not None:
            run.was_killed = run.was_killed or run.ended_as is None
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # -- what must be true ----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Have all of them end, and look at everything that there is of them."""
        try:
            for run in list(self.known.values()):
                self.wait(run)
                self._check_points(run)
            self.list()
            for run in list(self.known.values()):
                self.delete(run)
        finally:
            self._clean_up()

    def _clean_up(self) -> None:
        for run in self.known.values():
            (run.folder / "go").touch()
        self.runner.run(self.client.aclose())
        self.runner.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self, fails: bool) -> Expected:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        inputs = {"folder": str(folder), "fails": fails}
        bundle = capture_cell(CODE, {}, "life", inputs)
        try:
            made = self.now(self.client.create(bundle, inputs))
        except EngineError:  # said of an engine that was killed: it is not known whether it heard
            made = self.now(self.client.create(bundle, inputs))
        return self._know(Expected(made.id, folder, fails))

    def _know(self, run: Expected) -> Expected:
        assert run.id not in self.known
        self.known[run.id] = run
        return run

    def _look(self, run: Expected) -> Training:
        found = self.now(self.client.get(run.id))
        self._check(run, found)
        return found

    def _check(self, run: Expected, found: Training) -> None:
        """Hold one answer against what is known."""
        assert found.id == run.id
        assert (found.tags, found.notes or "") == (run.tags, run.notes), f"{found.tags} {found.notes} {run}"
        assert (found.resumed_from.id if found.resumed_from else None) == run.resumed_from
        if found.status in TERMINAL:
            self._ended(run, found)
        else:
            assert run.ended_as is None, f"{run.ended_as} has become {found.status}: {run}"
            assert found.completed_at is None

    def _ended(self, run: Expected, found: Training) -> None:
        assert found.status in run.may_end_as, f"{found.status} ({found.error}): {run}"
        assert run.ended_as in (None, found.status), f"{run.ended_as} has become {found.status}: {run}"
        run.ended_as = found.status
        assert found.completed_at is not None
        assert (found.output == NUM_STEPS) == (found.status == "succeeded")
        assert (found.error is not None) == (found.status == "failed")

    def _check_points(self, run: Expected) -> None:
        """Each step that it has logged is there once, those of the runs before it among them."""
        series = self.now(self.client.metrics(run.id, ["x"]))
        steps = [int(step) for one in series for step in one.steps.tolist()]
        whole = list(range(NUM_STEPS))
        assert steps == whole[: len(steps)], f"{steps} {run}"
        assert len(steps) == NUM_STEPS or not run.has_reached, f"{steps} {run}"


@pytest.fixture(scope="module")
def home() -> Any:
    """An engine home that all sequences share."""
    folder = Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp"))
    where = Locations(folder / "data", folder / "run")
    for path in (where.data_dir, where.runtime_dir):
        path.mkdir(mode=0o700)
    engine = EngineUnderTest(where)
    yield engine
    engine.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(60 + 120 * ROUNDS)
def test_a_run_is_what_it_must_be_whatever_is_asked_and_done(
    home: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_EXT_DATA_DIR", str(home.where.data_dir))
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(home.where.runtime_dir))
    monkeypatch.setenv("JUPYTER_EXT_PRELOAD", "json")  # the code needs no torch, and engines are many
    monkeypatch.setattr(LifeOfRuns, "home", home, raising=False)
    hypothesis.stateful.run_state_machine_as_test(
        LifeOfRuns,
        settings=hypothesis.settings(
            max_examples=ROUNDS,
            stateful_step_count=14,
            deadline=None,
            derandomize=ROUNDS < 10,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink][: 1 if ROUNDS < 10 else 2],
        ),
    )
