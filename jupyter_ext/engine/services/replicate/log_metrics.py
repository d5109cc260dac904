"""Read metrics and progress out of log lines, where a service offers nothing better.

Understood: JSON objects with numbers, `key=value` and `key: value` pairs, and tqdm bars with or without a prefix. Rule:
rather miss a number than show one that was never meant as a metric.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
_PAIR = re.compile(rf"(?<![\w./-])([A-Za-z_][\w/.-]{{0,63}})\s*[=:]\s*({_NUMBER})(?=$|[\s,;|)\]}}])")
_BAR = re.compile(r"(\d{1,3})%\|[^|]*\|\s*(\d+(?:\.\d+)?)([kMG]?)/(\d+(?:\.\d+)?)([kMG]?)")
_STEP_NAMES = ("step", "global_step", "iteration", "iter")
_NOT_METRICS = {
    *_STEP_NAMES,
    "time",
    "eta",
    "pid",
    "port",
    "line",
    "seed",
    "version",
    "elapsed",
    "rank",
    "http",
    "https",
}
_SCALE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_MAX_LINE = 4096


@dataclass(frozen=True)
class LineNews:
    """What one line says."""

    metrics: dict[str, float] = field(default_factory=dict)
    step: float | None = None
    progress: tuple[float, float] | None = None
    """Current and total."""


def read_line(line: str) -> LineNews:
    """Read one line; of a line that was overwritten by carriage returns, its last state."""
    states = [state for state in line[-_MAX_LINE:].rstrip("\r\n").split("\r") if state.strip()]
    if not states:
        return LineNews()
    text = states[-1]
    bar = _BAR.search(text)
    if bar is not None:
        current, total = float(bar[2]) * _SCALE[bar[3]], float(bar[4]) * _SCALE[bar[5]]
        metrics, step = _pairs(text[bar.end() :])
        return LineNews(metrics, step, (current, total) if total > 0 and current <= total else None)
    stripped = text.strip()
    if stripped.startswith("{") and stripped.endswith("}"):
        metrics, step = _object(stripped)
    else:
        metrics, step = _pairs(text)
    return LineNews(metrics, step)


def _object(text: str) -> tuple[dict[str, float], float | None]:
    try:
        content = json.loads(text)
    except ValueError:
        return _pairs(
            text.strip("{}").replace("'", "")
        )  # a printed Python dict, as Hugging Face's Trainer does
    numbers = {
        str(name): float(value)
        for name, value in content.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return _split(numbers)


def _pairs(text: str) -> tuple[dict[str, float], float | None]:
    return _split({match[1]: float(match[2]) for match in _PAIR.finditer(text)})


def _split(numbers: dict[str, float]) -> tuple[dict[str, float], float | None]:
    step = next(
        (numbers[name] for name in _STEP_NAMES if name in numbers and math.isfinite(numbers[name])), None
    )
    return {name: value for name, value in numbers.items() if name.lower() not in _NOT_METRICS}, step
