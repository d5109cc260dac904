"""What `%trainings` gives: a list, a still table for saved notebooks, a live one, and a DataFrame."""

from __future__ import annotations

import json
from typing import Any

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.client.trainings.listing import TABLE_MIME_TYPE, TrainingList
from jupyter_ext.protocol.trainings import Training as Resource
from jupyter_ext.protocol.trainings import Urls


def run(number: int, **changes: Any) -> Training:
    resource = {
        "id": f"{number:026d}",
        "model": "local/digits",
        "version": "f" * 64,
        "status": "succeeded",
        "created_at": "2026-01-01T00:00:00.000Z",
        "started_at": "2026-01-01T00:00:01.000Z",
        "completed_at": "2026-01-01T00:00:31.000Z",
        "urls": Urls(get="", cancel=""),
        "name": f"<digits {number}>",
        "input": {"lr": number / 10},
        "last": {"test/loss": {"step": 3, "value": 0.5, "time": 0.0}},
        "extremes": {"test/loss": {"min": 0.25, "max": 2.0}, "accuracy": {"min": 0.1, "max": 0.9}},
        "tags": ["a", "b"],
        "notes": "note",
    }
    return Training(AsyncClient(), Resource.model_validate(resource | changes))


def test_it_is_a_list_and_a_table_of_its_handles() -> None:
    runs = TrainingList([run(1), run(2)], "succeeded", 20)
    assert isinstance(runs, list)
    assert [item.id for item in runs[:1]] == [f"{1:026d}"]
    bundle = runs._repr_mimebundle_()
    live = json.loads(json.dumps(bundle[TABLE_MIME_TYPE]))
    assert (live["version"], live["status"], live["limit"]) == (1, "succeeded", 20)
    assert [item["id"] for item in live["trainings"]] == [item.id for item in runs]
    assert "<table>" in bundle["text/html"]
    assert "&lt;digits 1&gt;" in bundle["text/html"], "names are text, never markup"
    assert "<digits 1>" in bundle["text/plain"]


def test_a_list_that_nobody_asked_a_magic_for_stands_still() -> None:
    assert TABLE_MIME_TYPE not in TrainingList([run(1)])._repr_mimebundle_()
    assert "No trainings yet" in TrainingList()._repr_mimebundle_()["text/plain"]


def test_a_dataframe_has_inputs_last_and_best_values() -> None:
    table = TrainingList([run(1), run(2, input={"seed": 3}, status="failed", completed_at=None)]).dataframe()
    assert table["name"].tolist() == ["<digits 1>", "<digits 2>"]
    assert table["duration_s"][0] == 30
    assert table["input.lr"][0] == 0.1
    assert table["input.seed"][1] == 3
    assert table["last.test/loss"][0] == 0.5
    assert (table["best.test/loss"][0], table["best.accuracy"][0]) == (0.25, 0.9)
    assert table["tags"][0] == "a, b"
    assert TrainingList().dataframe().empty
