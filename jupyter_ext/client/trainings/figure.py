"""Draw a training's metrics as a plotly figure, in the plots and colours of the panel.

Rule: names are cut and coloured as `widgets/src/chart/grouping.ts` and `layout.ts` do it; a test compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_ext.protocol.metrics_codec import SeriesColumns

PALETTE = ("#0f6cbd", "#d1570a", "#0b8a68", "#a04a8e", "#9a7400", "#3a9bd9", "#6b6b6b")
"""After Okabe and Ito (https://jfly.uni-koeln.de/color/), darkened for contrast with a white page."""

_SPLITS = frozenset(["train", "training", "val", "valid", "validation", "test", "testing", "eval", "dev"])
_REDUCTIONS = frozenset(("step", "epoch"))
_SPELLED = {"acc": "accuracy", "lr": "learning rate", "learning_rate": "learning rate"}
_ORDER = ("loss", "accuracy")


@dataclass(frozen=True)
class Curve:
    """A series and how it is shown: `label` in the legend, `colour` of the palette."""

    series: SeriesColumns
    label: str
    colour: str


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
    """Arrange what was logged into plots, by name and in the order in which they are looked at."""
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
        plots.setdefault(group, []).append(Curve(item, label, PALETTE[number % len(PALETTE)]))
    return {group: plots[group] for group in sorted(plots, key=_place)}


def _place(group: str) -> int:
    return _ORDER.index(group.lower()) if group.lower() in _ORDER else len(_ORDER)


def _preferred_colour(split: str) -> int:
    word = split.partition(" ")[0]
    if not word or word.startswith("train"):
        return 0
    return 1 if word in _SPLITS else 2


def training_figure(title: str, series: Sequence[SeriesColumns]) -> Any:
    """Draw series into one plot per group.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    plots = plots_of(series)
    figure = make_subplots(1, max(1, len(plots)), subplot_titles=list(plots) or None)
    for column, curves in enumerate(plots.values(), 1):
        for curve in curves:
            trace = go.Scatter(
                x=curve.series.steps,
                y=curve.series.values,
                name=curve.series.key
                if curve.series.rank == "0"
                else f"{curve.series.key} (rank {curve.series.rank})",
                mode="lines" if len(curve.series.steps) > 1 else "markers",
                line={"color": curve.colour},
            )
            figure.add_trace(trace, row=1, col=column)
    figure.update_layout(title=title, template="plotly_white", legend={"orientation": "h", "y": -0.2})
    figure.update_xaxes(title="step")
    return figure
