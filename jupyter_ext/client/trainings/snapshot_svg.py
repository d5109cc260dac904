"""A still picture of a training as SVG, for where nothing is alive: GitHub, nbviewer, a mail.

Pure text: no plotting library is imported, so that it can be drawn in the background of a notebook.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape as escape_html

from jupyter_ext.client.trainings.curves.grouping import Curve, plots_of
from jupyter_ext.client.trainings.curves.marks import Mark, marks_of
from jupyter_ext.client.trainings.listing import best_end
from jupyter_ext.protocol.metrics_codec import SeriesColumns
from jupyter_ext.protocol.trainings import Training

_WIDTH, _HEIGHT = 720, 250
_MARGIN, _HEAD = 14, 40
_TICKS_WIDTH, _LEGEND_HEIGHT, _STEPS_HEIGHT, _GAP = 40, 22, 22, 20
_MAX_PLOTS = 3
_INK, _MUTED, _GRID, _AXIS = "#212121", "#616161", "#ebebeb", "#bdbdbd"
_STATUS_COLOURS = {"succeeded": "#2e7d32", "failed": "#c62828", "canceled": "#616161"}
_MARK_COLOURS = {"checkpoint": "#757575", "resume": "#1976d2", "alert": "#e65100"}
_LETTER = 6.2
"""Mean width of a letter at font size 11."""


_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped. Source: XML 1.0, production 2 (Char)."""


def escape(text: str) -> str:
    """Return a text as it stands in a document: marked up, and with a mark where XML has no word for a character."""
    return escape_html(_NOT_XML.sub("\ufffd", text))


def draw(training: Training, series: Sequence[SeriesColumns]) -> str:
    """Draw a training's curves.

    Args:
        training: What it is and how it stands.
        series: Its metrics, some hundred points each.

    Returns:
        An SVG document, 720 by 250 units, white so that it reads in any theme.
    """
    plots = list(plots_of(series).items())
    status_colour = _STATUS_COLOURS.get(training.status, _INK)
    height = _HEIGHT if plots else _HEAD + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'style="max-width:100%" font-family="system-ui,Helvetica,Arial,sans-serif" font-size="11" fill="{_INK}">',
        f'<rect x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="6" fill="#fff" stroke="#e0e0e0"/>',
        f'<text x="{_MARGIN}" y="25" font-size="14" font-weight="600">{escape(training.name)}</text>',
        f'<text x="{_WIDTH - _MARGIN}" y="25" text-anchor="end" font-size="12" fill="{status_colour}">'
        f"{escape(_right_text(training, len(plots) - _MAX_PLOTS))}</text>",
    ]
    if not plots:
        parts.append(f'<text x="{_MARGIN}" y="{_HEAD + 14}" fill="{_MUTED}">No metrics were logged.</text>')
    columns = plots[:_MAX_PLOTS]
    width = (_WIDTH - 2 * _MARGIN - _GAP * (len(columns) - 1)) / max(1, len(columns))
    for column, (group, curves) in enumerate(columns):
        parts.extend(_plot(group, curves, marks_of(training), _MARGIN + column * (width + _GAP), width))
    return "".join([*parts, "</svg>"])


def _right_text(training: Training, num_more: int) -> str:
    seconds = training.metrics.get("predict_time")
    status = training.status if seconds is None else f"{training.status} in {seconds:,.1f} s"
    return f"{status}, {num_more} more plots" if num_more > 0 else status


def _plot(group: str, curves: list[Curve], marks: Sequence[Mark], left: float, width: float) -> list[str]:
    top, bottom = _HEAD + _LEGEND_HEIGHT, _HEIGHT - _STEPS_HEIGHT - 6
    x0, x1 = left + _TICKS_WIDTH, left + width
    parts = _legend(group, curves, left, width)
    x_range = _range(x for curve in curves for x in curve.series.steps.tolist())
    y_range = _range(y for curve in curves for y in curve.series.values.tolist())
    if x_range is None or y_range is None:
        return [*parts, f'<text x="{x0}" y="{top + 20}" fill="{_MUTED}">no finite values</text>']
    (x_low, x_high), (y_low, y_high) = x_range, y_range
    pad = 0.05 * (y_high - y_low) or abs(y_low) * 0.2 or 1.0
    y_low, y_high = y_low - pad, y_high + pad
    x_span = (x_high - x_low) or 1.0

    def x_at(step: float) -> float:
        return x0 + (step - x_low) / x_span * (x1 - x0)

    def y_at(value: float) -> float:
        return bottom - (value - y_low) / (y_high - y_low) * (bottom - top)

    for tick in _ticks(y_low, y_high, 6):
        y = y_at(tick)
        parts.append(f'<path d="M{x0:.1f} {y:.1f}H{x1:.1f}" stroke="{_GRID}"/>')
        parts.append(
            f'<text x="{x0 - 5:.1f}" y="{y + 3.5:.1f}" text-anchor="end" fill="{_MUTED}" font-size="10">{_tick_text(tick)}</text>'
        )
    parts.append(f'<path d="M{x0:.1f} {bottom}H{x1:.1f}" stroke="{_AXIS}"/>')
    for tick in _ticks(x_low, x_high, max(2, int(width / 70))):
        parts.append(
            f'<text x="{x_at(tick):.1f}" y="{bottom + 15}" text-anchor="middle" fill="{_MUTED}" font-size="10">'
            f"{_tick_text(tick)}</text>"
        )
    for mark in marks:
        if x_low <= mark.step <= x_high:
            parts.extend(_mark(mark, x_at(mark.step), top, bottom))
    for curve in curves:
        parts.extend(_line(curve, x_at, y_at))
        parts.extend(_best(curve, x_at, y_at))
    return parts


def _mark(mark: Mark, x: float, top: float, bottom: float) -> list[str]:
    """Draw what the panel draws: a square for a checkpoint, a triangle that points on for a resume, one at the top for an alert."""
    colour = _MARK_COLOURS[mark.kind]
    head = {
        "checkpoint": f"M{x - 2.5:.1f} {bottom - 2.5}h5v5h-5z",
        "resume": f"M{x - 2.5:.1f} {bottom - 3.5}l6 3.5l-6 3.5z",
        "alert": f"M{x - 4:.1f} {top + 7}l4 -7l4 7z",
    }[mark.kind]
    told = " ".join(part for part in (mark.kind, f"at step {mark.step:,g}", mark.text) if part)
    return [
        f'<g><title>{escape(told)}</title><path d="M{x:.1f} {top}V{bottom}" stroke="{colour}" stroke-dasharray="2 3" '
        f'opacity="{0.35 if mark.kind == "checkpoint" else 0.7}"/><path d="{head}" fill="{colour}"/></g>'
    ]


def _best(curve: Curve, x_at: Callable[[float], float], y_at: Callable[[float], float]) -> list[str]:
    """Draw a ring around the best value of a metric whose name says which end is best, as the panel does."""
    series = curve.series
    direction = None if curve.label.startswith("train") else best_end(series.key)
    points = [
        (y, x) for x, y in zip(series.steps.tolist(), series.values.tolist(), strict=True) if math.isfinite(y)
    ]
    if direction is None or len(points) < 2:
        return []
    y, x = min(points) if direction == "min" else max(points, key=lambda point: (point[0], -point[1]))
    return [
        f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3.6" fill="#fff" stroke="{curve.colour}" stroke-width="1.6"/>'
    ]


def _legend(group: str, curves: list[Curve], left: float, width: float) -> list[str]:
    y = _HEAD + 10
    parts = [f'<text x="{left:.1f}" y="{y}" font-size="12" font-weight="600">{escape(group)}</text>']
    x = left + 7.4 * len(group) + 14
    for curve in curves:
        last = curve.series.values.tolist()[-1]
        named = "" if len(curves) == 1 and curve.label == group else f"{curve.label} "
        text = f"{named}{last:.4g}"
        if x + 14 + _LETTER * len(text) > left + width:
            break
        parts.append(f'<rect x="{x:.1f}" y="{y - 5}" width="10" height="3" rx="1" fill="{curve.colour}"/>')
        parts.append(f'<text x="{x + 14:.1f}" y="{y}">{escape(text)}</text>')
        x += 14 + _LETTER * len(text) + 12
    return parts


def _line(curve: Curve, x_at: Callable[[float], float], y_at: Callable[[float], float]) -> list[str]:
    """Draw a curve with a gap where values are not finite."""
    pieces: list[list[str]] = [[]]
    for x, y in zip(curve.series.steps.tolist(), curve.series.values.tolist(), strict=True):
        if math.isfinite(x) and math.isfinite(y):
            pieces[-1].append(f"{x_at(x):.1f},{y_at(y):.1f}")
        elif pieces[-1]:
            pieces.append([])
    parts = []
    for points in pieces:
        if len(points) == 1:
            x_text, y_text = points[0].split(",")
            parts.append(f'<circle cx="{x_text}" cy="{y_text}" r="2.5" fill="{curve.colour}"/>')
        elif points:
            parts.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{curve.colour}" stroke-width="1.5" '
                'stroke-linejoin="round"/>'
            )
    return parts


def _range(values: Iterable[float]) -> tuple[float, float] | None:
    finite = [value for value in values if math.isfinite(value)]
    return (min(finite), max(finite)) if finite else None


def _ticks(low: float, high: float, at_most: int) -> list[float]:
    """Return round numbers within a range."""
    if high <= low:
        return [low]
    rough = (high - low) / at_most
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _tick_text(value: float) -> str:
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.4g}M"
    if size >= 1e4:
        return f"{value / 1e3:.4g}k"
    return f"{value:.4g}" if size == 0 or size >= 1e-3 else f"{value:.1e}".replace("e-0", "e-")
