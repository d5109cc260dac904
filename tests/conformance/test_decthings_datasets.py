"""PyPI `decthings-api` 0.0.4, unmodified: its tensors beside ours, and datasets in a running engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conformance_tools import Opened

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def test_our_tensors_are_theirs(run_script: Callable[..., Any]) -> None:
    assert run_script("decthings", "decthings_tensors.py", str(ROOT)) == 11 * 60 + 100


@pytest.fixture(scope="module", params=["async", "sync"])
def told(request: pytest.FixtureRequest, told_by_both: Any) -> Any:
    return told_by_both[request.param == "sync"]


@pytest.fixture(scope="module")
def told_by_both(opened: Opened, run_script: Callable[..., Any]) -> Any:
    """Run the whole script once."""
    return run_script(
        "decthings", "decthings_datasets.py", DECTHINGS_URL=opened.url, DECTHINGS_KEY=opened.token
    )


def entries(told: Any) -> dict[str, list[Any]]:
    """Return `[index, value]` pairs by key."""
    return {key["key"]: [[item["index"], item["data"]] for item in key["data"]] for key in told["keys"]}


def test_entries_come_back(told: Any) -> None:
    assert told["version_changed"] is True
    assert told["old_version"] == "incorrect_version_id"
    found = entries(told["entries"])
    assert found["x"] == [[2, [1, 2, 3]], [0, [1]]]
    assert found.get("label", [[2, "t3"], [0, "t1"]]) == [[2, "t3"], [0, "t1"]]
    assert entries(told["range"])["x"] == [[1, [1, 2]], [2, [1, 2, 3]]]


def test_entries_that_need_a_review(told: Any) -> None:
    assert entries(told["review"])["x"] == [[0, [7]], [1, [8]]]
    assert told["finalized"] is True
    assert entries(told["review_left"])["x"] == [[0, [7]]]


def test_removal_and_list(told: Any) -> None:
    fields = ["newDatasetVersionId", "newWaitingToRemoveAmount", "newWaitingToRemoveBytes", "removedBytes"]
    assert told["removed"] == [fields, 3]
    assert entries(told["after"])["x"] == [[0, [1, 2, 3]], [1, [9]]]
    found = told["list"]["datasets"][0]
    assert (told["list"]["total"], told["list"]["offset"], told["list"]["limit"]) == (1, 0, 20)
    assert (found["name"], found["description"], found["tags"], found["access"]) == (
        "renamed",
        "x",
        [],
        "readwrite",
    )
    assert found["entries"]["count"] == 2
    assert found["needsReviewEntries"] == {"count": 0, "totalByteSize": 0}
    assert found["entriesWaitingToBeDeleted"]["count"] == 4
    assert found["keys"][0] == {
        "name": "x",
        "required": True,
        "rules": {"shape": [-1], "allowedTypes": ["f32"], "annotations": []},
    }


def test_every_error_is_named(told: Any) -> None:
    errors = told["errors"]
    assert errors["dataset_not_found"] == {"code": "dataset_not_found"}
    assert errors["index_out_of_range"] == {"code": "index_out_of_range"}
    for name, parameter, says in [
        ("shape", "keys", "parameter 'x' is string, but f32 is expected (entry 0)"),
        ("key", "keys", "not z"),
        ("name", "name", "is missing"),
        ("limit", "limit", "must be at least 0"),
    ]:
        assert (errors[name]["code"], errors[name]["parameterName"]) == ("invalid_parameter", parameter)
        assert says in errors[name]["reason"]
    assert told["deleted"] == {"code": "dataset_not_found"}
    assert told["key"] == {"code": "bad_credentials"}
