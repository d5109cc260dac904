"""Rules: refused where they make no sense, exact on every point, and kept with what they found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.monitoring.rule_watch import RuleWatch
from jupyter_ext.engine.trainings.rules import MAX_RULES, new_rule, read_rules
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import Rule


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "threshold", "action": "tell"}, "metric"),
        ({"kind": "threshold", "action": "tell", "metric": "a"}, "value"),
        ({"kind": "threshold", "action": "tell", "metric": "a", "op": "<", "value": float("nan")}, "value"),
        ({"kind": "threshold", "action": "tell", "metric": "a", "op": "==", "value": 1}, "op"),
        ({"kind": "patience", "action": "stop", "metric": "a"}, "patience"),
        ({"kind": "patience", "action": "stop", "metric": "a", "patience": 0}, "patience"),
        ({"kind": "nan", "action": "explode"}, "action"),
        ({"kind": "nan", "action": "stop", "metric": "x" * 1_000}, "metric"),
    ],
)
def test_what_is_no_rule_is_named(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as told:
        new_rule(body, 0)
    assert told.value.invalid_fields[0].field == field


def test_there_are_not_too_many() -> None:
    with pytest.raises(Problem):
        new_rule({"kind": "nan", "action": "tell"}, MAX_RULES)


def watch(run_dir: Path, body: dict[str, Any], *pieces: list[float]) -> str | None:
    """Hold a rule against points that come in pieces; return what it found."""
    rule = new_rule({"action": "stop", "metric": "loss", **body}, 0)
    rules: list[Rule] = [rule]
    watcher = RuleWatch(run_dir, rules)
    first = 0
    for piece in pieces:
        steps = np.arange(first, first + len(piece), dtype=np.float64)
        watcher.take(rules, "loss", "0", steps, np.asarray(piece, np.float64))
        watcher.take(rules, "other", "0", steps, np.full(len(piece), 1e9))
        first += len(piece)
    watcher.close()
    return rule.fired


NAN = float("nan")
BELOW = {"kind": "threshold", "op": "<", "value": 0.5}
PATIENT = {"kind": "patience", "patience": 3}


@pytest.mark.parametrize(
    ("body", "pieces", "found"),
    [
        (BELOW, [[1, 0.5], [0.4, 0.1]], "Stopped: loss is 0.4 at step 2, < 0.5."),
        (BELOW, [[1, NAN, 0.5]], None),
        ({**BELOW, "op": ">="}, [[0.1, 0.5]], "Stopped: loss is 0.5 at step 1, >= 0.5."),
        ({"kind": "nan"}, [[1], [2, NAN]], "Stopped: loss is nan at step 2."),
        ({"kind": "nan"}, [[float("-inf")]], "Stopped: loss is -inf at step 0."),
        ({"kind": "nan"}, [[1, 2]], None),
        (PATIENT, [[3, 2, 2], [2.5], [2]], "Stopped: loss has not improved for 3 values; its best is 2 at step 1."),
        (PATIENT, [[3, 2, 2, 2, 1.9, 2, 2]], None),
        (PATIENT, [[NAN, NAN], [NAN]], "Stopped: loss has not improved for 3 values; its best is never finite."),
        ({**PATIENT, "mode": "max"}, [[1, 2, 1, 1, 1]], "Stopped: loss has not improved for 3 values; its best is 2 at step 1."),
        ({**PATIENT, "min_delta": 0.5}, [[3, 2.9, 2.8, 2.7]], "Stopped: loss has not improved for 3 values; its best is 3 at step 0."),
        ({**BELOW, "action": "tell"}, [[0.25]], "loss is 0.25 at step 0, < 0.5."),
    ],
)  # fmt: skip
def test_rules_find_the_first_point(
    tmp_path: Path, body: dict[str, Any], pieces: list[list[float]], found: str | None
) -> None:
    assert watch(tmp_path, body, *pieces) == found
    store = RunStore(tmp_path)
    store.open()
    while store.ingest() is not None:
        pass
    assert [mark["text"] for mark in store.marks() if mark["kind"] == "alert"] == ([found] if found else [])
    store.close()
    assert [rule.fired for rule in read_rules(tmp_path)] == ([found] if found else [])


def test_a_damaged_file_is_no_rules(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text('{"rules": [{"id": 5}]}')
    assert read_rules(tmp_path) == []
