"""Handles within a debug session: models and states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_ext.client.sessions.channel import SessionChannel
from jupyter_ext.client.sessions.training import DebugTraining
from jupyter_ext.client.sessions.training_source import SessionTrainings
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.payloads.session_messages import (
    DownloadAnswer,
    ParametersAnswer,
    SessionParams,
    StateAnswer,
    StepAnswer,
    ValueAnswer,
)
from jupyter_ext.ipc.payloads.value_summaries import LocalValue, ParameterLook, TensorLook
from jupyter_ext.protocol.sessions import DebugModel
from jupyter_ext.protocol.sessions import DebugTraining as TrainingResource

if TYPE_CHECKING:
    import pandas as pd

_BARS = " ▁▂▃▄▅▆▇█"


class Look(dict[str, object]):
    """What `session.look` says of a value: `type`, `text`, of arrays also `shape`, `dtype`, `min`, `max`, `mean`, `histogram` …"""

    def __init__(self, summary: LocalValue) -> None:
        super().__init__(summary)
        self._summary = summary

    def __repr__(self) -> str:
        """Return it in a line, with the histogram from `min` to `max` drawn below it."""
        found = self._summary
        mean = found.get("mean")
        shown = f"  mean {mean:.4g}" if isinstance(mean, float) else ""
        line = f"{found['name']}: {found['type']}  {found['text']}{shown}"
        histogram = found.get("histogram")
        if not histogram:
            return line
        highest = max(histogram["counts"])
        bars = (_BARS[-(-(len(_BARS) - 1) * count // highest)] for count in histogram["counts"])
        return f"{line}\n{''.join(bars)}"


class State:
    """A state (weights) that a session keeps. `keys` gives the bytes of each key."""

    def __init__(self, channel: SessionChannel, answer: StateAnswer) -> None:
        self._channel = channel
        self.id = answer["state_id"]
        self.keys: dict[str, int] = {one["key"]: one["bytes"] for one in answer["keys"]}

    def __repr__(self) -> str:
        """Return a line that says what it is."""
        return f"<State {self.id} {len(self.keys)} keys, {sum(self.keys.values()):,} bytes>"

    def download(self, *keys: str) -> dict[str, object]:
        """Return its values by key, all or those named.

        Raises:
            UnknownId: It has no such key.
        """
        chosen: SessionParams = {"keys": list(keys)} if keys else {}
        answer = self._channel.call("download_state", answer=DownloadAnswer, state_id=self.id, **chosen)
        return dict(answer.get("value", {}))

    def save(self, path: str | Path) -> None:
        """Write it to a .npz file: arrays and tensors as arrays, bytes as arrays of uint8."""
        save_state(path, self.download())


class Model:
    """A model that lives in a session. Its own methods can be called by their names: `model.fit(x=x)` is a call there.

    Attributes:
        wait_s: How long a call waits for what else has the session's main thread, such as a training, before it is
            refused, seconds; `None` for ever. A model whose class has `evaluate_beside_training = True` does not wait for
            its training.
    """

    wait_s: float | None = 600.0

    def __init__(self, channel: SessionChannel, resource: DebugModel) -> None:
        self._channel = channel
        self._resource = resource

    def __repr__(self) -> str:
        """Return a line that says what it is."""
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
        return DebugTraining(SessionTrainings(self._channel), TrainingResource.model_validate(answer))

    def evaluate(self, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Evaluate it and give the result, in the kind that went in.

        Raises:
            SessionCallFailed: Its code raised.
        """
        return self._channel.call(
            "evaluate",
            params,
            args,
            answer=ValueAnswer,
            model_id=self.id,
            anomaly=anomaly,
            wait_s=self.wait_s,
        )["value"]

    def __call__(self, *args: Any, **params: Any) -> Any:
        """Evaluate it."""
        return self.evaluate(*args, **params)

    def call(self, method: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Call any of its methods by name.

        Raises:
            SessionError: It has no such method.
            SessionCallFailed: Its code raised.
        """
        answer = self._channel.call(
            "call", params, args, answer=ValueAnswer, model_id=self.id, method=method, anomaly=anomaly,
            wait_s=self.wait_s,
        )  # fmt: skip
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
            "step", params, args, answer=StepAnswer, model_id=self.id, method=method, modules=modules, histograms=histograms, anomaly=anomaly,
            wait_s=self.wait_s,
        )  # fmt: skip
        return Step(answer)

    def parameters(self, *, histograms: bool = False) -> pd.DataFrame:
        """Return parameters and gradients as a table, also while it trains."""
        import pandas as pd

        rows = self._channel.call(
            "parameters", answer=ParametersAnswer, model_id=self.id, histograms=histograms
        )["parameters"]
        return pd.DataFrame([_parameter_row(row) for row in rows]).set_index("name")

    def get_state(self) -> State:
        """Have the session keep a copy of its state (weights)."""
        return State(self._channel, self._channel.call("get_state", answer=StateAnswer, model_id=self.id))

    def dispose(self) -> None:
        """Let go of it."""
        self._channel.call("dispose", model_id=self.id)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return one of its own methods."""
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

    def __init__(self, answer: StepAnswer) -> None:
        self.result = answer["value"]
        self.ran_backward = bool(answer["ran_backward"])
        self._activations = answer["activations"]
        self._parameters = answer["parameters"]
        self._updates = answer["updates"]

    def __repr__(self) -> str:
        """Return it as two tables."""
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
        table["update"] = pd.Series({name: row["ratio"] for name, row in self._updates.items()}, dtype=object)
        return table


def _parameter_row(look: ParameterLook) -> dict[str, object]:
    """Return one line of a table of parameters."""
    value: TensorLook = look["value"]
    grad: TensorLook = look["grad"] or {}
    row: dict[str, object] = {
        "name": look["name"],
        "shape": tuple(look["shape"]),
        "dtype": look["dtype"],
        "norm": value.get("norm"),
        "min": value.get("min"),
        "max": value.get("max"),
        "nan": value.get("num_nan"),
        "inf": value.get("num_inf"),
        "grad_norm": grad.get("norm"),
        "grad_nan": grad.get("num_nan"),
        "grad_inf": grad.get("num_inf"),
    }
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


def save_state(path: str | Path, state: Mapping[str, object]) -> None:
    """Write a state to a .npz file: arrays and tensors as arrays, bytes as arrays of uint8."""
    import numpy

    arrays: Any = {
        key: numpy.frombuffer(value, "u1") if isinstance(value, bytes) else numpy.asarray(value)
        for key, value in state.items()
    }
    numpy.savez(path, **arrays)
