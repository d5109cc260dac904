"""Which metrics share a plot, and how each series in it is called and coloured.

Rule: names are cut and coloured as `widgets/src/chart/grouping.ts` and `layout.ts` do it; a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jupyter_ext.client.trainings.curves.colours import PALETTE, run_colours, style_of
from jupyter_ext.protocol.metrics_codec import FIRST_RANKS, SeriesColumns

_SPLITS = frozenset(["train", "training", "val", "valid", "validation", "test", "testing", "eval", "dev"])
_REDUCTIONS = frozenset(("step", "epoch"))
_SPELLED = {"acc": "accuracy", "lr": "learning rate", "learning_rate": "learning rate"}
_ORDER = ("loss", "accuracy")


@dataclass(frozen=True)
class Curve:
    """A series and how it is shown: `label` in the legend, `colour` of the palette, `dash` in plotly's words.

    Attributes:
        run: Id of the run that it is of, in a comparison.
        split: On which data it was measured, such as `train`.
    """

    series: SeriesColumns
    label: str
    colour: str
    dash: str = "solid"
    run: str = ""
    split: str = ""


def name_of(key: str) -> tuple[str, str]:
    """Cut a metric's key into what is measured and on which data: `("loss", "train")` for `train/loss`."""
    parts = re.split(r"([/_.\-: ])", key)
    words = [part.lower() for part in parts[::2]]
    first, last = 0, len(words) - 1
    split: list[str] = []
    if last > 0 and words[0] in _SPLITS:
        split, first = [words[0]], 1
    elif last > 0 and words[last] in _SPLITS:
        split, last = [words[last]], last - 1
    if split and last > first and words[last] in _REDUCTIONS:
        split.append(words[last])
        last -= 1
    group = "".join(parts[2 * first : 2 * last + 1])
    return _SPELLED.get(group.lower(), group), " ".join(split)


def plots_of(all_series: Iterable[SeriesColumns]) -> dict[str, list[Curve]]:
    """Arrange what one training logged into plots, by name and in the order in which they are looked at."""
    shown = [item for item in all_series if not item.key.startswith("system/") and len(item.steps)]
    num_ranks = {item.key: sum(other.key == item.key for other in shown) for item in shown}
    plots: dict[str, list[Curve]] = {}
    used: dict[str, set[int]] = {}
    for item in shown:
        group, split = name_of(item.key)
        number = _preferred_colour(split)
        taken = used.setdefault(group, set())
        while number in taken:
            number += 1
        taken.add(number)
        rank = f"rank {item.rank}" if num_ranks[item.key] > 1 else ""
        label = " · ".join(part for part in (split or group, rank) if part)
        plots.setdefault(group, []).append(Curve(item, label, *style_of(number), split=split))
    return _in_order(plots)


def compared_plots_of(
    runs: Mapping[str, Iterable[SeriesColumns]], names: Mapping[str, str]
) -> dict[str, list[Curve]]:
    """Arrange what several trainings logged into plots: a run has one colour in all of them, training data is dotted.

    Args:
        runs: What each logged, by its id; of several ranks the first is shown.
        names: What each is called, by its id.
    """
    colours = run_colours(runs)
    plots: dict[str, list[Curve]] = {}
    for training_id, all_series in runs.items():
        for item in all_series:
            if item.key.startswith("system/") or item.rank not in FIRST_RANKS or not len(item.steps):
                continue
            group, split = name_of(item.key)
            number = colours[training_id] + (len(PALETTE) if split.startswith("train") else 0)
            label = " · ".join(part for part in (split, names[training_id]) if part)
            curve = Curve(item, label, *style_of(number), run=training_id, split=split)
            plots.setdefault(group, []).append(curve)
    return _in_order(plots)


def _in_order(plots: dict[str, list[Curve]]) -> dict[str, list[Curve]]:
    return {group: plots[group] for group in sorted(plots, key=_place)}


def _place(group: str) -> int:
    return _ORDER.index(group.lower()) if group.lower() in _ORDER else len(_ORDER)


def _preferred_colour(split: str) -> int:
    word = split.partition(" ")[0]
    if not word or word.startswith("train"):
        return 0
    return 1 if word in _SPLITS else 2
