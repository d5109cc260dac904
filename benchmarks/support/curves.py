"""How cost grows with work: points on two logarithmic axes, as one SVG that any browser shows, and the exponent of the growth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _RIGHT = 420, 280, 64, 44, 34, 16
_STYLE = """
    text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-weight: 600 }
    .axis { stroke: #bbb } .measured { fill: none; stroke: #1f77b4; stroke-width: 2 } circle { fill: #1f77b4 }
    .linear { fill: none; stroke: #999; stroke-dasharray: 4 4 }
"""


@dataclass
class Curve:
    """What was measured at growing amounts of work.

    Args:
        name: What, with its unit.
        work: What there is more of.
        points: Amount and figure, both above 0, ascending.
    """

    name: str
    work: str
    points: list[tuple[float, float]] = field(default_factory=list)

    @property
    def exponent(self) -> float:
        """Return the growth over the last tenfold or so of the work: 1 is linear, 0 is none."""
        (n, figure), (more, grown) = self.points[-2:]
        return math.log(grown / figure) / math.log(more / n)


def write(path: Path, title: str, curves: Sequence[Curve]) -> None:
    """Write all curves as one SVG, two in a row."""
    rows = (len(curves) + 1) // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH} {rows * _HEIGHT + 30}">',
        f'<style>{_STYLE}</style><rect width="100%" height="100%" fill="white"/>',
        f'<text x="12" y="20" class="title">{escape(title)}</text>',
    ]
    for number, curve in enumerate(curves):
        x, y = number % 2 * _WIDTH, number // 2 * _HEIGHT + 30
        parts.append(f'<g transform="translate({x} {y})">{_drawn(curve)}</g>')
    path.write_text("\n".join([*parts, "</svg>"]))


def _drawn(curve: Curve) -> str:
    amounts, figures = zip(*curve.points, strict=True)
    x_lo, x_hi = math.log10(min(amounts)), math.log10(max(amounts))
    first, last = curve.points[0], curve.points[-1]
    linear = first[1] * last[0] / first[0]
    y_lo = math.log10(min(figures))
    y_hi = max(math.log10(max(figures)), y_lo + 1)

    def x(amount: float) -> float:
        share = (math.log10(amount) - x_lo) / ((x_hi - x_lo) or 1)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(figure: float) -> float:
        share = (math.log10(figure) - y_lo) / (y_hi - y_lo)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _BOTTOM - _TOP)

    top = min(linear, 10**y_hi)  # the line ends where the plot does
    end = first[0] * top / first[1]
    line = " ".join(f"{x(n):.1f},{y(figure):.1f}" for n, figure in curve.points)
    dots = "".join(f'<circle cx="{x(n):.1f}" cy="{y(figure):.1f}" r="3"/>' for n, figure in curve.points)
    below = "".join(
        f'<text x="{x(n):.1f}" y="{_HEIGHT - _BOTTOM + 16}" text-anchor="middle">{n:g}</text>'
        for n in amounts
    )
    beside = "".join(
        f'<text x="{_LEFT - 6}" y="{y(figure) + 4:.1f}" text-anchor="end">{figure:.3g}</text>'
        for figure in {min(figures), max(figures)}
    )
    return (
        f'<text x="{_LEFT}" y="20" class="title">{escape(curve.name)}</text>'
        f'<path class="axis" fill="none" d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}"/>'
        f'<path class="linear" d="M{x(first[0]):.1f} {y(first[1]):.1f}L{x(end):.1f} {y(top):.1f}"/>'
        f'<polyline class="measured" points="{line}"/>{dots}{below}{beside}'
        f'<text x="{(_LEFT + _WIDTH) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle">{escape(curve.work)}'
        f" (exponent {curve.exponent:.2f}; dashed: linear)</text>"
    )
