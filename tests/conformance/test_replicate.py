"""PyPI `replicate` 1.0.7, unmodified, against a running engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from conformance_tools import BARS, DIGITS, FAILS, SLEEPS, Opened

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trainings(opened: Opened, run_script: Callable[..., Any]) -> Any:
    """Run the whole script once."""
    return run_script(
        "replicate",
        "replicate_trainings.py",
        opened.upload("digits", DIGITS),
        opened.make_model("classic"),
        opened.upload("sleeps", SLEEPS),
        opened.upload("fails", FAILS),
        opened.upload("bars", BARS),
    )


def test_all_call_forms_create_a_training_that_ends(trainings: Any) -> None:
    assert trainings["created"] == ["starting"] * 6
    assert trainings["ended"] == ["succeeded"] * 6
    assert trainings["logs"] == "step 0\nstep 1\n"
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", time) for time in trainings["times"])


def test_a_destination_gets_a_version_with_weights(trainings: Any) -> None:
    assert set(trainings["destinations"]) == {"me/classic"}
    versions = {output["version"] for output in trainings["outputs"]}
    assert len(versions) == 6
    assert all(re.fullmatch(r"me/classic:[0-9a-f]{64}", version) for version in versions)
    assert all(output["weights"].startswith("http://127.0.0.1:") for output in trainings["outputs"])


def test_a_file_arrives_as_a_local_file(trainings: Any) -> None:
    status, url, error = trainings["file"]
    assert (status, error) == ("succeeded", None)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1/files/[0-9a-v]{26}", url)
    assert trainings["file_text"] == "1 from a handle"
    assert trainings["data_uri"] == ["succeeded", "1 inline"]


def test_failure_and_cancel(trainings: Any) -> None:
    assert trainings["failed"] == ["failed", "ValueError: the data is bad", None]
    assert trainings["canceled"] == ["canceled", "canceled"]
    assert trainings["canceled_again"] == "canceled"


def test_progress_bars_are_read_and_a_training_is_a_prediction_too(trainings: Any) -> None:
    assert trainings["progress"] == {"percentage": 1.0, "current": 4, "total": 4}
    assert trainings["as_prediction"] == "succeeded"


def test_the_list_has_each_training_once(trainings: Any) -> None:
    assert len(trainings["ids"]) == len(set(trainings["ids"]))
    assert set(trainings["all_ids"]) <= set(trainings["ids"])
