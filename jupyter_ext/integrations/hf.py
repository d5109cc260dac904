"""Hugging Face `Trainer`: curves, progress, a tidy stop and resuming.

    from jupyter_ext.integrations.hf import JupyterExtCallback, latest_folder

    trainer = Trainer(…, callbacks=[JupyterExtCallback()])
    trainer.train(resume_from_checkpoint=latest_folder())

Source: transformers' docs, "Callbacks"; names of curves as its own `rewrite_logs`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from transformers import TrainerCallback

from jupyter_ext.worker.sdk import checkpoint, logging

_AXES = ("epoch",)
_SUMMARY = ("train_", "total_flos")
"""Said once at the end; curves of one point."""


class JupyterExtCallback(TrainerCallback):  # transformers need not be there for the type checker
    """Reports a `Trainer`'s run to the training that this process runs."""

    def on_init_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note that this `Trainer` has a callback that the code gave it, so that the automatic one keeps silent."""
        if not isinstance(self, AutomaticCallback):
            _reported.add(id(args))

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how far it is; a resumed run begins in the middle."""
        _say_progress(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how far it is, and stop after this step if that was asked for, saving where the Trainer saves at all."""
        _say_progress(state)
        if logging.should_stop():
            control.should_training_stop = True
            control.should_save = str(getattr(args.save_strategy, "value", args.save_strategy)) != "no"

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, object] | None = None, **_: Any
    ) -> None:
        """Log what the Trainer logs: `loss` as `train/loss`, `eval_loss` as `eval/loss`."""
        values = {
            _curve(name): value
            for name, value in (logs or {}).items()
            if isinstance(value, int | float) and name not in _AXES and not name.startswith(_SUMMARY)
        }
        if values and state.is_world_process_zero:
            logging.log(values, step=state.global_step)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Announce the Trainer's own checkpoint, so that the training can be resumed from it."""
        folder = os.path.abspath(os.path.join(args.output_dir, f"checkpoint-{state.global_step}"))
        if state.is_world_process_zero and logging.active() is not None:
            checkpoint.save({"folder": folder}, step=state.global_step)


class AutomaticCallback(JupyterExtCallback):
    """The callback that every `Trainer` in a training has; silent where the code gave it one of its own."""

    def _is_silent(self, args: Any) -> bool:
        return logging.active() is None or id(args) in _reported

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """See `JupyterExtCallback`."""
        if not self._is_silent(args):
            super().on_train_begin(args, state, control, **more)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """See `JupyterExtCallback`; whether it stops is left to the code and to Cancel."""
        if not self._is_silent(args):
            _say_progress(state)

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, object] | None = None, **more: Any
    ) -> None:
        """See `JupyterExtCallback`."""
        if not self._is_silent(args):
            super().on_log(args, state, control, logs, **more)

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Announce nothing: only code that asks for it can go on from there."""


_reported: set[int] = set()
"""Arguments of the trainers that have a callback of the code's own; a trainer keeps them for life, and not its state."""


def latest_folder() -> str | None:
    """Return the folder of the newest checkpoint that a `Trainer` can go on from, or `None` at a fresh start."""
    found = checkpoint.latest()
    folder = None if found is None else found.load().get("folder")
    return folder if folder is not None and os.path.isdir(folder) else None


def _say_progress(state: Any) -> None:
    if state.is_world_process_zero and (reporter := logging.active()) is not None:
        reporter.progress(state.global_step, state.max_steps if state.max_steps > 0 else None, automatic=True)


def _curve(name: str) -> str:
    for kind in ("eval", "test"):
        if name.startswith(f"{kind}_"):
            return f"{kind}/{name.removeprefix(f'{kind}_')}"
    return f"train/{name}"
