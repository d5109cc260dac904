"""PyPI `decthings-api` 0.0.4, unmodified: models, their states, trainings and evaluations."""

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
        "decthings", "decthings_models.py", str(LINEAR), DECTHINGS_URL=opened.url, DECTHINGS_KEY=opened.token
    )


@pytest.fixture(scope="module", params=["async", "sync"])
def told(request: pytest.FixtureRequest, told_by_both: Any) -> Any:
    return told_by_both[request.param == "sync"]


def test_states(told: Any) -> None:
    assert told["created"] is False
    assert told["wait"] == {"code": "model_already_created"}
    assert told["no_state"]["code"] == "invalid_parameter"
    assert told["create_state"] == [["codeStartup", "createLauncher", "createState", "total"], True]
    assert told["create_state_failed"] == ["exception", "createState", "ValueError: a negative size"]
    assert told["state"] == [["weights", 2]]


def test_a_training_makes_a_new_state(told: Any) -> None:
    amounts = [{"name": "loss", "amount": 3}, {"name": "weights", "amount": 3}]
    starts = ["codeStartup", "createInstantiatedModel", "createLauncher"]
    assert told["trained"] == ["completed", "second", amounts, starts, [True, True, True]]
    assert told["losses"] == [3, True]
    assert told["sysinfo"] in ([], [["cpus", "memory", "timestamp"]])


def test_evaluations(told: Any) -> None:
    durations = ["codeStartup", "createInstantiatedModel", "createLauncher", "evaluate"]
    assert told["evaluated"] == [["y", 21.0], durations, True]
    assert told["evaluation_failed"] == ["exception", "evaluate"]
    assert told["evaluations"] == [0, [True, False]]
    assert told["again"] == "y"
    assert told["invalid_output"] == ["invalid_output", "not_applicable_to_parameter_definitions"]


def test_a_training_is_canceled_and_cleared(told: Any) -> None:
    assert told["running"] == {"code": "training_session_running"}
    assert told["canceled"] == [{"code": "cancelled"}, True]
    assert told["cancel_again"] == {"code": "training_session_not_running"}
    assert told["cleared"] == {"code": "training_session_not_found"}


def test_why_a_training_failed(told: Any) -> None:
    assert told["reasons"] == {
        "raise": {"code": "exception", "at": "train"},
        "exit": {"code": "code_terminated", "exitCode": 7, "oom": False},
        "slow": {"code": "max_duration_exceeded", "at": "train"},
    }


def test_list_and_refusals(told: Any) -> None:
    assert told["listed"] == ["renamed", "python", ["first", "second", "mine"], True, [], 4]
    assert told["errors"] == {
        "model": {"code": "model_not_found"},
        "state": {"code": "state_not_found"},
        "active": {"code": "state_is_active"},
        "key": {"code": "state_key_not_found"},
        "snapshot": {"code": "snapshot_not_found"},
        "evaluation": {"code": "evaluation_not_found"},
        "training": {"code": "training_session_not_found"},
    }
    assert told["deleted"] == {"code": "model_not_found"}
    assert told["users"] == [{"userId": "local", "username": "local"}]
