"""Read metrics and progress out of log lines, where nothing better is offered: of services, and of scripts that only print.

Understood: JSON objects with numbers, `key=value` and `key: value` pairs, bars of tqdm and Keras with or without a prefix, and
after a step (`iter 40: train loss 1.859, val loss 1.9`) also names and numbers without a sign between them. Rule: rather miss a
number than show one that was never meant as a metric. No I/O, and no pattern that takes longer than a line is long.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
_END = r"(?=%?(?:$|[\s,;|)\]}]))"
_PAIR = re.compile(rf"(?<![\w./-])([A-Za-z_][\w/.-]{{0,63}})\s{{0,8}}[=:]\s{{0,8}}({_NUMBER}){_END}")
_BAR = re.compile(r"(\d{1,3})%\|[^|]*\|\s*(\d+(?:\.\d+)?)([kMG]?)/(\d+(?:\.\d+)?)([kMG]?)")
_STEP = re.compile(
    r"(?:^|(?<=[\s\[(|,]))(global_step|step|iteration|iter|epoch|batch)\s{0,4}[:=#]?\s{0,4}\[?\s?(\d{1,15})(?:\s?/\s?(\d{1,15}))?(?![\w.])\]?",
    re.IGNORECASE,
)
"""A step in words: `iter 40`, `Epoch [3/10]`, `step: 5/100`."""
_COUNT = re.compile(r"\[\s?(\d{1,15})\s?/\s?(\d{1,15})(?=[\s(\]])")
"""How far an epoch is: `Train Epoch: 1 [6400/60000 (11%)]`."""
_KERAS = re.compile(r"\s{0,8}(\d{1,15})/(\d{1,15})\s")
_PART = re.compile(r"[,;|\t]|\s-\s")
_LOOSE = re.compile(
    rf"\s{{0,8}}([A-Za-z_][\w/-]{{0,30}}(?: [A-Za-z_][\w/-]{{0,30}}){{0,2}})\s{{1,8}}({_NUMBER})%?(?=\s|$)\s{{0,8}}"
)
_TITLED = re.compile(
    rf"\s{{0,8}}([A-Za-z_][\w/-]{{0,30}}(?: [A-Za-z_][\w/-]{{0,30}}){{1,2}})\s{{0,4}}[:=]\s{{0,8}}({_NUMBER})%?\s{{0,8}}"
)
"""A name of several words, which is all of its part of the line: `test loss: 0.31`."""
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,20}[A-Za-z]")
_STEP_NAMES = ("step", "global_step", "iteration", "iter")
_NOT_METRICS = {
    *_STEP_NAMES,
    "batch",
    "progress",
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
_NO_NAMES = frozenset(
    ["of", "in", "to", "from", "at", "for", "after", "took", "per", "and", "is", "was", "the", "than"]
)
"""Words of sentences: a name that has one of them is none."""
_LEVELS = frozenset(["info", "debug", "warning", "error", "critical", "root"])
_SCALE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_MAX_LINE = 4096


@dataclass(frozen=True)
class LineNews:
    """What one line says.

    Attributes:
        metrics: Numbers by name.
        step: Where the training is, if the line says so.
        progress: Current and total of a bar.
        within: How far something is that may begin again, such as an epoch: current and total, 0 where that is not said.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    step: float | None = None
    progress: tuple[float, float] | None = None
    within: tuple[float, float] | None = None


_NOTHING = LineNews()


def read_line(line: str) -> LineNews:
    """Read one line; of a line that was overwritten by carriage returns, its last state."""
    states = [state for state in line[-_MAX_LINE:].rstrip("\r\n").split("\r") if state.strip()]
    if not states:
        return _NOTHING
    text = states[-1]
    if "\x1b" in text:
        text = _COLOURS.sub("", text)
    bar = _BAR.search(text)
    if bar is not None:
        current, total = float(bar[2]) * _SCALE[bar[3]], float(bar[4]) * _SCALE[bar[5]]
        metrics, step = _split(_pairs(text[bar.end() :]))
        done = (current, total) if total > 0 and current <= total else None
        return LineNews(metrics, step, done, done)
    stripped = text.strip()
    if stripped.startswith("{") and stripped.endswith("}"):
        return LineNews(*_split(_object(stripped)))
    return _words(text)


def _words(text: str) -> LineNews:
    """Read pairs, and after a step also names and numbers side by side."""
    numbers = _pairs(text)
    if not numbers and not _STEP.search(text):
        return _NOTHING
    said = {match[1].lower(): match for match in _STEP.finditer(text)}
    if said:
        numbers = _loose_after(text[max(match.end() for match in said.values()) :]) | numbers
    metrics, step = _split(numbers)
    within = _within(text, said)
    if step is None and within is None:
        step = next((float(said[name][2]) for name in (*_STEP_NAMES, "epoch") if name in said), None)
    elif within is not None:
        step = None
    if said and "epoch" in said:
        metrics = {name: value for name, value in metrics.items() if name.lower() != "epoch"}
    return LineNews(metrics, step, None, within) if metrics else _NOTHING


def _within(text: str, said: Mapping[str, re.Match[str]]) -> tuple[float, float] | None:
    """Return how far something is that has a total and may begin again."""
    for name in (*_STEP_NAMES, "batch"):
        if name in said and (said[name][3] or name == "batch"):
            return float(said[name][2]), float(said[name][3] or 0)
    found = _KERAS.match(text) or (_COUNT.search(text, said["epoch"].end()) if "epoch" in said else None)
    return None if found is None else (float(found[1]), float(found[2]))


def _loose_after(text: str) -> dict[str, float]:
    """Return names and numbers side by side in the parts of a line that follow a step."""
    numbers: dict[str, float] = {}
    for part in _PART.split(text):
        numbers |= _loose(part.lstrip(": "))
    return numbers


def _loose(part: str) -> dict[str, float]:
    """Return names and numbers in turn, where a part of a line has nothing else."""
    numbers: dict[str, float] = {}
    at = 0
    while at < len(part):
        match = _LOOSE.match(part, at)
        if match is None or _NO_NAMES.intersection(match[1].lower().split()):
            return {}
        numbers[match[1]] = float(match[2])
        at = match.end()
    return numbers


def _object(text: str) -> dict[str, float]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return _pairs(
            text.strip("{}").replace("'", "")
        )  # a printed Python dict, as Hugging Face's Trainer does
    return _flat(content, "", 0) if isinstance(content, dict) else {}


def _flat(content: Mapping[str, Any], prefix: str, depth: int) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, value in content.items():
        if isinstance(value, dict) and depth < 2:
            numbers |= _flat(value, f"{prefix}{name}/", depth + 1)
        elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300:
            numbers[f"{prefix}{name}"] = float(value)
    return numbers


def _pairs(text: str) -> dict[str, float]:
    numbers = {match[1]: float(match[2]) for match in _PAIR.finditer(text)}
    if not numbers:
        return numbers
    for part in _PART.split(text):
        if (titled := _TITLED.fullmatch(part)) is not None:
            words = titled[1].split()
            if words[0].lower() in _LEVELS:
                words = words[1:]
            if len(words) > 1 and not _NO_NAMES.intersection(word.lower() for word in words):
                numbers.pop(words[-1], None)
                numbers[" ".join(words)] = float(titled[2])
    return numbers


def _split(numbers: Mapping[str, float]) -> tuple[dict[str, float], float | None]:
    step = next(
        (numbers[name] for name in _STEP_NAMES if name in numbers and math.isfinite(numbers[name])), None
    )
    return {name: value for name, value in numbers.items() if name.lower() not in _NOT_METRICS}, step
