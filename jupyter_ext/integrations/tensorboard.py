"""`SummaryWriter`: takes the calls of `torch.utils.tensorboard.SummaryWriter` and draws them in the panel. Standard library only.

    from jupyter_ext.integrations.tensorboard import SummaryWriter    # in place of torch.utils.tensorboard

Scalars become curves; images, histograms, texts, figures, audio, videos and precision-recall curves become media. What has no
place in a panel (graphs, meshes, embeddings …) is left out and named once.

Source: PyTorch's docs, torch.utils.tensorboard.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.sdk.media.evaluation import PRCurve
from jupyter_ext.worker.sdk.media.types import Audio, Histogram, Image, Text, Video

_NUM_BINS = 64


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
        """Keep a text."""
        logging.log({tag: Text(text_string)}, step=_number(global_step))

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Keep a picture."""
        logging.log({tag: Image(img_tensor, layout=dataformats)}, step=_number(global_step))

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Keep a batch of pictures as a grid."""
        logging.log({tag: Image(img_tensor, layout=dataformats)}, step=_number(global_step))

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: Any = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Keep one matplotlib figure, or several, as pictures."""
        figures = list(figure) if isinstance(figure, list | tuple) else [figure]
        logging.log({tag: [Image(item) for item in figures]}, step=_number(global_step))
        if close and (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
            for item in figures:
                pyplot.close(item)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = None,
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Count numbers. Bins are of one width: TensorBoard's own names of bins are not needed."""
        num_bins = bins if isinstance(bins, int) else _NUM_BINS
        logging.log({tag: Histogram(values, num_bins)}, step=_number(global_step))

    def add_histogram_raw(
        self,
        tag: str,
        min: float,
        max: float,
        num: int,
        sum: float,
        sum_squares: float,
        bucket_limits: Sequence[float],
        bucket_counts: Sequence[float],
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Keep counts that were made elsewhere; `bucket_limits` are the right edges."""
        edges = [min, *bucket_limits]
        edges[-1] = max if edges[-1] > max > edges[-2] else edges[-1]
        logging.log({tag: Histogram(np_histogram=(bucket_counts, edges))}, step=_number(global_step))

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: Any = None,
        sample_rate: int = 44_100,
        walltime: float | None = None,
    ) -> None:
        """Keep a sound."""
        logging.log({tag: Audio(snd_tensor, sample_rate)}, step=_number(global_step))

    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: Any = None,
        fps: float = 4,
        walltime: float | None = None,
    ) -> None:
        """Keep a video of shape N, T, C, H, W: of each of the N, one."""
        videos = [Video(video, fps, layout="NCHW") for video in vid_tensor]
        logging.log({tag: videos}, step=_number(global_step))

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Keep precision over recall."""
        logging.log({tag: PRCurve(labels, predictions)}, step=_number(global_step))

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
