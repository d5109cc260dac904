"""Handles within a debug session: models, states, trainings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_ext.client.session_channel import SessionChannel
from jupyter_ext.errors import InvalidInput, SessionCallFailed, SessionError
from jupyter_ext.protocol.debug_sessions import DebugModel
from jupyter_ext.protocol.debug_sessions import DebugTraining as TrainingResource

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from jupyter_ext.protocol.columns import SeriesColumns

_WAIT_S = 30.0
_SHOWN_POINTS = 500
_BARS = " ▁▂▃▄▅▆▇█"

show_hook: Callable[[DebugTraining], None] | None = None
"""Displays a training richly in a notebook; the magics' layer sets it."""


@dataclass(frozen=True)
class MetricPoints:
    """New points of a metric: `times` (Unix seconds), `steps`, and `values`, numbers or what was reported."""

    name: str
    start: int
    times: list[float]
    steps: list[float]
    values: list[Any]


class Look(dict[str, Any]):
    """What `session.look` says of a value: `type`, `text`, of arrays also `shape`, `dtype`, `min`, `max`, `mean`, `histogram` …"""

    def __repr__(self) -> str:
        """Give it in a line, with the histogram from `min` to `max` drawn below it."""
        mean = f"  mean {self['mean']:.4g}" if isinstance(self.get("mean"), float) else ""
        line = f"{self['name']}: {self['type']}  {self['text']}{mean}"
        histogram = self.get("histogram")
        if not histogram:
            return line
        highest = max(histogram["counts"])
        bars = (_BARS[-(-(len(_BARS) - 1) * count // highest)] for count in histogram["counts"])
        return f"{line}\n{''.join(bars)}"


class State:
    """A state (weights) that a session keeps. `keys` gives the bytes of each key."""

    def __init__(self, channel: SessionChannel, answer: Mapping[str, Any]) -> None:
        self._channel = channel
        self.id = str(answer["state_id"])
        self.keys: dict[str, int] = {one["key"]: one["bytes"] for one in answer["keys"]}

    def __repr__(self) -> str:
        """Give a line that says what it is."""
        return f"<State {self.id} {len(self.keys)} keys, {sum(self.keys.values()):,} bytes>"

    def download(self, *keys: str) -> dict[str, Any]:
        """Give its values by key, all or those named.

        Raises:
            UnknownId: It has no such key.
        """
        chosen: dict[str, Any] = {"keys": list(keys)} if keys else {}
        value: dict[str, Any] = self._channel.call("download_state", state_id=self.id, **chosen)["value"]
        return value


class Model:
    """A model that lives in a session. Its own methods can be called by their names: `model.fit(x=x)` is a call there."""

    def __init__(self, channel: SessionChannel, resource: DebugModel) -> None:
        self._channel = channel
        self._resource = resource

    def __repr__(self) -> str:
        """Give a line that says what it is."""
        return f"<Model {self._resource.type} {self.id}: {', '.join(self._resource.methods)}>"

    def __dir__(self) -> list[str]:
        """List our methods and its own."""
        return sorted({*super().__dir__(), *self._resource.methods})

    @property
    def id(self) -> str:
        """Its id in the session."""
        return self._resource.id

    @property
    def methods(self) -> list[str]:
        """Its own methods' names, as they were when this handle was made."""
        return list(self._resource.methods)

    def train(self, *args: Any, anomaly: bool = False, **params: Any) -> DebugTraining:
        """Begin to train and return at once; it runs `train`, or `fit`, in the session's main thread.

        Args:
            *args: Its arguments by position.
            anomaly: Have the first operation that makes a NaN raise, and say where; slow.
            **params: Its arguments: numbers, text, arrays, tensors, frames, images, lists, dicts.
        """
        answer = self._channel.call("train", params, args, model_id=self.id, anomaly=anomaly)
        return DebugTraining(self._channel, TrainingResource.model_validate(answer))

    def evaluate(self, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Evaluate it and give the result, in the kind that went in.

        Raises:
            SessionCallFailed: Its code raised.
        """
        return self._channel.call("evaluate", params, args, model_id=self.id, anomaly=anomaly)["value"]

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Evaluate it."""
        return self.evaluate(*args, **params)

    def call(self, method: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Call any of its methods by name.

        Raises:
            SessionError: It has no such method.
            SessionCallFailed: Its code raised.
        """
        answer = self._channel.call("call", params, args, model_id=self.id, method=method, anomaly=anomaly)
        return answer["value"]

    def step(
        self,
        *args: Any,
        method: str | None = None,
        modules: list[str] | None = None,
        histograms: bool = False,
        anomaly: bool = False,
        **params: Any,
    ) -> Step:
        """Run one step by hand and see what it did: activations, gradients, and how far each parameter went.

        Args:
            *args: The step's arguments by position.
            method: Which of its methods is a step; by default `step`, `training_step` or `train_step`. Where that gives a
                loss and leaves the backward pass to its caller, that is run.
            modules: Names of modules to listen to; by default all without children.
            histograms: Count values in bins as well.
            anomaly: Have the first operation that makes a NaN raise.
            **params: The step's arguments.
        """
        answer = self._channel.call(
            "step", params, args, model_id=self.id, method=method, modules=modules, histograms=histograms, anomaly=anomaly
        )  # fmt: skip
        return Step(answer)

    def parameters(self, *, histograms: bool = False) -> pd.DataFrame:
        """Give parameters and gradients as a table, also while it trains."""
        import pandas as pd

        rows = self._channel.call("parameters", model_id=self.id, histograms=histograms)["parameters"]
        return pd.DataFrame([_parameter_row(row) for row in rows]).set_index("name")

    def get_state(self) -> State:
        """Have the session keep a copy of its state (weights)."""
        return State(self._channel, self._channel.call("get_state", model_id=self.id))

    def dispose(self) -> None:
        """Let go of it."""
        self._channel.call("dispose", model_id=self.id)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give one of its own methods."""
        if name.startswith("_") or name not in self._resource.methods:
            raise AttributeError(
                f"{self._resource.type} has no {name!r}; it has {', '.join(self._resource.methods)}"
            )

        def method(*args: Any, **params: Any) -> Any:
            return self.call(name, *args, **params)

        method.__name__ = name
        return method


class Step:
    """What one step did."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.result = answer["value"]
        self.ran_backward = bool(answer["ran_backward"])
        self._activations = answer["activations"]
        self._parameters = answer["parameters"]
        self._updates = answer["updates"]

    def __repr__(self) -> str:
        """Give it as two tables."""
        return f"step gave {self.result!r:.80}\n\n{self.activations}\n\n{self.parameters}"

    @property
    def activations(self) -> pd.DataFrame:
        """What each module gave, in the order of their calls."""
        import pandas as pd

        return pd.DataFrame(self._activations)

    @property
    def parameters(self) -> pd.DataFrame:
        """Parameters, gradients, and `update`: the norm of the change over the norm of the parameter."""
        import pandas as pd

        table = pd.DataFrame([_parameter_row(row) for row in self._parameters]).set_index("name")
        table["update"] = pd.Series(
            {name: told["ratio"] for name, told in self._updates.items()}, dtype=object
        )
        return table


class DebugTraining:
    """A training inside of a session."""

    def __init__(self, channel: SessionChannel, resource: TrainingResource) -> None:
        self._channel = channel
        self._resource = resource

    def __repr__(self) -> str:
        """Give a line that says how it stands."""
        known = self._resource
        last = "  ".join(f"{one.name}={one.last}" for one in known.metrics if one.last is not None)
        return f"<DebugTraining {self.id} {known.state} {known.progress:.0%} {last}>"

    @property
    def id(self) -> str:
        """Its id in the session."""
        return self._resource.id

    @property
    def resource(self) -> TrainingResource:
        """Everything the session says of it, asked anew unless it is over."""
        if self._resource.state == "running":
            self._take(self._channel.call("training_status", training_id=self.id))
        return self._resource

    @property
    def status(self) -> str:
        """One of `running`, `completed`, `failed`."""
        return self.resource.state

    @property
    def progress(self) -> float:
        """How far it says it is, 0 to 1."""
        return self.resource.progress

    def wait(self, timeout_s: float | None = None) -> DebugTraining:
        """Wait until it is over; an interrupt stops the waiting, not the training.

        Raises:
            SessionCallFailed: Its code raised.
            SessionError: It failed otherwise, or was canceled.
            TimeoutError: It is not over after that many seconds.
        """
        left = timeout_s
        while self._resource.state == "running":
            wait_s = _WAIT_S if left is None else min(_WAIT_S, left)
            self._take(self._channel.call("training_status", training_id=self.id, wait_s=wait_s))
            if left is not None:
                left -= wait_s
                if left <= 0 and self._resource.state == "running":
                    raise TimeoutError(f"training {self.id} is not over after {timeout_s} s; it goes on")
        return self._judged()

    def __await__(self) -> Generator[Any, None, DebugTraining]:
        """Wait in an asynchronous cell: `await training`."""
        return (yield from asyncio.to_thread(self.wait).__await__())

    def cancel(self, wait_s: float = 10.0) -> DebugTraining:
        """Cancel it: ask, then interrupt; the model stays as it is then.

        Raises:
            SessionError: It has not reacted within `wait_s`; the text says what that means.
        """
        try:
            told = self._channel.call("cancel_training", training_id=self.id, wait_s=wait_s)
        except SessionError:
            if self.status != "running":
                return self
            raise
        if not told["ended"]:
            raise SessionError(told["hint"])
        self._take(self._channel.call("training_status", training_id=self.id))
        return self

    def points(self, name: str, start: int = 0, amount: int | None = None) -> MetricPoints:
        """Give points of one metric by index."""
        return self._points([{"name": name, "start": start, "amount": amount}])[0]

    def metrics(self) -> pd.DataFrame:
        """Give every point as a DataFrame with columns `key`, `step`, `value` and `time` (UTC)."""
        import pandas as pd

        found = self._points(None)
        table = pd.DataFrame(
            {
                "key": [one.name for one in found for _ in one.times],
                "step": [step for one in found for step in one.steps],
                "value": [value for one in found for value in one.values],
                "time": pd.to_datetime([at for one in found for at in one.times], unit="s", utc=True),
            }
        )
        return table.astype({"key": "category"})

    def follow(self) -> Iterator[MetricPoints]:
        """Yield new points of each metric as they come, until it is over."""
        have: dict[str, int] = {}
        for session in self._channel.watch():
            mine = next((one for one in session["trainings"] if one["id"] == self.id), None)
            if mine is None:
                return
            self._take(mine)
            asked = [
                {"name": one.name, "start": have.get(one.name, 0)}
                for one in self._resource.metrics
                if one.amount > have.get(one.name, 0)
            ]
            for found in self._points(asked) if asked else []:
                have[found.name] = found.start + len(found.times)
                yield found
            if self._resource.state != "running":
                return

    def columns(self, max_points: int | None = None) -> list[SeriesColumns]:
        """Give the metrics that are numbers as numpy columns, every n-th point where there are more than `max_points`."""
        import numpy as np

        from jupyter_ext.protocol.columns import SeriesColumns

        columns = []
        for index, found in enumerate(self._points(None)):
            if all(isinstance(value, float) for value in found.values):
                every = 1 if max_points is None else max(1, -(-len(found.times) // max_points))
                steps, values, times = (
                    np.array(part[::every], np.float64) for part in (found.steps, found.values, found.times)
                )
                columns.append(SeriesColumns(index, found.name, "0", steps, values, times))
        return columns

    def figure(self) -> go.Figure:
        """Draw its metrics as a plotly figure."""
        from jupyter_ext.client.figure import training_figure

        return training_figure(f"debug training {self.id}", self.columns())

    def picture(self) -> str:
        """Draw its metrics as SVG, as a cell shows it."""
        from jupyter_ext.client.picture import draw
        from jupyter_ext.protocol.resources import Training

        known = self._resource
        status = {"running": "processing", "completed": "succeeded", "failed": "failed"}[known.state]
        if known.fail is not None and known.fail.get("code") == "cancelled":
            status = "canceled"
        took = {} if known.duration_s is None else {"predict_time": known.duration_s}
        shown = Training.model_construct(name=f"debug training {self.id}", status=status, metrics=took)
        return draw(shown, self.columns(_SHOWN_POINTS))

    def _points(self, asked: list[dict[str, Any]] | None) -> list[MetricPoints]:
        import numpy as np

        params: dict[str, Any] = {} if asked is None else {"metrics": asked}
        answer = self._channel.call("training_metrics", training_id=self.id, **params)
        found = []
        for told, part in zip(answer["metrics"], answer["value"], strict=True):
            times, steps = (np.frombuffer(part[key]).tolist() for key in ("times", "steps"))
            values = np.frombuffer(part["numbers"]).tolist() if "numbers" in part else part["values"]
            found.append(MetricPoints(told["name"], told["start"], times, steps, values))
        return found

    def _take(self, told: Mapping[str, Any]) -> None:
        self._resource = TrainingResource.model_validate(told)

    def _judged(self) -> DebugTraining:
        fail = self._resource.fail
        if fail is None:
            return self
        if fail.get("code") == "exception" and "exception" in fail:
            from jupyter_ext.client.session_report import failure_text

            raise SessionCallFailed(fail["message"], failure_text(fail["exception"], self._channel.name))
        raise SessionError(f"Training {self.id} failed ({fail.get('code')}): {fail.get('message')}")

    def _ipython_display_(self) -> None:
        if show_hook is not None:
            show_hook(self)
        else:
            print(repr(self))


def _parameter_row(told: Mapping[str, Any]) -> dict[str, Any]:
    """Give one line of a table of parameters."""
    value, grad = told["value"], told["grad"] or {}
    row = {
        "name": told["name"],
        "shape": tuple(told["shape"]),
        "dtype": told["dtype"],
        "norm": value.get("norm"),
    }
    row |= {
        "min": value.get("min"),
        "max": value.get("max"),
        "nan": value.get("num_nan"),
        "inf": value.get("num_inf"),
    }
    row |= {"grad_norm": grad.get("norm"), "grad_nan": grad.get("num_nan"), "grad_inf": grad.get("num_inf")}
    if "histogram" in value:
        row |= {"histogram": value["histogram"], "grad_histogram": grad.get("histogram")}
    return row


def check_name(name: str) -> str:
    """Refuse a name of a session that its magics could not be given.

    Raises:
        InvalidInput: It is empty, or has white space in it.
    """
    if not name or any(letter.isspace() for letter in name) or name.startswith("-"):
        raise InvalidInput(f"{name!r} cannot be a session's name; give a word such as digits.")
    return name
