"""What a user's code can do to its session, and what is then told: a clear answer, and a state that is true."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from integration_tools import EngineUnderTest, until
from session_tools import SessionUnderTest, launch, request

from jupyter_ext.engine_process import discovery
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError, ChannelClosed, Connection
from jupyter_ext.protocol.sessions import DebugSession

BAD = """
import ctypes, os, signal, subprocess, sys, threading, time

def own_handler(number, frame):
    pass

class Bad:
    def __init__(self):
        self.kept = 7
        self.order = []

    def add(self, x):
        return self.kept + x

    def much(self, mebibytes):
        line = "x" * 1023 + "\\n"
        for _ in range(mebibytes * 1024):
            sys.stdout.write(line)

    def take(self, mebibytes):
        taken = bytearray(mebibytes << 20)
        taken[::4096] = bytes(len(taken[::4096])).replace(b"\\0", b"1")

    def take_limited(self, mebibytes):
        import resource
        was = resource.getrlimit(resource.RLIMIT_AS)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), was[1]))
        try:
            self.take(mebibytes)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, was)

    def leave(self, code):
        sys.exit(code)

    def drop(self, code):
        os._exit(code)

    def crash(self):
        ctypes.string_at(0)

    def deadlock(self):
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()

    def train(self, tracker, how):
        done = threading.Event()
        if how == "polite":
            tracker.on_cancel(done.set)  # before whoever waits for the metric can cancel
        tracker.metrics([("x", 1.0)])
        if how == "polite":
            done.wait()
        while how == "deaf":
            try:
                time.sleep(60)
            except BaseException:
                pass
        if how == "blocks":
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        if how == "handles":
            signal.signal(signal.SIGINT, own_handler)
        tracker.metrics([("y", 1.0)])
        while how in ("late", "blocks", "handles") and not self.order:
            time.sleep(0.05)

    def children(self):
        return [subprocess.Popen(["setsid", "sleep", "4323"]).pid, os.fork() or time.sleep(4323)]

    def close(self):
        sys.stdout.close()
        sys.stderr.close()
        print("still there")
        os.close(1)
        os.close(2)
        return 1

    def wait(self, name, seconds=0.0):
        self.order.append(name)
        time.sleep(seconds)
        return list(self.order)
"""


@pytest.fixture
def session(engine: EngineUnderTest) -> Iterator[SessionUnderTest]:
    under_test = launch(engine.where, BAD, "bad")
    under_test.call("instantiate")
    yield under_test
    under_test.terminate()


def method(session: SessionUnderTest, name: str, /, **args: Any) -> Any:
    return session.call("call", args, model_id=model_of(session), method=name)["value"]


def model_of(session: SessionUnderTest) -> str:
    return str(session.call("status")["models"][0]["id"])


def ended(session: SessionUnderTest) -> DebugSession:
    return until(lambda: (now := session.now()).exit and now, "the session's end")


@pytest.fixture
def small_memory(engine: EngineUnderTest) -> Iterator[None]:
    """Put the engine and all it starts into a control group of 900 MB, where this machine lets us make one."""
    group = _memory_group()
    before = Path("/proc/self/cgroup").read_text()
    home = next((line.split(":", 2)[2] for line in before.splitlines() if ":memory:" in line), "/")
    tree = [psutil.Process(engine.pid()), *psutil.Process(engine.pid()).children(recursive=True)]
    for process in tree:
        (group / "cgroup.procs").write_text(str(process.pid))
    yield
    left = (group / "cgroup.procs").read_text().split()
    for pid in left:
        with contextlib.suppress(OSError):
            Path(f"/sys/fs/cgroup/memory{home}/cgroup.procs").write_text(pid)
    until(lambda: not (group / "cgroup.procs").read_text(), "an empty group")
    group.rmdir()


def _memory_group() -> Path:
    group = Path("/sys/fs/cgroup/memory") / f"jx-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text("900M")
    except OSError as error:
        pytest.skip(f"no control group of our own for memory: {error}")
    return group


@pytest.mark.usefixtures("small_memory")
def test_the_systems_out_of_memory_killer_is_named(engine: EngineUnderTest) -> None:
    session = launch(engine.where, BAD, "bad")
    session.call("instantiate")
    with pytest.raises(ChannelClosed):
        method(session, "take", mebibytes=3000)
    session.channel.close()
    told = ended(session)
    assert told.exit is not None
    assert (told.exit.oom, told.exit.signal) == (True, 9)
    assert "out-of-memory killer" in told.exit.message
    assert "peak memory was" in (told.exit.hint or "")


def test_memory_that_is_refused_is_an_exception_and_the_model_lives_on(session: SessionUnderTest) -> None:
    error = session.refused("call", {"mebibytes": 4000}, model_id=model_of(session), method="take_limited")
    assert (error["code"], error["message"].startswith("MemoryError")) == ("exception", True)
    assert method(session, "add", x=1) == 8


def test_a_hundred_megabytes_of_output_hurt_nobody(
    session: SessionUnderTest, engine: EngineUnderTest
) -> None:
    pid = engine.pid()
    before = psutil.Process(pid).memory_info().rss
    seen, skipped = asyncio.run(_follow_while(session, lambda: method(session, "much", mebibytes=100)))
    assert seen + skipped == 100 << 20
    assert psutil.Process(pid).memory_info().rss - before < 50 << 20
    tail = request(engine.where, "GET", f"/native/sessions/{session.id}/logs?tail=2")["text"]
    assert tail == 2 * ("x" * 1023 + "\n")
    assert method(session, "add", x=1) == 8


async def _follow_while(session: SessionUnderTest, work: Any) -> tuple[int, int]:
    """Count the bytes that a viewer gets, and those it is told were left out, while something prints."""
    import json

    from websockets.asyncio.client import unix_connect

    socket = discovery.ensure(where=session.where).socket_path
    uri = f"ws://engine/native/sessions/{session.id}/stream?stdout=0&stderr=0"
    seen = skipped = 0
    async with unix_connect(socket, uri, max_size=None, compression=None, proxy=None) as stream:
        working = asyncio.create_task(asyncio.to_thread(work))
        while seen + skipped < 100 << 20:
            message = json.loads(await asyncio.wait_for(stream.recv(), 60))
            if message["kind"] == "log":
                seen += len(message["text"])
                skipped += message["skipped"]
        await working
    return seen, skipped


def test_sys_exit_is_told_and_the_model_lives_on(session: SessionUnderTest) -> None:
    error = session.refused("call", {"code": 3}, model_id=model_of(session), method="leave")
    assert (error["code"], error["message"]) == ("exception", "SystemExit: 3")
    assert method(session, "add", x=1) == 8


@pytest.mark.parametrize(
    ("name", "args", "exit_code", "signal"), [("drop", {"code": 5}, 5, None), ("crash", {}, None, 11)]
)
def test_a_process_that_ends_is_told_as_it_was(
    session: SessionUnderTest, name: str, args: dict[str, Any], exit_code: int | None, signal: int | None
) -> None:
    with pytest.raises(ChannelClosed):
        method(session, name, **args)
    told = ended(session)
    assert told.exit is not None
    assert (told.exit.code, told.exit.exit_code, told.exit.signal) == ("exited", exit_code, signal)
    if signal:
        assert told.exit.exception is not None
        assert "in crash" in told.exit.exception.text


def test_a_deadlock_shows_its_line_and_an_interrupt_ends_it(session: SessionUnderTest) -> None:
    model, errors = model_of(session), []

    def call() -> None:
        with Connection(session.resource.calls) as other:
            try:
                other.call("call", {"model_id": model, "method": "deadlock"}, timeout_s=60)
            except CallError as error:
                errors.append(error.error["code"])

    caller = threading.Thread(target=call)
    caller.start()
    until(lambda: session.call("status")["busy"], "the deadlock")
    frames = until(lambda: session.call("stacks")["threads"][0]["frames"], "its stack")
    assert (frames[-1]["function"], frames[-1]["source"]) == ("deadlock", "lock.acquire()")
    session.call("interrupt")
    caller.join(30)
    assert errors == ["interrupted"]
    assert method(session, "add", x=1) == 8


@pytest.mark.parametrize(("how", "stage"), [("polite", "flag"), ("late", "interrupt")])
def test_a_canceled_training_ends_as_it_can_and_the_session_lives(
    session: SessionUnderTest, how: str, stage: str
) -> None:
    training = session.call("train", {"how": how})["training_id"]
    until(lambda: session.call("training_status", training_id=training)["metrics"], "its first metric")
    told = session.call("cancel_training", training_id=training)
    assert (told["ended"], told["stage"]) == (True, stage)
    status = session.call("training_status", training_id=training)
    assert (status["state"], status["fail"]["code"]) == ("failed", "cancelled")
    assert method(session, "add", x=1) == 8


def test_a_training_that_ignores_everything_is_told_and_terminate_ends_it(session: SessionUnderTest) -> None:
    training = session.call("train", {"how": "deaf"})["training_id"]
    until(lambda: session.call("training_status", training_id=training)["metrics"], "its first metric")
    told = session.call("cancel_training", training_id=training, wait_s=1.0)
    assert not told["ended"]
    assert "loses the model" in told["hint"]
    now = session.terminate()
    assert now.exit is not None
    assert (now.exit.code, now.trainings[0].state) == ("requested", "failed")


@pytest.mark.parametrize(
    ("how", "why"),
    [("blocks", "its code has blocked SIGINT"), ("handles", "handler of its own for SIGINT (own_handler)")],
)
def test_code_that_keeps_interrupts_to_itself_is_told_and_they_come_back(
    session: SessionUnderTest, how: str, why: str
) -> None:
    training = session.call("train", {"how": how})["training_id"]
    until(lambda: len(session.call("training_status", training_id=training)["metrics"]) == 2, "its metrics")
    told = session.call("interrupt")
    assert (told["op"], why in told["deaf"]) == ("train", True)
    assert why in until(lambda: (busy := session.now().busy) and busy.deaf, "the same in the engine")
    hint = session.call("cancel_training", training_id=training, wait_s=0.5)["hint"]
    assert why in hint
    _to_order(session, "append(1)")
    until(lambda: session.call("training_status", training_id=training)["state"] != "running", "its end")
    _to_order(session, "clear()")
    late = session.call("train", {"how": "late"})["training_id"]
    until(lambda: session.call("training_status", training_id=late)["metrics"], "its first metric")
    told = session.call("cancel_training", training_id=late)
    assert (told["ended"], told["stage"]) == (True, "interrupt")


def _to_order(session: SessionUnderTest, change: str) -> None:
    """Reach the model beside its busy main thread."""
    found = "for one in __import__('gc').get_objects() if type(one) is Bad"
    session.call("value", expression=f"[one.order.{change} {found}]")


def test_children_do_not_outlive_their_session(session: SessionUnderTest) -> None:
    pids = [pid for pid in method(session, "children") if pid]
    assert all(psutil.pid_exists(pid) for pid in pids)
    session.terminate()
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in pids)


def test_closed_streams_are_no_end(session: SessionUnderTest, engine: EngineUnderTest) -> None:
    assert method(session, "close") == 1
    assert method(session, "add", x=1) == 8
    text = request(engine.where, "GET", f"/native/sessions/{session.id}/logs?tail=5")["text"]
    assert text == "still there\n"


def test_callers_are_served_in_the_order_in_which_they_came(session: SessionUnderTest) -> None:
    model = model_of(session)
    first = threading.Thread(target=lambda: _waiting(session, model, "0", 1.0))
    first.start()
    until(lambda: session.call("status")["busy"], "the first call")
    others = []
    for number in range(1, 6):
        others.append(threading.Thread(target=_waiting, args=(session, model, str(number))))
        others[-1].start()
        until(lambda: len(session.call("status")["queued"]) >= number or None, "its place")  # noqa: B023
    for thread in [first, *others]:
        thread.join(30)
    assert method(session, "wait", name="last") == ["0", "1", "2", "3", "4", "5", "last"]


def _waiting(session: SessionUnderTest, model: str, name: str, seconds: float = 0.0) -> None:
    with Connection(session.resource.calls) as other:
        args = {"name": name, "seconds": seconds}
        other.call("call", {"model_id": model, "method": "wait", "args": args}, timeout_s=60)


def test_a_session_that_nobody_calls_ends_but_never_during_a_call(engine: EngineUnderTest) -> None:
    session = launch(engine.where, BAD, "bad", inactive_s=1.5)
    session.call("instantiate")
    began = time.monotonic()
    assert method(session, "wait", name="a", seconds=3.0) == ["a"]
    assert time.monotonic() - began >= 3
    session.channel.close()
    until(lambda: session.now().notices or session.now().exit, "the warning")
    told = ended(session)
    assert told.exit is not None
    assert (told.exit.code, "1.5 s" in told.exit.message) == ("inactive", True)


def test_code_that_fails_leaves_a_session_to_mend_it_in(engine: EngineUnderTest) -> None:
    session = launch(engine.where, "x = 1\nraise ValueError('not yet')", "bad")
    assert session.resource.code_error is not None
    assert session.resource.code_error["exception"]["frames"][0]["line"] == 3
    assert session.call("value", expression="x", whole=True)["value"] == 1
    assert session.refused("instantiate")["code"] == "not_offered"
    session.terminate()


def test_what_does_not_exist_is_refused_by_name(session: SessionUnderTest, engine: EngineUnderTest) -> None:
    assert session.refused("evaluate", model_id="nobody")["code"] == "model_not_found"
    assert session.refused("training_status", training_id="none")["code"] == "training_not_found"
    assert session.refused("download_state", state_id="none")["code"] == "state_not_found"
    assert session.refused("fly")["code"] == "unknown_op"
    assert session.refused("call", method="nothing", model_id=model_of(session))["code"] == "not_offered"
    socket = discovery.ensure(where=engine.where).socket_path
    assert discovery.request(socket, "GET", "/native/sessions/none")[0] == 404
    body = {"name": "n", "code": "0" * 64}
    status, problem = discovery.request(socket, "POST", "/native/sessions", body)
    assert (status, "upload it again" in problem["detail"]) == (422, True)
    call = {"op": "value", "params": {"expression": "1 + 1"}}
    status, answer = discovery.request(socket, "POST", f"/native/sessions/{session.id}/call", call)
    assert (status, answer["result"]["summary"]["text"]) == (200, "2")


def test_environment_secrets_are_stars_in_what_is_told_and_printed(engine: EngineUnderTest) -> None:
    text = "import os\npassword = 'hunter22'\nhidden = os.environ['MY_TOKEN']\nprint(hidden)\nraise ValueError(hidden)"
    session = launch(engine.where, text, "bad", environ={**os.environ, "MY_TOKEN": "abcdef123"})
    told = str(session.now().model_dump()) + str(session.call("frames"))
    log = request(engine.where, "GET", f"/native/sessions/{session.id}/logs?tail=5")["text"]
    session.terminate()
    assert log == "**********\n"
    assert "abcdef123" not in told
    assert "hunter22" not in told


def test_what_a_training_logged_is_there_after_the_session_was_killed(engine: EngineUnderTest) -> None:
    text = """
import time
from jupyter_ext import log
class Slow:
    def train(self):
        for step in range(10**9):
            log({"loss": 1 / (step + 1), "odd": float("nan")}, step=2 * step)
            time.sleep(0.002)
"""
    session = launch(engine.where, text, "slow")
    model = session.call("instantiate")["model_id"]
    training = session.call("train", model_id=model)["training_id"]
    until(lambda: _amount(session.call("training_status", training_id=training)) > 50, "some points")
    heard = _amount(session.call("training_status", training_id=training))
    session.channel.close()
    os.kill(session.now().pid or 0, signal.SIGKILL)
    told = ended(session)
    assert told.exit is not None
    assert (told.exit.signal, told.trainings[0].state) == (9, "failed")
    kept = told.trainings[0].metrics[0]
    assert kept.amount >= heard
    engine.kill()  # the next one reads it from the same files
    loss, odd = _kept_points(engine, session.id, training, ["loss", "odd"])
    assert np.frombuffer(loss["numbers"]).tolist() == [1 / (n + 1) for n in range(kept.amount)]
    assert np.frombuffer(loss["steps"]).tolist() == [2.0 * n for n in range(kept.amount)]
    assert np.isnan(np.frombuffer(odd["numbers"])).all()
    with pytest.raises(AssertionError, match="410"):
        request(engine.where, "POST", f"/native/sessions/{session.id}/call", {"op": "status"})


def _kept_points(engine: EngineUnderTest, session_id: str, training_id: str, names: list[str]) -> Any:
    params = {"training_id": training_id, "metrics": [{"name": name} for name in names]}
    body = {"op": "training_metrics", "params": params}
    answer = request(engine.where, "POST", f"/native/sessions/{session_id}/call", body)
    return values.decode(
        answer["result"]["value"], [memoryview(base64.b64decode(blob)) for blob in answer["blobs"]]
    )


def _amount(training: dict[str, Any]) -> int:
    return max([one["amount"] for one in training["metrics"]], default=0)
