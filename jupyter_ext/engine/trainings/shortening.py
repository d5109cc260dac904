"""What lists and streams carry of large values: their beginning, and the places of what was cut.

Rule: nothing is cut without being named in `cut`; the training by itself (`GET /native/trainings/{id}`) has all of it.
"""

from __future__ import annotations

import math

from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.ipc.json_values import Limits, bounded
from jupyter_ext.protocol.trainings import Training

LIMITS = Limits(depth=16, items=1_000, chars=16_000, text_chars=4_000)
"""Of the inputs and of the output of each training: a hundred of them stay below some megabytes."""
_LARGE = ("input", "output")
_SMALL_ITEMS, _SMALL_CHARS = 64, 200
"""So few numbers and texts so short are never cut, and most inputs and outputs are no more."""


def shortened(training: Training) -> Training:
    """Return a training with its large values cut."""
    values, cut = _shorten({name: getattr(training, name) for name in _LARGE})
    return training.model_copy(update={**values, "cut": [*training.cut, *cut]}) if cut else training


def shorten(data: JsonObject) -> JsonObject:
    """Return a training's JSON with its large values cut."""
    values, cut = _shorten({name: data.get(name) for name in _LARGE})
    before = data.get("cut")
    return {**data, **values, "cut": [*(before if isinstance(before, list) else []), *cut]}


def _shorten(values: JsonObject) -> tuple[JsonObject, list[str]]:
    kept, cut = {}, list[str]()
    for name, value in values.items():
        if _is_small(value):
            kept[name] = value
            continue
        kept[name], places = bounded(value, LIMITS, name)
        cut += places
    return kept, cut


def _is_small(value: JsonValue) -> bool:
    """Tell at a glance that nothing of a value is to be cut."""
    if isinstance(value, dict):
        return len(value) <= _SMALL_ITEMS and all(map(_is_small_scalar, value.values()))
    return _is_small_scalar(value)


def _is_small_scalar(value: JsonValue) -> bool:
    if isinstance(value, str):
        return len(value) <= _SMALL_CHARS
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
