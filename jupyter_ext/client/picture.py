"""A still picture of a training as SVG, for where nothing is alive: GitHub, nbviewer, a mail.

Pure text: no plotting library is imported, so that it can be drawn in the background of a notebook.
"""

from __future__ import annotations

import math
from html import escape

from jupyter_ext.client.figure import PALETTE, group_of
from jupyter_ext.protocol.columns import SeriesColumns
from jupyter_ext.protocol.resources import Training

_WIDTH, _HEIGHT, _HEAD = 720, 260, 34
_LEFT, _BOTTOM, _TOP, _GAP = 46, 40, 22, 22
_MAX_PLOTS = 3
_INK, _FAINT = "#444", "#8884"
_STATUS_COLOURS = {"succeeded": "#3c8f64", "failed": "#b8434e", "canceled": "#8a7a1f"}


def draw(training: Training, series: list[SeriesColumns]) -> str:
    """Draw a training's curves.

    Args:
        training: What it is and how it stands.
        series: Its metrics, some hundred points each.

    Returns:
        An SVG document, 720 by 260 units, white so that it reads in any theme.
    """
    shown = [item for item in series if not item.key.startswith("system/") and len(item.steps)]
    groups = list(dict.fromkeys(group_of(item.key) for item in shown))[:_MAX_PLOTS]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'font-family="system-ui,sans-serif" font-size="11" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="12" y="20" font-size="13" font-weight="600">{escape(training.name)}</text>',
        f'<text x="{_WIDTH - 12}" y="20" text-anchor="end" fill="{_STATUS_COLOURS.get(training.status, _INK)}">'
        f"{escape(_right_text(training))}</text>",
    ]
    if not groups:
        parts.append(
            f'<text x="{_WIDTH / 2}" y="{_HEIGHT / 2}" text-anchor="middle">no metrics logged</text>'
        )
    width = (_WIDTH - _GAP) / max(1, len(groups))
    for column, group in enumerate(groups):
        members = [item for item in shown if group_of(item.key) == group]
        parts.extend(_plot(group, members, shown, column * width + _LEFT, width - _LEFT - 6))
    return "".join([*parts, "</svg>"])


def _right_text(training: Training) -> str:
    seconds = training.metrics.get("predict_time")
    return training.status if seconds is None else f"{training.status} in {seconds:,.1f} s"


def _plot(
    group: str, members: list[SeriesColumns], everything: list[SeriesColumns], x0: float, width: float
) -> list[str]:
    y0, height = _HEAD + _TOP, _HEIGHT - _HEAD - _TOP - _BOTTOM
    xs = [float(x) for item in members for x in item.steps if math.isfinite(x)]
    ys = [float(y) for item in members for y in item.values if math.isfinite(y)]
    parts = [f'<text x="{x0}" y="{_HEAD + 8}" font-weight="600">{escape(group)}</text>']
    if not xs or not ys:
        return [*parts, f'<text x="{x0}" y="{y0 + 20}">no finite values</text>']
    x_low, x_high, y_low, y_high = min(xs), max(xs), min(ys), max(ys)
    x_span, y_span = (x_high - x_low) or 1.0, (y_high - y_low) or 1.0
    for share in (0.0, 0.5, 1.0):
        y = y0 + height * (1 - share)
        parts.append(f'<line x1="{x0}" x2="{x0 + width}" y1="{y}" y2="{y}" stroke="{_FAINT}"/>')
        parts.append(f'<text x="{x0 - 5}" y="{y + 4}" text-anchor="end">{y_low + share * y_span:.3g}</text>')
    parts.append(f'<text x="{x0}" y="{y0 + height + 14}">{x_low:g}</text>')
    parts.append(f'<text x="{x0 + width}" y="{y0 + height + 14}" text-anchor="end">{x_high:g}</text>')
    legend_x = x0
    for item in members:
        colour = PALETTE[everything.index(item) % len(PALETTE)]
        points = " ".join(
            f"{x0 + (x - x_low) / x_span * width:.1f},{y0 + (1 - (y - y_low) / y_span) * height:.1f}"
            for x, y in zip(item.steps.tolist(), item.values.tolist(), strict=True)
            if math.isfinite(y)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        parts.append(f'<text x="{legend_x}" y="{y0 + height + 30}" fill="{colour}">{escape(item.key)}</text>')
        legend_x += 7 * len(item.key) + 12
    return parts
