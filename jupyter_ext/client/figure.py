"""Draw a training's metrics as a plotly figure, as the panel does."""

from __future__ import annotations

from typing import Any

from jupyter_ext.protocol.columns import SeriesColumns

PALETTE = ("#3b6fb6", "#d1742c", "#3c8f64", "#a34a9c", "#8a7a1f", "#5a6b7d", "#b8434e", "#2a93a8")
"""Tells its colours apart also with the common kinds of colour blindness, on light and on dark."""


def group_of(key: str) -> str:
    """Name the subplot of a metric: `loss` for `train/loss`, `test/loss`, `val_loss`."""
    name = key.rsplit("/", 1)[-1]
    for prefix in ("train_", "test_", "val_", "valid_", "validation_", "eval_"):
        name = name.removeprefix(prefix)
    return {"acc": "accuracy"}.get(name, name)


def training_figure(title: str, series: list[SeriesColumns]) -> Any:
    """Draw series into one subplot per group.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    shown = [item for item in series if not item.key.startswith("system/") and len(item.steps)]
    groups = list(dict.fromkeys(group_of(item.key) for item in shown))
    figure = make_subplots(1, max(1, len(groups)), subplot_titles=groups or None)
    for number, item in enumerate(shown):
        figure.add_trace(
            go.Scatter(
                x=item.steps,
                y=item.values,
                name=item.key if item.rank == "0" else f"{item.key} (rank {item.rank})",
                mode="lines" if len(item.steps) > 1 else "markers",
                line={"color": PALETTE[number % len(PALETTE)]},
            ),
            row=1,
            col=groups.index(group_of(item.key)) + 1,
        )
    figure.update_layout(title=title, template="plotly_white", legend={"orientation": "h", "y": -0.2})
    figure.update_xaxes(title="step")
    return figure
