"""What `import cog` gives in a worker whose environment has no Cog: the names that trainers use. Standard library only.

Rule: the same names, the same meaning; what a training cannot use (streaming, servers) is not here.

Source: Cog's Python reference; cog 0.23.1.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator as Iterator
from typing import Any

from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.sdk.inputs import Input as Input

_RESERVED = ("predict_time", "cog.")

CancelationException = KeyboardInterrupt
"""What a canceled training is interrupted by, so that `except CancelationException: …; raise` cleans up."""


class Path(type(pathlib.Path())):  # type: ignore[misc]  # the class of this platform
    """A file on this machine; what was a URL or data URI has been written to one."""


class Secret:
    """Text that does not show itself; `get_secret_value()` gives it."""

    def __init__(self, secret_value: str | None = None) -> None:
        self._value = secret_value

    def get_secret_value(self) -> str | None:
        """Return the text."""
        return self._value

    def __str__(self) -> str:
        return "" if self._value is None else "**********"

    def __repr__(self) -> str:
        return f"Secret({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class BaseModel:
    """Base of outputs such as `TrainingOutput(weights=…)`; a subclass becomes a dataclass."""

    def __init_subclass__(cls, *, auto_dataclass: bool = True, **options: Any) -> None:
        super().__init_subclass__()
        if auto_dataclass:
            dataclasses.dataclass(**{"kw_only": True, **options})(cls)


class BaseRunner:
    """Base of classes with `setup()`, called once, and `train()`."""

    def setup(self, weights: Path | str | None = None) -> None:
        """Prepare; a subclass may do so."""


BasePredictor = BaseRunner
File = Any
ConcatenateIterator = Iterator


class _Metrics:
    """`current_scope().metrics`."""

    def __init__(self) -> None:
        self._calls: dict[str, int] = {}
        self._sums: dict[str, float] = {}
        self._modes: dict[str, str] = {}

    def record(self, key: str, value: Any, mode: str = "replace") -> None:
        """Log a value. The n-th of a name is its step n; `a.b` becomes `a/b`; `incr` adds to what there was."""
        if mode not in ("replace", "incr", "append"):
            raise ValueError(f"record_metric({key!r}): mode={mode!r} is none of replace, incr, append.")
        if key.startswith(_RESERVED):
            raise ValueError(f"record_metric({key!r}): this name is Cog's own; take another.")
        if mode == "incr":
            self._sums[key] = value = self._sums.get(key, 0) + value
        step = self._calls[key] = self._calls.get(key, -1) + 1
        if self._modes.get(key) != mode:
            self._modes[key] = mode
            logging.recorded(key, mode)
        logging.log({key.replace(".", "/"): value}, step=step)

    __setitem__ = record


class Scope:
    """What runs now."""

    def __init__(self) -> None:
        self.metrics = _Metrics()

    def record_metric(self, key: str, value: Any, mode: str = "replace") -> None:
        """Log a value; see `metrics.record`."""
        self.metrics.record(key, value, mode)


_scope = Scope()


def current_scope() -> Scope:
    """Return the training's scope, to record metrics in."""
    return _scope


def emit_metric(name: str, value: Any) -> None:
    """Log a value, as code for older versions of Cog does."""
    _scope.record_metric(name, value)
