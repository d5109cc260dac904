"""What a notebook keeps of a training does not grow with what the training holds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_ext.client.trainings.handle import mime_content
from jupyter_ext.client.trainings.snapshot import bounded
from jupyter_ext.protocol.trainings import Training, Urls


def _training(**fields: Any) -> Training:
    return Training(
        id="0123456789abcdefghijklmnop",
        model="local/x",
        version="v",
        name="x",
        status="failed",
        created_at="2026-01-01T00:00:00Z",
        urls=Urls(get="/", cancel="/"),
        **fields,
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"error": "e" * 10_000_000},
        {"input": {"x": [0.5] * 1_000_000}},
        {"input": {f"name{i}": i for i in range(100_000)}},
        {"output": {"a": [{"b": "c" * 100_000}] * 1000}},
        {"notes": "n" * 1_000_000, "tags": ["t"] * 100_000},
        {"notices": ["n" * 1000] * 10_000},
    ],
)
def test_an_output_is_bounded_whatever_is_in_it(fields: dict[str, Any]) -> None:
    content = mime_content(_training(**fields))
    assert len(json.dumps(content)) < 600_000
    Training.model_validate(content["training"])


def test_what_is_short_stays_as_it_is() -> None:
    training = _training(error="short", input={"x": [1, {"y": (2,)}]}, output=[None, True, 1.5])
    whole = training.model_dump(mode="json", exclude={"logs"})
    assert mime_content(training)["training"] == whole


def test_of_a_long_text_both_ends_stay() -> None:
    text = bounded("first line\n" + "x" * 100_000 + "\nValueError: the reason")
    assert text.startswith("first line")
    assert text.endswith("ValueError: the reason")
    assert "characters" in text
    assert bounded(list(range(105)))[-2:] == [99, "… 5 more"]
