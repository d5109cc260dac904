"""What a person asked to be told of, or to be stopped for: `rules.json` in a run's directory, with what they have found."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from jupyter_ext.engine.common import records
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input
from jupyter_ext.protocol.trainings import Resource, Rule

FILE_NAME = "rules.json"
MAX_RULES = 50
_MAX_KEY = 300


class RuleFile(Resource):
    """`rules.json`."""

    rules: list[Rule]


def read_rules(run_dir: Path) -> list[Rule]:
    """Read a run's rules; none where there are none."""
    found = records.read_record(run_dir / FILE_NAME, RuleFile)
    return [] if found is None else list(found.rules)


def write_rules(run_dir: Path, rules: Sequence[Rule]) -> None:
    """Keep a run's rules."""
    records.replace(run_dir / FILE_NAME, RuleFile(rules=list(rules)).model_dump(mode="json"))


def new_rule(body: dict[str, object], num_rules: int) -> Rule:
    """Make a rule of what a client asks for.

    Raises:
        Problem: It is none, or there are too many.
    """
    if num_rules >= MAX_RULES:
        raise _wrong("rule", f"this run has {MAX_RULES} rules already; that is the most")
    try:
        rule = Rule.model_validate({**body, "id": secrets.token_hex(6), "fired": None})
    except ValidationError as error:
        first = error.errors()[0]
        raise _wrong(".".join(map(str, first["loc"])) or "rule", first["msg"]) from None
    if rule.metric is not None and not 0 < len(rule.metric) <= _MAX_KEY:
        raise _wrong("metric", f"a metric's name has 1 to {_MAX_KEY} characters")
    if rule.kind != "nan" and rule.metric is None:
        raise _wrong("metric", f"a rule of the kind {rule.kind} needs the name of a metric")
    if rule.kind == "threshold" and (rule.op is None or rule.value is None or not math.isfinite(rule.value)):
        raise _wrong("value", "a threshold needs op, one of < <= > >=, and a finite value")
    if rule.kind == "patience" and rule.patience is None:
        raise _wrong("patience", "say after how many points without a better one")
    return rule


def _wrong(field: str, text: str) -> Problem:
    return invalid_input([InvalidField("value_error", field, text)])
