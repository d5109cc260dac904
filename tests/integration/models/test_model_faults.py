"""What may happen to a loaded model: killed, hung, forgotten, not needed any more, the engine killed, users gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from integration_tools import EngineUnderTest, until
from model_tools import ModelsUnderTest, me, save

from jupyter_ext.client.models.module_factory import host_options
from jupyter_ext.config import locations
from jupyter_ext.errors import CallFailed
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.channel import Connection
from jupyter_ext.protocol.models import LocalModel


def identity() -> Any:
    import ctypes
    import os
    import time

    import torch

    class Odd(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(2))

        def forward(self, x: Any, do: str = "") -> Any:
            if do == "sleep":
                time.sleep(60)
            if do == "die":
                os.kill(os.getpid(), 9)
            if do == "crash":
                ctypes.string_at(0)
            if do == "exit":
                os._exit(3)
            if do == "deaf":
                import signal

                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                time.sleep(60)
            return x + self.w

    return Odd()


identity.__module__ = "__main__"


@pytest.fixture
def own_engine() -> Iterator[EngineUnderTest]:
    under_test = EngineUnderTest(locations())
    yield under_test
    under_test.close()


@pytest.fixture
def models(own_engine: EngineUnderTest) -> Iterator[ModelsUnderTest]:
    under_test = ModelsUnderTest(own_engine)
    yield under_test
    for start in own_engine.where.hosts_dir.glob("*/start.json"):
        for who in ("worker", "shim"):
            pid = _pids(start.parent)[who]
            if psutil.pid_exists(pid):
                psutil.Process(pid).kill()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(tmp_path / "odd.safetensors", {"w": torch.tensor([1.0, 2.0])})


OPTIONS = {"options": host_options({"factory": identity})}


def _pids(directory: Path) -> dict[str, int]:
    from jupyter_ext.ipc.json_files import read_json

    start = read_json(directory / "start.json")
    return {who: start[who]["pid"] for who in ("worker", "shim")}


def gone(models: ModelsUnderTest, model_id: str) -> LocalModel:
    """Wait until the engine knows that a model is not in memory any more."""
    until(lambda: models.get(model_id).state == "downloaded", "the end of the host")
    return models.get(model_id)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("die", "killed by signal 9"),
        ("crash", "crashed with signal 11"),
        ("exit", "ended its process with exit code 3"),
    ],
)
def test_a_model_that_dies_in_a_call_says_why_and_comes_back(
    models: ModelsUnderTest, weights: Path, how: str, says: str
) -> None:
    model = models.load(weights, **OPTIONS)
    calls = models.calls(model, **OPTIONS)
    with pytest.raises(CallFailed, match=says) as caught:
        calls.call(torch.zeros(2), do=how)
    assert "\n" not in str(caught.value)
    assert "The next call loads it again." in str(caught.value)
    assert says in gone(models, model.id).notices[-1]
    assert torch.equal(calls.call(torch.zeros(2)), torch.tensor([1.0, 2.0]))
    assert models.get(model.id).state == "loaded"


@pytest.mark.parametrize("who", ["worker", "shim"])
def test_killed_from_outside(models: ModelsUnderTest, weights: Path, who: str) -> None:
    model = models.load(weights, **OPTIONS)
    assert model.host is not None
    os.kill(_pids(models.engine.where.hosts_dir / model.host.id)[who], signal.SIGKILL)
    assert "killed" in gone(models, model.id).notices[-1]
    until(lambda: not list(models.engine.where.hosts_dir.iterdir()), "the host's directory to go")
    assert not processes.is_alive(model.host.pid or 0, None)


def test_a_killed_engine_takes_no_model_along(models: ModelsUnderTest, weights: Path) -> None:
    model = models.load(weights, user=me(), pin=True, keep_alive_s=1234.0, **OPTIONS)
    assert model.host is not None
    calls = models.calls(model)
    calls.call(torch.zeros(2))
    models.engine.kill()
    assert torch.equal(calls.call(torch.zeros(2)), torch.tensor([1.0, 2.0]))
    found = models.get(model.id)
    assert found.state == "loaded"
    assert found.host is not None
    assert (found.host.id, found.host.pid) == (model.host.id, model.host.pid)
    assert (found.host.pinned, found.host.keep_alive_s, found.host.num_calls) == (True, 1234.0, 2)
    assert found.host.code == model.host.code
    assert [user.pid for user in found.host.users] == [os.getpid()]
    after = models.unload(model.id)
    assert after.unloaded is not None
    assert not processes.is_alive(model.host.pid or 0, None)


def test_a_host_that_ended_while_no_engine_looked_is_tidied_away(
    models: ModelsUnderTest, weights: Path
) -> None:
    model = models.load(weights, **OPTIONS)
    assert model.host is not None
    models.engine.kill()
    os.kill(model.host.pid or 0, signal.SIGKILL)
    until(lambda: not processes.is_alive(model.host.pid or 0, None), "the host's end")  # type: ignore[union-attr]
    assert models.get(model.id).state == "downloaded"
    assert list(models.engine.where.hosts_dir.iterdir()) == []


def test_it_ends_by_itself_when_nobody_needs_it(models: ModelsUnderTest, weights: Path) -> None:
    model = models.load(weights, keep_alive_s=0.5, **OPTIONS)
    calls = models.calls(model, **OPTIONS)
    assert "keep-alive" in gone(models, model.id).notices[-1]
    assert torch.equal(calls.call(torch.zeros(2)), torch.tensor([1.0, 2.0]))


def test_it_stays_while_it_is_pinned_or_for_ever(models: ModelsUnderTest, weights: Path) -> None:
    pinned = models.load(weights, keep_alive_s=0.5, pin=True, **OPTIONS)
    other = Path(shutil.copy(weights, weights.with_name("other.safetensors")))
    forever = models.load(other, keep_alive_s=-1.0, **OPTIONS)
    brief = models.load(
        Path(shutil.copy(weights, weights.with_name("third.safetensors"))), keep_alive_s=1.0, **OPTIONS
    )
    gone(models, brief.id)
    for model in (pinned, forever):
        found = models.get(model.id)
        assert found.state == "loaded"
        assert found.host is not None
        assert found.host.expires_at is None


def test_a_user_whose_process_is_gone_drops_off(models: ModelsUnderTest, weights: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as other:
        user = {"id": "k2", "name": "other.ipynb", "pid": other.pid}
        model = models.load(weights, user=me(), **OPTIONS)
        status, _ = models.ask(model.id, "users", **user)
        if status >= 400:
            status, _ = models.ask(model.id, "users", user=user)
        assert status == 200

        def names() -> list[str]:
            host = models.get(model.id).host
            return [] if host is None else sorted(user.name for user in host.users)

        until(lambda: names() == ["other.ipynb", "test.ipynb"], "both users")
        other.kill()
        other.wait()
    until(lambda: names() == ["test.ipynb"], "the user to drop off")


def test_unload_waits_for_calls_and_then_ends_them(models: ModelsUnderTest, weights: Path) -> None:
    model = models.load(weights, **OPTIONS)
    failures: list[BaseException] = []

    def stuck() -> None:
        try:
            models.calls(model).call(torch.zeros(2), do="sleep")
        except CallFailed as error:
            failures.append(error)

    thread = threading.Thread(target=stuck)
    thread.start()
    assert model.host is not None
    with Connection(model.host.calls) as channel:
        until(lambda: channel.call("status")[0]["in_flight"], "the call")
    began = time.monotonic()
    after = models.unload(model.id)
    assert time.monotonic() - began < 30
    assert after.state == "downloaded"
    thread.join(20)
    assert not thread.is_alive()
    assert "unloaded" in str(failures[0])


def test_a_canceled_call_that_hears_nothing_ends_the_process(models: ModelsUnderTest, weights: Path) -> None:
    from jupyter_ext.ipc import values

    model = models.load(weights, **OPTIONS)
    assert model.host is not None
    with Connection(model.host.calls) as channel:
        tree, blobs = values.encode({"args": [torch.zeros(2)], "kwargs": {"do": "deaf"}})
        with pytest.raises(TimeoutError):
            channel.call("call", {"value": tree}, blobs, timeout_s=0.5)
        assert "did not come back" in gone(models, model.id).notices[-1]
    assert torch.equal(models.calls(model, **OPTIONS).call(torch.zeros(2)), torch.tensor([1.0, 2.0]))


def test_a_changed_class_is_loaded_anew_for_its_only_user(models: ModelsUnderTest, weights: Path) -> None:
    def doubled() -> Any:
        import torch

        class Twice(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.w = torch.nn.Parameter(torch.zeros(2))

            def forward(self, x: Any) -> Any:
                return x + 2 * self.w

        return Twice()

    doubled.__module__ = "__main__"
    changed = {"options": host_options({"factory": doubled})}
    model = models.load(weights, user=me(), **OPTIONS)
    again = models.load(model.id, user=me(), **OPTIONS)
    assert again.host is not None
    assert model.host is not None
    assert again.host.pid == model.host.pid
    models.load(model.id, user=me(), **changed)
    assert torch.equal(models.calls(model).call(torch.zeros(2)), torch.tensor([2.0, 4.0]))
    status, problem = models.ask(model.id, "load", user={"id": "x", "name": "b.ipynb", "pid": 1}, **OPTIONS)
    assert status == 409
    assert "another factory and used by test_model" in problem["detail"] or "used by" in problem["detail"]


BUDGET_MIB = 420
"""Two hosts of 100 MiB of weights fit, three do not, whatever a process takes beside them."""


def large(path: Path) -> Path:
    return save(path, {"w": torch.ones(2), "big": torch.zeros(50 << 20, dtype=torch.bfloat16)})


def test_the_longest_unused_model_makes_room_and_no_other(
    monkeypatch: pytest.MonkeyPatch, models: ModelsUnderTest, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_EXT_MODELS_MIB", str(BUDGET_MIB))
    first, second = (
        models.load(large(tmp_path / "1.safetensors")),
        models.load(large(tmp_path / "2.safetensors")),
    )
    models.calls(first).tensors()
    models.ask(first.id, "users", user=me())  # used later than the second
    third = models.load(large(tmp_path / "3.safetensors"))
    assert "make room" in gone(models, second.id).notices[-1]
    assert (models.get(first.id).state, models.get(third.id).state) == ("loaded", "loaded")
    huge = save(tmp_path / "huge.safetensors", {"w": torch.zeros(300 << 20, dtype=torch.bfloat16)})
    said = models.refusal(huge)
    assert "MiB of memory (weights 600 MiB as bfloat16)" in said
    assert (models.get(first.id).state, models.get(third.id).state) == (
        "loaded",
        "loaded",
    )  # in vain: none is ended


def test_what_is_pinned_or_in_a_call_is_not_ended(
    monkeypatch: pytest.MonkeyPatch, models: ModelsUnderTest, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_EXT_MODELS_MIB", str(BUDGET_MIB))
    ignoring = {"options": host_options({"factory": identity})}
    pinned = models.load(large(tmp_path / "1.safetensors"), pin=True, **ignoring)
    busy = models.load(large(tmp_path / "2.safetensors"), **ignoring)
    assert busy.host is not None

    def call() -> None:
        with pytest.raises(CallFailed):
            models.calls(busy).call(torch.zeros(2), do="sleep")

    thread = threading.Thread(target=call)
    thread.start()
    until(lambda: (models.get(busy.id).host or busy.host).in_flight, "the call")
    said = models.refusal(large(tmp_path / "3.safetensors"))
    assert f"{pinned.id} (pinned)" in said
    assert f"{busy.id} (in a call)" in said
    models.unload(busy.id)
    thread.join(30)
    assert models.load(large(tmp_path / "3.safetensors")).state == "loaded"


def test_weights_that_are_written_in_place_are_told_and_not_computed_with(
    models: ModelsUnderTest, weights: Path
) -> None:
    model = models.load(weights, **OPTIONS)
    calls = models.calls(model, **OPTIONS)
    assert torch.equal(calls.call(torch.zeros(2)), torch.tensor([1.0, 2.0]))
    other = save(weights.with_name("other.safetensors"), {"w": torch.tensor([5.0, 6.0])})
    weights.write_bytes(other.read_bytes())  # what replaces the file would leave the pages alone
    with pytest.raises(
        CallFailed, match=r"odd\.safetensors was changed on the disk .* load it again"
    ) as told:
        calls.call(torch.zeros(2))
    assert "\n" not in str(told.value)
    os.truncate(weights, 0)  # a page beyond the end would be a bus error
    with pytest.raises(CallFailed, match="was changed on the disk"):
        calls.call(torch.zeros(2))
    host = models.get(model.id).host
    assert host is not None
    assert model.host is not None
    assert host.pid == model.host.pid
    until(lambda: _says(models, model.id, "was changed on the disk"), "the notice")
    save(weights, {"w": torch.tensor([7.0, 8.0])})
    models.unload(model.id)
    again = models.load(model.id, **OPTIONS)
    assert torch.equal(models.calls(again).call(torch.zeros(2)), torch.tensor([7.0, 8.0]))


def test_files_that_are_deleted_below_a_loaded_model_change_nothing_for_it(
    models: ModelsUnderTest, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    path = save(folder / "odd.safetensors", {"w": torch.tensor([1.0, 2.0])})
    model = models.load(path, **OPTIONS)
    shutil.rmtree(folder)
    assert torch.equal(models.calls(model).call(torch.zeros(2)), torch.tensor([1.0, 2.0]))
    until(lambda: _says(models, model.id, "was deleted or replaced on the disk"), "the notice")
    models.unload(model.id)
    status, problem = models.ask(model.id, "load", **OPTIONS)
    assert status >= 400
    assert "\n" not in problem["detail"]
    assert str(path) in problem["detail"]
    assert list(models.engine.where.hosts_dir.iterdir()) == []


def test_two_loads_at_once_with_another_dtype_are_one_load_and_one_refusal(
    models: ModelsUnderTest, weights: Path
) -> None:
    model_id = models.add(weights)
    answers: dict[str, tuple[int, Any]] = {}

    def load(dtype: str, name: str) -> None:
        user = {"id": name, "name": f"{name}.ipynb", "pid": os.getpid()}
        answers[dtype] = models.ask(model_id, "load", dtype=dtype, user=user, **OPTIONS)

    threads = [threading.Thread(target=load, args=pair) for pair in (("float32", "a"), ("bfloat16", "b"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_status = {status: (dtype, answer) for dtype, (status, answer) in answers.items()}
    assert sorted(by_status) == [200, 409], answers
    host = models.get(model_id).host
    assert host is not None
    assert host.dtype == by_status[200][0]
    assert f"loaded with dtype={host.dtype}, not {by_status[409][0]}" in by_status[409][1]["detail"]


def _says(models: ModelsUnderTest, model_id: str, text: str) -> bool:
    host = models.get(model_id).host
    return host is not None and any(text in notice for notice in host.notices)
