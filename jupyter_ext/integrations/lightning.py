"""Lightning: `JupyterExtLogger` for curves, `JupyterExtCallback` for progress and a tidy stop.

    from jupyter_ext.integrations.lightning import JupyterExtCallback, JupyterExtLogger

    trainer = Trainer(logger=JupyterExtLogger(), callbacks=[JupyterExtCallback()])

Source: Lightning's docs, "Logging" and "Callback".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

try:
    from lightning.pytorch import Callback
    from lightning.pytorch.loggers import Logger
    from lightning.pytorch.utilities import rank_zero_only
except ImportError:  # the package of the same code under its old name
    from pytorch_lightning import Callback
    from pytorch_lightning.loggers import Logger
    from pytorch_lightning.utilities import rank_zero_only

from jupyter_ext.worker.sdk import logging

_AXES = ("epoch",)


class JupyterExtLogger(Logger):  # type: ignore[misc]  # lightning need not be there for the type checker
    """Logs what `self.log` says to the training that this process runs."""

    @property
    def name(self) -> str:
        """What Lightning calls this logger's folder."""
        return "jupyter_ext"

    @property
    def version(self) -> str:
        """What tells one run from another: the training's id."""
        report = logging.active()
        return "0" if report is None else report.run_dir.name

    @rank_zero_only  # type: ignore[untyped-decorator]
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers at a step."""
        values = {name: value for name, value in metrics.items() if name not in _AXES}
        if values:
            logging.log(values, step=step)

    @rank_zero_only  # type: ignore[untyped-decorator]
    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Print the hyperparameters."""
        told = params if isinstance(params, Mapping) else vars(params)
        if told:
            print("hparams " + " ".join(f"{name}={value}" for name, value in told.items()))


class JupyterExtCallback(Callback):  # type: ignore[misc]
    """Says how far a `Trainer` is, and stops it after its step when that was asked for.

    Args:
        automatic: Whether the code has not asked for it; then nothing is stopped by it.
    """

    def __init__(self, *, automatic: bool = False) -> None:
        super().__init__()
        self._automatic = automatic

    def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
        """Say how far it is."""
        total = float(trainer.estimated_stepping_batches)
        if trainer.is_global_zero and (reporter := logging.active()) is not None:
            whole = total if math.isfinite(total) and total > 0 else None
            reporter.progress(trainer.global_step, whole, automatic=True)
        if not self._automatic and logging.should_stop():
            trainer.should_stop = True


__all__ = ["JupyterExtCallback", "JupyterExtLogger"]
