"""Draw plots of metrics with plotly, in the colours and with the choices of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jupyter_ext.client.trainings.curves.aggregate import mean_curve
from jupyter_ext.client.trainings.curves.grouping import Curve
from jupyter_ext.client.trainings.curves.marks import Mark
from jupyter_ext.client.trainings.curves.ranges import extent_of
from jupyter_ext.client.trainings.curves.smoothing import Smoothing, bucket_means, smooth
from jupyter_ext.protocol.metrics_codec import FIRST_RANKS

if TYPE_CHECKING:
    import plotly.graph_objects as go

_MAX_COLUMNS = 3
_PLOT_HEIGHT_PX, _FRAME_HEIGHT_PX = 240, 110
_FEW_POINTS = 16
_RAW_OPACITY, _BAND_OPACITY = 0.25, 0.16
_TITLES = {"step": "step", "time": "seconds since the start", "clock": "time (UTC)"}


@dataclass(frozen=True)
class FigureOptions:
    """How curves are drawn.

    Attributes:
        x: `step`; `time`, seconds since the start of each run; `clock`, the time of day; or the name of a metric.
        log_x: Draw x on a logarithmic axis.
        log_y: Draw y on a logarithmic axis.
        smoothing: Weight of the past per sample, from 0 (none) to below 1; what was logged stays faint behind.
        smoothing_kind: `ema` as TensorBoard does it, `gaussian`, or `mean`, a running mean.
        ignore_outliers: Leave values far from most others out of the y axis.
    """

    x: str = "step"
    log_x: bool = False
    log_y: bool = False
    smoothing: float = 0.0
    smoothing_kind: Smoothing = "ema"
    ignore_outliers: bool = False


class Line(NamedTuple):
    """A curve in the plane of its plot."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]


def curves_figure(
    title: str,
    plots: Mapping[str, Sequence[Curve]],
    options: FigureOptions,
    *,
    origins: Mapping[str, float],
    marks: Sequence[Mark] = (),
    mean_by: Callable[[str], str] | None = None,
) -> go.Figure:
    """Draw plots side by side.

    Args:
        title: Over all.
        plots: Curves by what they measure.
        options: How.
        origins: Unix seconds of the start of each run; that of a training alone under `""`.
        marks: Drawn through all plots.
        mean_by: Names the group of a run: its runs become their mean, with a band of one standard deviation.

    Raises:
        ValueError: An option is out of range, or x names a metric that was not logged.
    """
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    smooth(
        np.empty(0), np.empty(0), options.smoothing_kind, options.smoothing
    )  # refuse before anything is drawn
    over = _over(plots, options.x)
    num_columns = max(1, min(_MAX_COLUMNS, len(plots)))
    num_rows = max(1, -(-len(plots) // num_columns))
    figure = make_subplots(
        num_rows,
        num_columns,
        subplot_titles=list(plots) or None,
        vertical_spacing=0.3 / num_rows,
        horizontal_spacing=0.06,
    )
    for i, curves in enumerate(plots.values()):
        row, column = divmod(i, num_columns)
        placed = [(curve, _line(curve, options, origins, over)) for curve in curves]
        traces = _mean_traces(placed, mean_by) if mean_by else _traces(placed, options)
        for trace in traces:
            figure.add_trace(go.Scatter(**trace), row=row + 1, col=column + 1)
        extent = extent_of(
            np.concatenate([line.y for _, line in placed]),
            log=options.log_y,
            ignore_outliers=options.ignore_outliers,
        )
        if extent and options.ignore_outliers:
            ends = [float(np.log10(end)) for end in extent] if options.log_y else list(extent)
            figure.update_yaxes(range=ends, row=row + 1, col=column + 1)
    for mark in marks:
        _add_mark(figure, mark, options.x, origins)
    _lay_out(figure, title, options, num_rows)
    return figure


def _lay_out(figure: go.Figure, title: str, options: FigureOptions, num_rows: int) -> None:
    figure.update_layout(
        title=title,
        template="plotly_white",
        height=num_rows * _PLOT_HEIGHT_PX + _FRAME_HEIGHT_PX,
        margin={"l": 50, "r": 20, "t": 70, "b": 40},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.12 / num_rows, "yanchor": "top"},
    )
    figure.update_xaxes(matches="x", showgrid=False, type="log" if options.log_x else None)
    figure.update_xaxes(title=_TITLES.get(options.x, options.x), row=num_rows)
    figure.update_yaxes(type="log" if options.log_y else "linear")


def _over(plots: Mapping[str, Sequence[Curve]], x: str) -> dict[tuple[str, str], Curve]:
    """Return the curves that x is, by run and rank; none where x is the step or a time."""
    if x in _TITLES:
        return {}
    found = {
        (curve.run, curve.series.rank): curve
        for curves in plots.values()
        for curve in curves
        if curve.series.key == x
    }
    if not found:
        keys = sorted({curve.series.key for curves in plots.values() for curve in curves})
        raise ValueError(f"x={x!r} is no metric of it; there are step, time, clock, {', '.join(keys)}.")
    return found


def _line(
    curve: Curve,
    options: FigureOptions,
    origins: Mapping[str, float],
    over: Mapping[tuple[str, str], Curve],
) -> Line:
    series = curve.series
    values = np.where(np.isfinite(series.values), series.values, np.nan)
    match options.x:
        case "step":
            return Line(series.steps, values)
        case "time":
            return Line(series.times - origins[curve.run], values)
        case "clock":
            return Line(series.times, values)
    axis = over.get((curve.run, series.rank))
    if axis is None:
        return Line(np.empty(0), np.empty(0))
    x = np.interp(series.steps, axis.series.steps, axis.series.values, left=np.nan)
    kept = np.isfinite(x)
    return Line(x[kept], values[kept])


def _traces(placed: Sequence[tuple[Curve, Line]], options: FigureOptions) -> list[dict[str, object]]:
    """Return the traces of one plot: what was logged behind what is smoothed."""
    faint: list[dict[str, object]] = []
    clear: list[dict[str, object]] = []
    for curve, line in placed:
        few = len(line.x) <= _FEW_POINTS
        base = _base(curve)
        if options.smoothing > 0 and not few:
            raw = _xy(line, options.x)
            faint.append(
                {
                    **base,
                    **raw,
                    "mode": "lines",
                    "opacity": _RAW_OPACITY,
                    "hoverinfo": "skip",
                    "showlegend": False,
                }
            )
            x, means, weights = bucket_means(line.x, line.y)
            smoothed = Line(x, smooth(means, weights, options.smoothing_kind, options.smoothing))
            clear.append({**base, **_xy(smoothed, options.x), "mode": "lines"})
        else:
            clear.append({**base, **_xy(line, options.x), "mode": "lines+markers" if few else "lines"})
    return [*faint, *clear]


def _mean_traces(
    placed: Sequence[tuple[Curve, Line]], mean_by: Callable[[str], str]
) -> list[dict[str, object]]:
    groups: dict[str, list[tuple[Curve, Line]]] = {}
    for curve, line in placed:
        name = " · ".join(part for part in (curve.split, mean_by(curve.run)) if part)
        groups.setdefault(name, []).append((curve, line))
    traces: list[dict[str, object]] = []
    for name, members in groups.items():
        mean = mean_curve([(line.x, line.y) for _, line in members])
        base = {
            **_base(members[0][0]),
            "mode": "lines",
            "name": f"{name} (mean of {len(members)})",
            "legendgroup": name,
        }
        edge = {**base, "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
        if len(members) > 1:
            colour = _translucent(members[0][0].colour)
            traces.append({**edge, "x": mean.x, "y": mean.low})
            traces.append({**edge, "x": mean.x, "y": mean.high, "fill": "tonexty", "fillcolor": colour})
        traces.append({**base, "x": mean.x, "y": mean.mean})
    return traces


def _base(curve: Curve) -> dict[str, object]:
    rank = "" if curve.run or curve.series.rank in FIRST_RANKS else f" (rank {curve.series.rank})"
    return {
        "name": curve.label if curve.run else f"{curve.series.key}{rank}",
        "legendgroup": curve.label if curve.run else curve.series.key,
        "line": {"color": curve.colour, "dash": curve.dash, "width": 1.6},
        "connectgaps": False,
    }


def _xy(line: Line, x: str) -> dict[str, object]:
    at = (line.x * 1e9).astype("datetime64[ns]") if x == "clock" else line.x
    return {"x": at, "y": line.y}


def _translucent(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {_BAND_OPACITY})"


def _add_mark(figure: go.Figure, mark: Mark, x: str, origins: Mapping[str, float]) -> None:
    at = {"step": mark.step, "time": mark.time - origins.get("", mark.time), "clock": mark.time * 1000}.get(x)
    if at is not None:
        alert = mark.kind == "alert"
        figure.add_vline(
            x=at, line={"color": "#a15c00" if alert else "#9e9e9e", "width": 1, "dash": "dot"}, opacity=0.7
        )
