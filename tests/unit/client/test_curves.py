"""Figures: the maths are the page's, and what was chosen is what is drawn."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_ext.client.trainings.comparison import Comparison, compare, run_names
from jupyter_ext.client.trainings.curves.aggregate import mean_curve
from jupyter_ext.client.trainings.curves.colours import PALETTE, run_colours
from jupyter_ext.client.trainings.curves.figure import FigureOptions, Mark, curves_figure
from jupyter_ext.client.trainings.curves.grouping import compared_plots_of, plots_of
from jupyter_ext.client.trainings.curves.ranges import extent_of
from jupyter_ext.client.trainings.curves.smoothing import bucket_means, smooth
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.metrics_codec import SeriesColumns
from jupyter_ext.protocol.trainings import Training

CASES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[3] / "widgets" / "tests" / "chart" / "chart_maths.json").read_text()
)
"""Shared with widgets/tests/chart/chart_maths.test.ts."""


def numbers(values: list[float | None]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def series(key: str, values: list[float], rank: str = "0", every: int = 1) -> SeriesColumns:
    steps = np.arange(len(values), dtype=float) * every
    return SeriesColumns(0, key, rank, steps, np.array(values, float), 1000 + 2 * steps)


def training(training_id: str, name: str, inputs: dict[str, object]) -> Training:
    return Training.model_validate(
        {
            "id": training_id,
            "model": "local/m",
            "version": "0" * 64,
            "name": name,
            "status": "succeeded",
            "created_at": "2026-01-01T00:00:00Z",
            "urls": {"get": "", "cancel": ""},
            "input": inputs,
        }
    )


@pytest.mark.parametrize("case", CASES["smoothing"])
def test_curves_are_smoothed_as_in_the_page(case: dict[str, Any]) -> None:
    found = smooth(numbers(case["values"]), numbers(case["weights"]), case["kind"], case["weight"])
    np.testing.assert_allclose(found, numbers(case["smoothed"]), atol=1e-6)


def test_the_exponential_average_is_tensorboards() -> None:
    values = np.random.default_rng(0).normal(size=50)
    last, expected = 0.0, []
    for i, value in enumerate(values, 1):  # vz_line_chart2/line-chart.ts, resmoothDataset
        last = last * 0.9 + 0.1 * value
        expected.append(last / (1 - 0.9**i))
    np.testing.assert_allclose(smooth(values, np.ones(50), "ema", 0.9), expected)


@pytest.mark.parametrize("case", CASES["buckets"])
def test_long_curves_are_divided_as_in_the_page(case: dict[str, Any]) -> None:
    x, means, weights = bucket_means(
        np.arange(case["n"], dtype=float), np.round(np.sin(np.arange(case["n"]) / 50), 4)
    )
    assert len(x) == case["count"]
    assert weights.sum() == case["n"]
    for found, expected in ((x, case["x"]), (means, case["means"])):
        np.testing.assert_allclose(found[:3], numbers(expected[0]), atol=1e-6)
        np.testing.assert_allclose(found[-2:], numbers(expected[1]), atol=1e-6)


@pytest.mark.parametrize("case", CASES["means"])
def test_runs_are_averaged_as_in_the_page(case: dict[str, Any]) -> None:
    found = mean_curve([(numbers(x), numbers(y)) for x, y in case["curves"]])
    for part in ("x", "mean", "low", "high"):
        np.testing.assert_allclose(getattr(found, part), numbers(case[part]), atol=1e-6)


@pytest.mark.parametrize("case", CASES["ranges"])
def test_axes_end_as_in_the_page(case: dict[str, Any]) -> None:
    found = extent_of(np.array(case["values"]), log=case["log"], ignore_outliers=case["ignore_outliers"])
    assert found == (None if case["extent"] is None else pytest.approx(tuple(case["extent"]), rel=1e-9))


@pytest.mark.parametrize("case", CASES["colours"])
def test_runs_have_the_pages_colours(case: dict[str, Any]) -> None:
    found = run_colours(case["ids"])
    assert [found[training_id] for training_id in case["ids"]] == case["colours"]


def test_a_figure_shows_what_was_chosen() -> None:
    plots = plots_of(
        [series("train/loss", list(np.linspace(2, 1, 40))), series("val/acc", [0.1, 0.5], every=20)]
    )
    options = FigureOptions(x="time", log_y=True, smoothing=0.5)
    figure = curves_figure("t", plots, options, origins={"": 1000.0}, marks=[Mark("alert", 3, 1006)])
    raw, smoothed, few = figure.data
    assert (raw.opacity, raw.showlegend, smoothed.mode, few.mode) == (0.25, False, "lines", "lines+markers")
    assert list(few.x) == [0.0, 40.0]
    assert (smoothed.line.color, few.line.color) == PALETTE[:2]
    assert {axis.type for axis in figure.select_yaxes()} == {"log"}
    assert [shape.x0 for shape in figure.layout.shapes] == [6, 6]
    assert [title.text for title in figure.layout.annotations] == ["loss", "accuracy"]


def test_x_is_another_metric_of_the_same_step() -> None:
    plots = plots_of([series("loss", [5, 4, 3, 2, 1], every=10), series("epoch", [0, 1, 2], every=20)])
    loss, epoch = curves_figure("t", plots, FigureOptions(x="epoch"), origins={}).data
    assert list(loss.x) == [0, 0.5, 1, 1.5, 2]
    assert list(epoch.x) == list(epoch.y)
    with pytest.raises(
        ValueError, match=re.escape("x='epcoh' is no metric of it; there are step, time, clock, epoch, loss.")
    ):
        curves_figure("t", plots, FigureOptions(x="epcoh"), origins={})


@pytest.mark.parametrize(("options", "message"), [
    (FigureOptions(smoothing=1.0), "smoothing=1.0; give the weight of the past"),
    (FigureOptions(smoothing_kind="median"), "smoothing_kind='median'; there are: ema, gaussian, mean."),  # type: ignore[arg-type]
])  # fmt: skip
def test_a_wrong_choice_is_named(options: FigureOptions, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        curves_figure("t", plots_of([series("loss", [1, 2])]), options, origins={})


def test_values_that_are_not_finite_leave_gaps_and_spoil_no_axis() -> None:
    values = [1.0, float("nan"), float("inf"), 2.0]
    plots = plots_of([series("loss", values)])
    (trace,) = curves_figure("t", plots, FigureOptions(ignore_outliers=True), origins={}).data
    assert np.isnan(trace.y[1:3]).all()
    assert curves_figure("t", plots_of([series("loss", [np.nan])]), FigureOptions(), origins={}).data
    assert not curves_figure("t", {}, FigureOptions(), origins={}).data


def test_compared_runs_keep_a_colour_and_are_averaged() -> None:
    runs = {
        f"id{i}": [series("train/loss", [3.0 + i, 1.0 + i]), series("val/loss", [3.0, 2.0])] for i in range(3)
    }
    plots = compared_plots_of(runs, {"id0": "a", "id1": "b", "id2": "c"})
    assert [curve.label for curve in plots["loss"]][:2] == ["train · a", "val · a"]
    assert plots["loss"][0].colour == plots["loss"][1].colour
    assert [curve.dash for curve in plots["loss"]][:2] == ["dot", "solid"]
    figure = curves_figure(
        "t", plots, FigureOptions(), origins=dict.fromkeys(runs, 0.0), mean_by=lambda _run: "all"
    )
    assert [trace.name for trace in figure.data if trace.showlegend is not False] == [
        "train · all (mean of 3)",
        "val · all (mean of 3)",
    ]
    assert list(figure.data[2].y) == [4.0, 2.0]


def test_compared_runs_are_called_by_what_differs() -> None:
    one, other = (
        training("a" * 26, "x", {"lr": 0.1, "seed": 1}),
        training("b" * 26, "x", {"lr": 0.2, "seed": 2}),
    )
    assert list(run_names([one, other]).values()) == ["lr=0.1, seed=1", "lr=0.2, seed=2"]
    assert list(run_names([one, training("c" * 26, "y", {})]).values()) == ["x", "y"]
    same = [training("aaaa1".rjust(26, "0"), "x", {}), training("bbbb2".rjust(26, "0"), "x", {})]
    assert list(run_names(same).values()) == ["x …aaa1", "x …bbb2"]


def test_a_comparison_without_runs_is_refused() -> None:
    with pytest.raises(InvalidInput, match="There is no run to compare"):
        compare([])
    with pytest.raises(
        InvalidInput, match=re.escape("metrics='loss' is one text; give a list, such as ['loss'].")
    ):
        compare([], metrics="loss")
    assert Comparison([]).dataframe().empty
