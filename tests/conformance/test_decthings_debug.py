"""PyPI `decthings-api` 0.0.4, unmodified, drives whole debug sessions of a model that was written for `decthings_model`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance_tools import Opened

pytestmark = pytest.mark.slow
LINEAR = Path(__file__).parent / "decthings_models" / "linear" / "main.py"


@pytest.fixture(scope="module")
def told_by_both(opened: Opened, run_script: Callable[..., Any]) -> Any:
    """Run the whole script once."""
    return run_script(
        "decthings", "decthings_debug.py", str(LINEAR), DECTHINGS_URL=opened.url, DECTHINGS_KEY=opened.token
    )


@pytest.fixture(scope="module", params=["async", "sync"])
def told(request: pytest.FixtureRequest, told_by_both: Any) -> Any:
    return told_by_both[request.param == "sync"]


def test_state_and_instances(told: Any) -> None:
    assert told["state"] == [{"key": "weights", "byteSize": 10}]
    assert told["larger_state"] == [{"key": "weights", "byteSize": 15}]
    assert told["instances"] is True
    assert told["taken"] == ["weights"]
    assert told["downloaded"] == [["weights", 2]]


def test_evaluate(told: Any) -> None:
    assert told["one_output"] == ["y", 21.0, ["x"]]
    assert told["two_outputs"] == [
        [21.0, 10.0]
    ]  # this client cannot read two tensors of numbers in one output


def test_training_with_data_and_with_a_dataset(told: Any) -> None:
    amounts = [{"name": "loss", "amount": 3}, {"name": "weights", "amount": 3}]
    assert told["training"] == ["completed", amounts, True]
    assert told["units"] == [True, True, True]
    assert told["metrics"] == [
        ["loss", 1, [["f32", []], ["f32", []]]],
        ["weights", 0, []],
        ["weights", 2, [["f32", [2]]]],
        ["none", 0, []],
    ]
    assert told["stamps"] is True
    assert told["with_dataset"] == ["completed", 3]


def test_a_failed_training_says_why(told: Any) -> None:
    assert told["failed"] == ["failed", "exception", "ValueError: the data is bad"]


def test_metrics_are_live_from_code_that_blocks_and_cancel_works(told: Any) -> None:
    for mode in ("slow", "stubborn"):
        assert told[f"{mode}_live"] == ["running", True]
        assert told[f"{mode}_canceled"]["state"] == "failed"
        assert told[f"{mode}_canceled"]["failReason"] == {"code": "cancelled"}
        assert told[f"{mode}_again"] == {"code": "training_session_not_running"}


def test_list(told: Any) -> None:
    assert told["listed"] == [
        1,
        True,
        ["completed", "failed"],
        {"type": "temporaryLauncher", "spec": {"cpus": 1, "memoryMebibytes": 128}},
        ["x", "y", "mode"],
    ]


def test_events_that_this_client_can_hear(told: Any) -> None:
    """It loses its WebSocket with the first answer; what it hears is what comes before."""
    assert told["subscribed"] == [{}, None]
    assert "initialized" in told["events"]
    assert {"stdout", "stderr"} <= set(told["events"])
    assert "exit" not in told["events"]
    assert told["inspector"] == {}
    assert told["unsubscribed"] == {"code": "not_subscribed"}


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("launch_model", "model_not_found"),
        ("launch_launcher", "persistent_launcher_not_found"),
        ("launch_memory", "server_overloaded"),
        ("terminate", "debug_session_not_found"),
        ("create_session", "debug_session_not_found"),
        ("instantiate_state", "state_data_not_found"),
        ("train_model", "instantiated_model_not_found"),
        ("status", "training_session_not_found"),
        ("status_session", "debug_session_not_found"),
        ("metrics", "training_session_not_found"),
        ("cancel", "training_session_not_found"),
        ("evaluate_model", "instantiated_model_not_found"),
        ("get_state", "instantiated_model_not_found"),
        ("download", "state_data_not_found"),
        ("download_key", "state_key_not_found"),
        ("key", "bad_credentials"),
    ],
)
def test_a_refusal_is_its_code(told: Any, what: str, code: str) -> None:
    assert told["errors"][what] == {"code": code}


@pytest.mark.parametrize(
    ("what", "parameter", "says"),
    [
        ("launch_location", "executionLocation", "must have the type"),
        ("create_type", "size", "is f32, but i64 is expected (tensor 0)"),
        ("train_missing", "y", "is missing"),
        ("train_unknown", "z", "is unknown; the parameters are 'x', 'y', 'mode'"),
        ("evaluate_shape", "x", "has shape [], but [any] is expected"),
    ],
)
def test_a_wrong_parameter_is_named(told: Any, what: str, parameter: str, says: str) -> None:
    error = told["errors"][what]
    assert (error["code"], error["parameterName"]) == ("invalid_parameter", parameter)
    assert says in error["reason"]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("create_raises", "ValueError: a negative size"),
        ("instantiate_raises", "KeyError: 'weights'"),
        ("evaluate_raises", "RuntimeError: nothing to evaluate"),
    ],
)
def test_an_exception_brings_its_traceback(told: Any, what: str, says: str) -> None:
    error = told["errors"][what]
    assert error["code"] == "exception"
    assert error["exceptionDetails"].strip().splitlines()[-1] == says
    assert "main.py" in error["exceptionDetails"]


def test_a_dataset_that_is_not_there_is_named(told: Any) -> None:
    assert told["errors"]["train_dataset"] == {"code": "dataset_not_found", "datasetId": "none"}
    key = told["errors"]["train_key"]
    assert (key["code"], key["datasetKey"]) == ("dataset_key_not_found", "z")


def test_after_the_end(told: Any) -> None:
    assert told["terminated"] == {}
    assert told["after"] == {
        "evaluate": {"code": "debug_session_terminated"},
        "terminate": {"code": "debug_session_not_found"},
        "status": "failed",
        "list": {"debugSessions": []},
        "exit": {"code": "debug_session_terminated"},
    }
