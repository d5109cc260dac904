"""PyPI `replicate-stainless` 0.6.0, unmodified, against a running engine."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from conformance_tools import DIGITS, FAILS, SLEEPS, Opened

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def seen(opened: Opened, run_script: Callable[..., Any]) -> Any:
    """Run the whole script once."""
    return run_script(
        "stainless",
        "stainless.py",
        opened.upload("digits", DIGITS),
        opened.make_model("stainless"),
        opened.upload("sleeps", SLEEPS),
        opened.upload("fails", FAILS),
    )


def test_trainings(seen: Any) -> None:
    assert seen["created"][:2] == ["starting", "local/digits"]
    status, logs, version, weights = seen["ended"]
    assert (status, logs) == ("succeeded", "step 0\nstep 1\n")
    assert re.fullmatch(r"me/stainless:[0-9a-f]{64}", version)
    assert weights.startswith("http://127.0.0.1:")
    assert seen["async"] == ["succeeded", "succeeded"]
    assert seen["canceled"] == ["canceled", "canceled"]
    assert seen["failed"] == ["failed", "ValueError: the data is bad"]


def test_files(seen: Any) -> None:
    assert seen["file"] == ["text/plain", 8, {"who": "me"}, True]
    assert seen["bytes_file"] == "application/x-thing"
    assert seen["download"] == "uploaded"
    assert seen["weights"] == "1 uploaded"
    assert seen["files"] is True
    assert seen["deleted"] == ["NotFoundError", 404, "File not found"]


def test_pages_are_followed_to_the_end(seen: Any) -> None:
    assert len(seen["pages"]) >= 3
    assert seen["pages"][:2] == [100, 100]
    assert 0 < seen["pages"][-1] <= 100
    assert len(seen["ids"]) == len(set(seen["ids"])) == sum(seen["pages"])


def test_models_and_the_rest(seen: Any) -> None:
    assert (seen["account"], seen["hardware"], seen["secret"]) == ("local", ["local"], "whsec_")
    assert [seen["model"], seen["models"], seen["versions"]] == [True, True, 4]


def test_predictions(seen: Any) -> None:
    assert seen["run"] == "run: 2  (weights-x.txt)"
    assert seen["prediction"] == ["succeeded", "p: 2  (weights-x.txt)"]
    assert (seen["waited"], seen["predictions"], seen["as_prediction"]) == ("succeeded", True, "succeeded")


@pytest.mark.parametrize(
    ("what", "kind", "status", "says"),
    [
        ("training", "NotFoundError", 404, "There is no training"),
        ("input", "UnprocessableEntityError", 422, "steps='many'"),
        ("destination", "NotFoundError", 404, "The specified training destination does not exist"),
        ("token", "AuthenticationError", 401, "You did not pass a valid authentication token"),
        ("version", "UnprocessableEntityError", 422, "The specified version does not exist"),
        ("delete", "BadRequestError", 400, "delete them first"),
    ],
)
def test_refusals(seen: Any, what: str, kind: str, status: int, says: str) -> None:
    told = seen["refusals"][what]
    assert told[:2] == [kind, status]
    assert says in told[2]
