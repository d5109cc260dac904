"""A list of handles that displays as a table, and as a DataFrame."""

from __future__ import annotations

import html
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from jupyter_ext.client import display_hook
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.client.trainings.snapshot import snapshot
from jupyter_ext.protocol import trainings

if TYPE_CHECKING:
    import pandas as pd

TABLE_MIME_TYPE = "application/vnd.jupyter-ext.trainings+json"
LOWER_IS_BETTER = (
    "loss",
    "err",
    "error",
    "perplexity",
    "ppl",
    "mse",
    "mae",
    "rmse",
    "nll",
    "bpb",
    "bpc",
    "wer",
    "cer",
    "fid",
)
"""A metric with one of these words in its name is best where it is smallest; all others where they are largest."""
HIGHER_IS_BETTER = (
    *("acc", "accuracy", "top1", "top5", "f1", "auc", "auroc", "ap", "map", "precision", "recall"),
    *("iou", "miou", "dice", "bleu", "rouge", "meteor", "cider", "psnr", "ssim", "r2", "reward", "score"),
)
"""The name says that it is best where it is largest. Of others, such as a learning rate, no best value is marked in a plot."""


def duration_s(training: trainings.Training) -> float | None:
    """Return how long a training ran or has been running, in seconds."""
    if training.started_at is None:
        return None
    end = datetime.fromisoformat(training.completed_at) if training.completed_at else datetime.now(UTC)
    return max(0.0, (end - datetime.fromisoformat(training.started_at)).total_seconds())


def format_duration(seconds: float) -> str:
    """Write a duration as people say it: `3.2 s`, `4 min 10 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def format_number(value: float | str) -> str:
    """Write a metric's value with four significant digits."""
    return value if isinstance(value, str) else f"{value:.4g}"


class TrainingList(list[Training]):
    """A list of handles that displays as a table: live where a page can reach the engine or the kernel, still elsewhere.

    Args:
        runs: The handles.
        status: What was asked for, for the live table to ask again.
        limit: Rows of one page of the live table.
        text: What was searched for.
    """

    def __init__(
        self,
        runs: Iterable[Training] = (),
        status: str | None = None,
        limit: int | None = None,
        text: str = "",
    ) -> None:
        super().__init__(runs)
        self._status = status
        self._text = text
        self._limit = limit

    def rows(self) -> list[list[str]]:
        """Return the table's cells as text."""
        rows = []
        for run in self:
            training = run.known
            seconds = duration_s(training)
            shown = [(key, point) for key, point in training.last.items() if not key.startswith("system/")]
            rows.append(
                [
                    training.name,
                    training.id,
                    training.status,
                    _ago(training.created_at),
                    "" if seconds is None else format_duration(seconds),
                    ", ".join(f"{key}={value}" for key, value in training.input.items())[:60],
                    ", ".join(f"{key} {format_number(point.value)}" for key, point in shown[:4]),
                ]
            )
        return rows

    def dataframe(self) -> pd.DataFrame:
        """Return a DataFrame, one row a training: what it is, `input.NAME`, `last.KEY` and `best.KEY`.

        The best of a metric is its smallest value where a word such as loss or error is in its name, else its largest.
        """
        import pandas as pd

        records = []
        for run in self:
            training = run.known
            record: dict[str, object] = {
                "id": training.id,
                "name": training.name,
                "status": training.status,
                "created": pd.Timestamp(training.created_at),
                "duration_s": duration_s(training),
                "tags": ", ".join(training.tags),
                "notes": training.notes,
            }
            record |= {f"input.{key}": value for key, value in training.input.items()}
            record |= {f"last.{key}": point.value for key, point in training.last.items()}
            record |= {f"best.{key}": best_of(key, item) for key, item in training.extremes.items()}
            records.append(record)
        return pd.DataFrame(records)

    def __repr__(self) -> str:
        """Return the table as text."""
        if not self and self._text:
            return "No trial has begun yet."
        if not self:
            return "No trainings yet. `%%train --help` shows how to start one."
        rows = [_COLUMNS, *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        )

    @property
    def table(self) -> dict[str, object] | None:
        """What the live table is drawn from; `None` for a list that is not the answer to a question."""
        if self._limit is None:
            return None
        return {
            "version": 1,
            "status": self._status,
            "limit": self._limit,
            **({"text": self._text} if self._text else {}),
            "trainings": [snapshot(run.known) for run in self],
        }

    def _ipython_display_(self) -> None:
        display_hook.show("trainings", self, self._repr_mimebundle_)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        bundle: dict[str, object] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if (table := self.table) is not None:
            bundle[TABLE_MIME_TYPE] = table
        return bundle

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{html.escape(repr(self))}</p>"
        body = "".join(_html_row("td", row) for row in self.rows())
        return f"<table><thead>{_html_row('th', _COLUMNS)}</thead><tbody>{body}</tbody></table>"


_COLUMNS = ["name", "id", "status", "started", "duration", "inputs", "last"]


def _html_row(tag: str, cells: list[str]) -> str:
    inner = "".join(f'<{tag} style="text-align:left">{html.escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"


_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def _ago(created_at: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds()
    if seconds < 5:
        return "just now"
    unit, length_s = next(item for item in _UNITS if seconds >= item[1])
    return f"{seconds // length_s:.0f} {unit} ago"


def is_lower_better(key: str) -> bool:
    """Return whether a metric is best where it is smallest, by the words in its name."""
    return any(word in LOWER_IS_BETTER or word.endswith("loss") for word in _words(key))


def best_end(key: str) -> Literal["min", "max"] | None:
    """Return the better end of a metric; `None` where its name does not say."""
    if is_lower_better(key):
        return "min"
    return "max" if any(word in HIGHER_IS_BETTER for word in _words(key)) else None


def _words(key: str) -> list[str]:
    return "".join(letter if letter.isalnum() else " " for letter in key.lower()).split()


def best_of(key: str, extremes: trainings.Extremes) -> float:
    """Return the best value of a metric."""
    return extremes.min if is_lower_better(key) else extremes.max
