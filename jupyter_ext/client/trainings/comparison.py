"""Several trainings side by side: a live chart in a notebook, a plotly figure, a tidy DataFrame."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from jupyter_ext.client import display_hook
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol import trainings as protocol
from jupyter_ext.protocol.counts import one

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from jupyter_ext.client.trainings.curves.smoothing import Smoothing

COMPARE_MIME_TYPE = "application/vnd.jupyter-ext.compare+json"
_SEED = re.compile(r"(random_?|rng_?)?seed", re.IGNORECASE)
_MAX_INPUTS = 3
_MAX_CHARS = 40


class Comparison:
    """Several trainings side by side. Displays as a live chart.

    Args:
        runs: Which.
        metrics: Only these.
    """

    def __init__(self, runs: Sequence[Training], metrics: Sequence[str] | None = None) -> None:
        self.runs = list(runs)
        self.metrics = None if metrics is None else list(metrics)

    def __repr__(self) -> str:
        """Return a line that names the runs."""
        return f"<Comparison of {', '.join(self.names.values())}>"

    @property
    def names(self) -> dict[str, str]:
        """What each run is called, by its id: its name, or the inputs that differ where names do not."""
        return run_names([run.known for run in self.runs])

    def figure(
        self,
        buckets: int = 400,
        *,
        x: str = "step",
        log_x: bool = False,
        log_y: bool = False,
        smoothing: float = 0.0,
        smoothing_kind: Smoothing = "ema",
        ignore_outliers: bool = False,
        mean_by: str | Sequence[str] | None = None,
    ) -> go.Figure:
        """Draw the runs as a plotly figure; see `Training.figure`.

        Args:
            buckets: At most twice so many real points of each series.
            x: `step`, `time`, `clock`, or a metric.
            log_x: Draw x on a logarithmic axis.
            log_y: Draw y on a logarithmic axis.
            smoothing: Weight of the past per sample, from 0 (none) to below 1.
            smoothing_kind: `ema`, `gaussian` or `mean`.
            ignore_outliers: Leave values far from most others out of the y axis.
            mean_by: Inputs whose values name groups of runs, such as `"lr"`: each group becomes its mean with a band of one
                standard deviation. `[]` averages all runs.

        Raises:
            ValueError: An option is out of range, or x names a metric that was not logged.
        """
        from jupyter_ext.client.trainings.curves.figure import FigureOptions, curves_figure
        from jupyter_ext.client.trainings.curves.grouping import compared_plots_of
        from jupyter_ext.client.trainings.curves.marks import start_of

        options = FigureOptions(x, log_x, log_y, smoothing, smoothing_kind, ignore_outliers)
        keys = self.metrics
        wanted = None if keys is None or x in ("step", "time", "clock") else [*keys, x]
        found = {run.id: run.columns(wanted or keys, buckets) for run in self.runs}
        by = [mean_by] if isinstance(mean_by, str) else mean_by
        inputs = {run.id: run.known.input for run in self.runs}

        def group_of(training_id: str) -> str:
            values = inputs[training_id]
            return ", ".join(f"{name}={_text(values.get(name))}" for name in by or ()) or "all runs"

        return curves_figure(
            "Comparison",
            compared_plots_of(found, self.names),
            options,
            origins={run.id: start_of(run.known) for run in self.runs},
            mean_by=None if by is None else group_of,
        )

    def dataframe(self) -> pd.DataFrame:
        """Return every point of every run: columns `run`, `name`, `key`, `step`, `value`, `time` and `rank`."""
        import pandas as pd

        names = self.names
        parts = [
            run.metrics(self.metrics).assign(run=run.id, name=names[run.id]).astype({"key": str, "rank": str})
            for run in self.runs
        ]
        columns = ["run", "name", "key", "step", "value", "time", "rank"]
        return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)

    @property
    def content(self) -> dict[str, object]:
        """What the live chart is drawn from."""
        return {"version": 1, "id": ",".join(run.id for run in self.runs), "metrics": self.metrics}

    def _ipython_display_(self) -> None:
        display_hook.show("compare", self, self._mime_bundle)

    def _mime_bundle(self) -> dict[str, object]:
        return {COMPARE_MIME_TYPE: self.content, "text/plain": repr(self)}


def compare(runs: Iterable[Training | str] | Training, metrics: Sequence[str] | None = None) -> Comparison:
    """Put trainings side by side.

    Args:
        runs: Handles, names or ids; a list from `jx.trainings.list` too.
        metrics: Only these metrics.

    Raises:
        InvalidInput: There is no run to compare, or the metrics are one text.
        UnknownId: There is no training of this name or id.
    """
    from jupyter_ext.client.trainings.api import trainings

    if isinstance(runs, str | Training):
        runs = [runs]
    if not isinstance(runs, Iterable):
        raise InvalidInput(
            f"{runs!r:.60} is {one(type(runs).__name__)}; give handles, names or ids of trainings."
        )
    if isinstance(metrics, str):
        raise InvalidInput(f"metrics={metrics!r} is one text; give a list, such as [{metrics!r}].")
    found = [run if isinstance(run, Training) else trainings.get(run) for run in runs]
    if not found:
        raise InvalidInput("There is no run to compare; give handles, names or ids.")
    return Comparison(list({run.id: run for run in found}.values()), metrics)


def differing_inputs(runs: Sequence[protocol.Training]) -> list[str]:
    """Name the inputs that are not the same in all runs, seeds last."""
    names = list(dict.fromkeys(name for run in runs for name in run.input))
    differing = [name for name in names if len({_json(run.input.get(name)) for run in runs}) > 1]
    return sorted(differing, key=lambda name: _SEED.fullmatch(name) is not None)


def run_names(runs: Sequence[protocol.Training]) -> dict[str, str]:
    """Name each run: its name alone where that tells them apart, else with the inputs in which they differ."""
    told = differing_inputs(runs)[:_MAX_INPUTS]
    names = [run.name for run in runs]
    is_one = len(set(names)) == 1
    first = []
    for run in runs:
        inputs = ", ".join(f"{name}={_text(run.input.get(name))}" for name in told)
        if names.count(run.name) == 1:
            first.append(run.name)
        else:
            first.append(inputs if inputs and is_one else " ".join(filter(None, (run.name, inputs))))
    return {
        run.id: name if first.count(name) == 1 else f"{name} …{run.id[-4:]}"
        for run, name in zip(runs, first, strict=True)
    }


def _text(value: object) -> str:
    """Write an input's value as the page does."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return _json(value)
    if isinstance(value, int | float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else _json(value)
    return (text if len(text) <= _MAX_CHARS else f"{text[: _MAX_CHARS - 1]}…") or "none"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)
