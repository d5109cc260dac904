"""What a person asked to be told of, or to be stopped for, held against every point of a run.

Rules: points are looked at where they are stored already, in the engine, so that `log()` costs nothing more; a rule that is added
late is held against what there is. What a rule finds is a mark `alert` of the stream `rules`, like one of the code's own.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_ext.engine.trainings.rules import write_rules
from jupyter_ext.ipc.late_import import late
from jupyter_ext.protocol.trainings import Rule
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    np = late("numpy")

STREAM = "rules"


class RuleWatch:
    """Holds the rules of one run against its points, in the order in which they come.

    Args:
        run_dir: The run directory.
        rules: The rules, whose `fired` this sets; the list is the record's own.
    """

    def __init__(self, run_dir: Path, rules: list[Rule]) -> None:
        self._run_dir = run_dir
        self._rules = rules
        self._patience: dict[tuple[str, str, str], _Patience] = {}
        self._journal: JournalWriter | None = None

    def take(self, rules: Iterable[Rule], key: str, stream: str, steps: Floats, values: Floats) -> None:
        """Hold rules against the next points of a series; what one finds is kept and marked."""
        waiting = [rule for rule in rules if rule.fired is None and rule.metric in (None, key)]
        found = [self._holds(rule, key, stream, steps, values) for rule in waiting]
        if any(found):
            write_rules(self._run_dir, self._rules)

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _holds(self, rule: Rule, key: str, stream: str, steps: Floats, values: Floats) -> bool:
        if rule.kind == "nan":
            at = _first(~np.isfinite(values))
            text = None if at is None else f"{key} is {_shown(values[at])} at step {_shown(steps[at])}."
        elif rule.kind == "threshold":
            at = _first(_COMPARE[rule.op or "<"](values, rule.value or 0.0))
            text = (
                None
                if at is None
                else f"{key} is {_shown(values[at])} at step {_shown(steps[at])}, {rule.op} {_shown(rule.value or 0)}."
            )
        else:
            patience = self._patience.setdefault((rule.id, key, stream), _Patience(rule))
            at = patience.take(steps, values)
            text = None if at is None else patience.text(key)
        if at is None or text is None:
            return False
        rule.fired = f"Stopped: {text}" if rule.action == "stop" else text
        if self._journal is None:
            self._journal = JournalWriter(self._run_dir, STREAM)
        level = "error" if rule.kind == "nan" else "warning" if rule.action == "stop" else "info"
        self._journal.mark("alert", text=rule.fired, level=level, step=float(steps[at]), rule=rule.id)
        return True


class _Patience:
    """How long a series has been no better than its best."""

    def __init__(self, rule: Rule) -> None:
        self._sign = 1.0 if rule.mode == "min" else -1.0
        self._patience = rule.patience or 1
        self._min_delta = rule.min_delta
        self._best = math.inf
        self._best_step = math.nan
        self._waited = 0

    def take(self, steps: Floats, values: Floats) -> int | None:
        """Return the place of the point at which patience is over, or `None`. What is not finite is no better."""
        for place, (step, value) in enumerate(
            zip(steps.tolist(), (values * self._sign).tolist(), strict=True)
        ):
            if value < self._best - self._min_delta:
                self._best, self._best_step, self._waited = value, step, 0
                continue
            self._waited += 1
            if self._waited >= self._patience:
                return place
        return None

    def text(self, key: str) -> str:
        best = (
            "never finite"
            if math.isinf(self._best)
            else f"{_shown(self._sign * self._best)} at step {_shown(self._best_step)}"
        )
        return f"{key} has not improved for {self._waited} values; its best is {best}."


_COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def _first(found: NDArray[np.bool_]) -> int | None:
    return int(found.argmax()) if found.any() else None


def _shown(number: float) -> str:
    return f"{number:.6g}"
