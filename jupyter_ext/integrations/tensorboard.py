"""`SummaryWriter`: takes the calls of `torch.utils.tensorboard.SummaryWriter` and draws them in the panel. Standard library only.

    from jupyter_ext.integrations.tensorboard import SummaryWriter    # in place of torch.utils.tensorboard

Scalars become curves, text goes to the log. What has no place in a panel (images, histograms, graphs …) is left out and
named once.

Source: PyTorch's docs, torch.utils.tensorboard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from jupyter_ext.worker.sdk import logging


class SummaryWriter:
    """Writes to the training that this process runs.

    Args:
        log_dir: Kept for `get_logdir()`; nothing is written there.
        comment: Not used, as are the rest; they are TensorBoard's own affair.
        purge_step: Not used.
        max_queue: Not used.
        flush_secs: Not used.
        filename_suffix: Not used.
    """

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        self.log_dir = "" if log_dir is None else str(log_dir)

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Log a number; without a step, the number of calls so far is its step."""
        logging.log({tag: scalar_value}, step=_number(global_step))

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, object],
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Log several numbers as `main_tag/tag`."""
        values = {f"{main_tag}/{tag}": value for tag, value in tag_scalar_dict.items()}
        logging.log(values, step=_number(global_step))

    def add_hparams(
        self,
        hparam_dict: Mapping[str, object],
        metric_dict: Mapping[str, object],
        hparam_domain_discrete: Any = None,
        run_name: str | None = None,
        global_step: Any = None,
    ) -> None:
        """Print the hyperparameters and log their metrics."""
        print("hparams " + " ".join(f"{name}={value}" for name, value in hparam_dict.items()))
        if metric_dict:
            logging.log(metric_dict, step=_number(global_step))

    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Print a text."""
        where = "" if global_step is None else f" ({_number(global_step):g})"
        print(f"{tag}{where}: {text_string}")

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Take the other `add_…` calls and do nothing, saying so once."""
        if not name.startswith("add_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

        def leave_out(*_: Any, **__: Any) -> None:
            logging.tell(f"SummaryWriter.{name}() has no place in the panel; it was left out.")

        return leave_out

    def get_logdir(self) -> str:
        """Return the directory that was named at the beginning."""
        return self.log_dir

    def flush(self) -> None:
        """Do nothing: what was logged is on its way already."""

    def close(self) -> None:
        """Do nothing: the training closes its journal."""

    def __enter__(self) -> SummaryWriter:
        """Begin a `with` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End a `with` block."""
        self.close()


def _number(step: Any) -> float | None:
    return None if step is None else float(step)
