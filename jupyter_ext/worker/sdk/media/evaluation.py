"""What a classifier is judged by: a confusion matrix and a precision-recall curve. Standard library only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from jupyter_ext.worker.sdk.media.arrays import as_numpy
from jupyter_ext.worker.sdk.media.stored import JsonValue, Prepared
from jupyter_ext.worker.sdk.media.types import Media

MAX_CLASSES = 200
MAX_CURVE_POINTS = 201


class ConfusionMatrix(Media):
    """How often each class was taken for each: rows are what is true, columns what was predicted.

    Args:
        y_true: The true class of each sample, numbers or names.
        y_pred: The predicted one.
        class_names: Names of classes 0, 1, …; by default what occurs, sorted.
        caption: A line shown with it.
    """

    kind = "confusion_matrix"

    def __init__(
        self, y_true: Any, y_pred: Any, class_names: Sequence[str] | None = None, caption: str | None = None
    ) -> None:
        super().__init__(caption)
        self.y_true = y_true
        self.y_pred = y_pred
        self.class_names = class_names

    def prepare(self) -> Prepared:
        """Count the pairs."""
        true, predicted = _items(self.y_true), _items(self.y_pred)
        if len(true) != len(predicted):
            raise ValueError(f"there are {len(true)} true classes and {len(predicted)} predicted ones")
        pairs = Counter(zip(true, predicted, strict=True))
        if self.class_names is not None:
            names = [str(name) for name in self.class_names]
            classes: list[Any] = list(range(len(names)))
            if not {item for pair in pairs for item in pair} <= set(classes):
                raise ValueError(f"a class is not within 0 to {len(names) - 1}, which class_names names")
        else:
            classes = sorted(
                {item for pair in pairs for item in pair}, key=lambda item: (str(type(item)), item)
            )
            names = [str(item) for item in classes]
        if len(classes) > MAX_CLASSES:
            raise ValueError(f"{len(classes)} classes are more than the {MAX_CLASSES} that a matrix shows")
        counts: list[JsonValue] = [[pairs[row, column] for column in classes] for row in classes]
        return Prepared(self.kind, data={"labels": [*names], "counts": counts}, facts={"n": len(true)})


class PRCurve(Media):
    """Precision over recall, from the score of each sample.

    Args:
        y_true: Whether each sample is positive: 0 or 1, n numbers.
        y_score: Its score, n numbers; the higher, the more likely positive.
        caption: A line shown with it.
    """

    kind = "pr_curve"

    def __init__(self, y_true: Any, y_score: Any, caption: str | None = None) -> None:
        super().__init__(caption)
        self.y_true = y_true
        self.y_score = y_score

    def prepare(self) -> Prepared:
        """Count at every threshold, and keep at most 201 of them, at even distances of recall."""
        numpy = import_module("numpy")
        true = as_numpy(self.y_true).ravel() > 0.5
        scores = as_numpy(self.y_score).ravel().astype(numpy.float64)
        if true.shape != scores.shape:
            raise ValueError(f"there are {true.size} truths and {scores.size} scores")
        if not true.any():
            raise ValueError("no sample is positive, so there is no recall")
        order = numpy.argsort(-scores, kind="stable")
        true, scores = true[order], scores[order]
        last_of_score = numpy.append(numpy.flatnonzero(numpy.diff(scores)), len(scores) - 1)
        hits = numpy.cumsum(true)[last_of_score]
        precision, recall = hits / (last_of_score + 1), hits / hits[-1]
        steps = numpy.diff(numpy.append(0.0, recall))
        average = float((precision * steps).sum())
        if len(recall) > MAX_CURVE_POINTS:
            kept = numpy.unique(
                numpy.searchsorted(recall, numpy.linspace(0, 1, MAX_CURVE_POINTS)).clip(max=len(recall) - 1)
            )
            precision, recall, last_of_score = precision[kept], recall[kept], last_of_score[kept]
        return Prepared(
            self.kind,
            data={
                "precision": precision.tolist(),
                "recall": recall.tolist(),
                "threshold": numpy.nan_to_num(scores[last_of_score]).tolist(),
            },
            facts={"n": int(true.size), "average_precision": average},
        )


def _items(values: Any) -> list[Any]:
    """Return the elements of a sequence, an array or a tensor as plain values."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    items = list(values)
    if not all(isinstance(item, str | int | float | bool) for item in items):
        raise ValueError("a class is a number or a name")
    return [int(item) if isinstance(item, float) and item.is_integer() else item for item in items]


for _public in (ConfusionMatrix, PRCurve):
    _public.__module__ = "jupyter_ext"
