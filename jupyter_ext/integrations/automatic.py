"""Curves and progress of code that nobody changed: `tqdm`, rich, Hugging Face's `Trainer`, Lightning's `Trainer`.

Each is touched when the training's code imports it, and not before. What the code says itself, by `progress()` or a callback
or logger of ours, goes first; where it does, nothing is reported twice.
"""

from __future__ import annotations

import functools
import time
from types import ModuleType
from typing import Any

from jupyter_ext.worker.runtime.import_hooks import when_imported
from jupyter_ext.worker.sdk import logging

_INTERVAL_S = 0.2
"""Between two reports of a bar, seconds."""
_LIGHTNING = ("lightning.pytorch.trainer.trainer", "pytorch_lightning.trainer.trainer")


def install() -> None:
    """Watch for the libraries whose curves and progress are taken over."""
    when_imported("tqdm.notebook", _draw_as_text)
    when_imported("rich.progress", _watch_rich)
    when_imported("transformers.trainer", _watch_transformers)
    for name in _LIGHTNING:
        when_imported(name, _watch_lightning)


def say_progress(current: float, total: float | None) -> None:
    """Say how far the training is, as a library knows it; the code's own `progress()` wins."""
    if (reporter := logging.active()) is not None:
        reporter.progress(current, total, automatic=True)


def _draw_as_text(module: ModuleType) -> None:
    """Let bars for notebooks be those of a terminal: there is no cell to draw a widget into."""
    from tqdm import std  # type: ignore[import-untyped]

    class tqdm(std.tqdm):  # type: ignore[misc]  # noqa: N801  tqdm's name
        """A bar of text that takes the notebook's arguments too."""

        def __init__(self, *args: Any, display: bool = True, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)

        def reset(self, total: float | None = None) -> None:
            super().reset(total)

    def trange(*args: int, **kwargs: Any) -> tqdm:
        return tqdm(range(*args), **kwargs)

    for name, value in {"tqdm": tqdm, "tqdm_notebook": tqdm, "trange": trange, "tnrange": trange}.items():
        setattr(module, name, value)


def _watch_rich(module: ModuleType) -> None:
    """Report the first task of a `Progress` that has a total: of nested ones the outer one."""
    progress = module.Progress
    reported_at = 0.0

    def report(self: Any) -> None:
        nonlocal reported_at
        now = time.monotonic()
        tasks = [task for task in self.tasks if task.total]
        if tasks and (now - reported_at > _INTERVAL_S or tasks[0].finished):
            reported_at = now
            say_progress(tasks[0].completed, tasks[0].total)

    def watched(name: str) -> Any:
        plain = getattr(progress, name)

        @functools.wraps(plain)
        def method(self: Any, *args: Any, **kwargs: Any) -> Any:
            found = plain(self, *args, **kwargs)
            report(self)
            return found

        return method

    for name in ("update", "advance", "stop"):
        setattr(progress, name, watched(name))


def _watch_transformers(module: ModuleType) -> None:
    """Add our callback to every `Trainer`; one that the code adds itself goes first."""
    from jupyter_ext.integrations.hf import AutomaticCallback

    module.DEFAULT_CALLBACKS = [*module.DEFAULT_CALLBACKS, AutomaticCallback]  # type: ignore[attr-defined]


def _watch_lightning(module: ModuleType) -> None:
    """Add our callback and our logger to every `Trainer`, unless it has them."""
    from jupyter_ext.integrations.lightning import JupyterExtCallback, JupyterExtLogger

    trainer = module.Trainer
    begin = trainer.__init__

    @functools.wraps(begin)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  the trainer's own
        begin(self, *args, **kwargs)
        if logging.active() is None:
            return
        if not any(isinstance(one, JupyterExtCallback) for one in self.callbacks):
            self.callbacks.append(JupyterExtCallback(automatic=True))
        if not any(isinstance(one, JupyterExtLogger) for one in self.loggers):
            self.loggers = [*self.loggers, JupyterExtLogger()]

    trainer.__init__ = __init__
