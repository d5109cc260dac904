"""PyPI `replicate` 1.0.7, unmodified, against a running engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from conformance_tools import BARS, DIGITS, FAILS, NUM_SEEDED, SEEDED, SLEEPS, Opened

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
    assert len(trainings["pages"]) >= 3
    assert trainings["pages"][:2] == [100, 100]
    assert sum(id.startswith(SEEDED) for id in trainings["ids"]) == NUM_SEEDED


@pytest.fixture(scope="module")
def resources(opened: Opened, run_script: Callable[..., Any]) -> Any:
    """Run the whole script once."""
    return run_script(
        "replicate",
        "replicate_resources.py",
        opened.upload("digits", DIGITS),
        opened.upload("sleeps", SLEEPS),
        opened.upload("fails", FAILS),
    )


def test_account_and_hardware(resources: Any) -> None:
    assert resources["account"][:2] == ["user", "local"]
    assert resources["hardware"] == ["local"]


def test_models_and_versions(resources: Any) -> None:
    assert resources["model"] == ["me", "resources", "mine", None, 0]
    assert {"me/resources", "local/digits"} <= set(resources["models"])
    assert resources["search"] == ["me/resources"]
    assert len(resources["versions"]) == 1
    assert resources["latest"] == [True, 5]
    assert resources["delete_version"] is True
    assert resources["weights_gone"] == 404
    assert resources["delete_model"] is True


def test_a_version_has_its_inputs_schema_in_cogs_form(resources: Any) -> None:
    training, prediction = resources["schema"]
    assert training["properties"]["steps"] == {
        "title": "Steps",
        "type": "integer",
        "default": 3,
        "minimum": 1,
        "maximum": 100,
        "x-order": 0,
    }
    assert training["properties"]["data"] == {
        "title": "Data",
        "type": "string",
        "format": "uri",
        "nullable": True,
        "x-order": 1,
    }
    assert prediction["required"] == ["name", "weights"]
    assert resources["trained_schema"] == ["name"]


def test_a_training_is_followed_by_its_stream(resources: Any) -> None:
    events = resources["training_stream"]
    assert "".join(data for name, data in events if name == "logs") == "step 0\nstep 1\n"
    assert [name for name, _ in events][-2:] == ["output", "done"]
    assert events[-1] == ["done", "{}"]
    assert resources["stream_error"] == "ValueError: the data is bad"


def test_weights_are_a_file(resources: Any) -> None:
    assert resources["weights"] == [200, "2 ", 'attachment; filename="weights-x.txt"']


def test_a_trained_version_predicts(resources: Any) -> None:
    for name in ("run", "run_polling", "run_model"):
        given = {"run": "run", "run_polling": "poll", "run_model": "newest"}[name]
        assert resources[name] == f"{given}: 2  (weights-x.txt)"
    assert resources["prediction_created"] == "starting"
    assert resources["prediction"] == [
        "succeeded",
        "plain: 2  (weights-x.txt)",
        "predicting\n",
        ["predict_time", "total_time"],
    ]
    assert resources["stream"] == [
        ["logs", "predicting\n"],
        ["output", "stream: 2  (weights-x.txt)"],
        ["done", "{}"],
    ]
    assert resources["model_error"] == ["failed", "RuntimeError: no x"]
    assert resources["prediction_listed"] is True
    assert resources["not_listed"] == [False, False]


def test_files(resources: Any) -> None:
    assert resources["file"] == ["data.zip", "application/zip", 3000, {"who": "me"}, ["md5", "sha256"]]
    assert resources["plain_file"] == ["x.txt", "text/plain", 3]
    assert resources["files"] is True
    assert resources["deleted"] == [True, False]


@pytest.mark.parametrize(
    ("what", "status", "says"),
    [
        ("training", 404, "There is no training"),
        ("prediction", 404, "There is no training"),
        ("file", 404, "File not found"),
        ("model", 404, "There is no model 'me/none'"),
        ("version", 404, "There is no version"),
        ("destination", 404, "The specified training destination does not exist"),
        ("trained_version", 422, "There is no version"),
        ("input", 422, "- input.steps: steps=0: input should be greater than or equal to 1"),
        ("unknown_input", 422, "did you mean 'steps'?"),
        ("webhook", 422, "webhook='ftp://x' is no http(s) URL"),
        ("events", 422, "'never' is none of start, output, logs, completed"),
        ("far_file", 422, "the engine does not fetch from 'example.com'"),
        ("cannot_predict", 422, "defines no predict() or run(), and no Predictor class"),
        ("no_version", 422, "The specified version does not exist"),
        ("token", 401, "You did not pass a valid authentication token"),
        ("duplicate_model", 422, "exists already"),
        ("model_with_versions", 400, "delete them first"),
    ],
)
def test_refusals(resources: Any, what: str, status: int, says: str) -> None:
    told = resources["refusals"][what]
    assert told is not None
    assert told[0] == status
    assert told[1]
    assert says in told[2]
    assert resources["run_refused"] == 422
