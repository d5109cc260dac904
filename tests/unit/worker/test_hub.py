"""What the hub of a group on several nodes makes of what its ranks send, and what it has them do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from jupyter_ext.ipc.relay_frames import lines_of
from jupyter_ext.worker.remote import hub as hub_module
from jupyter_ext.worker.remote.hub import Hub, first_error


def sent(files: Mapping[str, bytes], offset: int = 0) -> str:
    """Return the lines that carry files."""
    return "".join(
        line
        for name, data in files.items()
        for line in lines_of(name, data, offset, grows=name.endswith((".jnl", ".txt")))
    )


def ended(code: int | None = 0, number: int | None = None) -> str:
    """Return the line of a rank's exit.json."""
    end = {"code": code, "signal": number, "started_at": 1.0, "ended_at": 2.0, "swept": 0, "stop": None}
    return sent({"exit.json": json.dumps(end).encode()})


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """Return the hub of two ranks that have joined."""
    made = Hub(str(tmp_path), 2)
    for rank in (0, 1):
        assert made.join(rank, "first", "a")["attempt"] == 1
    return made


def test_a_group_is_over_once_all_have_ended(hub: Hub) -> None:
    assert hub.take(0, "first", ended()) == "go_on"
    assert hub.take(1, "first", "") == "go_on"
    assert hub.take(1, "first", ended()) == "leave"
    assert hub.take(0, "first", "") == "leave"
    assert hub.state().failed is None


def test_a_failure_counts_once_the_others_are_known_to_live(hub: Hub) -> None:
    assert hub.take(0, "first", ended(1)) == "go_on"
    assert hub.state().failed is None, "rank 1 may be lost, and the cause of it"
    assert hub.take(1, "first", "") == "kill"
    assert hub.state().failed == 0


def test_ray_is_asked_to_begin_again_where_a_rank_is_silent(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.take(0, "first", ended(1))
    monkeypatch.setattr(hub_module, "_SILENT_S", 0.0)
    assert hub.take(0, "first", "") == "fail"


def test_a_stop_reaches_all_and_is_no_failure(hub: Hub) -> None:
    hub.ask_to_stop()
    assert hub.take(0, "first", "") == "stop"
    assert hub.take(0, "first", ended(130)) == "go_on"
    assert hub.take(1, "first", "") == "stop", "it climbs the ladder in its own time"
    assert hub.take(1, "first", ended(130)) == "leave"


def test_an_attempt_goes_on_behind_the_one_before_it(hub: Hub, tmp_path: Path) -> None:
    files = {"logs.txt": b"one\n", "metrics-0-0.jnl": b"abc", "metrics-0.77-0.jnl": b"x"}
    hub.take(0, "first", sent(files))
    hub.take(
        0, "first", sent({"checkpoints/checkpoint-1.pt": b"state", "checkpoints/checkpoint-1.json": b"{}"})
    )
    joined = hub.join(1, "second", "b")
    assert joined["attempt"] == 2
    assert joined["checkpoints"] == {"checkpoint-1.pt": b"state", "checkpoint-1.json": b"{}"}
    hub.join(0, "second", "a")
    hub.take(0, "second", sent({"logs.txt": b"two\n", "metrics-0-0.jnl": b"def"}))
    hub.take(0, "second", sent({"logs.txt": b"three\n"}, offset=4))
    assert (tmp_path / "ranks/0/logs.txt").read_text() == "one\ntwo\nthree\n"
    assert (tmp_path / "metrics-0-0.jnl").read_bytes() == b"abc"
    assert (tmp_path / "metrics-0-1.jnl").read_bytes() == b"def"
    assert hub.take(0, "first", "") == "kill", "a rank of an attempt that is over"
    assert hub.news() == ["rank 0 on a", "rank 1 on a", "rank 1 on b", "rank 0 on a"]


def test_only_the_first_rank_has_a_result_and_checkpoints(hub: Hub, tmp_path: Path) -> None:
    files = {"output.json": b"1", "checkpoints/checkpoint-1.pt": b"s", "error.json": b"{}"}
    hub.take(1, "first", sent(files))
    assert not (tmp_path / "output.json").exists()
    assert not (tmp_path / "checkpoints").exists()
    assert (tmp_path / "ranks/1/error.json").exists()
    hub.take(0, "first", sent({"output.json": b"2"}))
    assert (tmp_path / "output.json").read_bytes() == b"2"


@pytest.mark.parametrize(
    ("end", "kind", "text"),
    [
        (ended(None, 9), "signal", "Rank 1 of 2 was killed by signal 9"),
        (ended(3), "exit", "rank 1 ended its process with exit code 3"),
    ],
)
def test_the_rank_that_failed_is_named(hub: Hub, tmp_path: Path, end: str, kind: str, text: str) -> None:
    hub.take(1, "first", end)
    hub.take(0, "first", "")
    state = hub.state()
    assert state.failed == 1
    error = first_error(tmp_path, 1, state.ends, 2)
    assert error.get("kind") == kind
    assert text in error["message"]


def test_an_exception_is_told_with_its_rank(hub: Hub, tmp_path: Path) -> None:
    error = {
        "type": "ValueError",
        "message": "bad",
        "frames": [],
        "text": "Traceback",
        "summary": "ValueError: bad",
    }
    hub.take(1, "first", sent({"error.json": json.dumps(error).encode()}) + ended(1))
    hub.take(0, "first", "")
    told = first_error(tmp_path, 1, hub.state().ends, 2)
    assert (told.get("summary"), told["text"]) == (
        "ValueError: bad (on rank 1)",
        "On rank 1 of 2:\nTraceback",
    )
