"""Train, debug and run PyTorch models from a notebook.

`%load_ext jupyter_ext` gives the magics; `import jupyter_ext as jx` gives `jx.train`, `jx.trainings` and `jx.engine`.
Inside training code, `from jupyter_ext import checkpoint, log, progress, should_stop` works in any process and needs nothing but
the standard library.

Rule of this module: importing it costs next to nothing. Every public name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "AsyncClient": "jupyter_ext.client.requests.async_client",
    "Audio": "jupyter_ext.worker.sdk.media.types",
    "ConfusionMatrix": "jupyter_ext.worker.sdk.media.evaluation",
    "Histogram": "jupyter_ext.worker.sdk.media.types",
    "Html": "jupyter_ext.worker.sdk.media.types",
    "Image": "jupyter_ext.worker.sdk.media.types",
    "Input": "jupyter_ext.worker.sdk.inputs",
    "PRCurve": "jupyter_ext.worker.sdk.media.evaluation",
    "Plotly": "jupyter_ext.worker.sdk.media.types",
    "Table": "jupyter_ext.worker.sdk.media.types",
    "Text": "jupyter_ext.worker.sdk.media.types",
    "Training": "jupyter_ext.client.trainings.handle",
    "Video": "jupyter_ext.worker.sdk.media.types",
    "alert": "jupyter_ext.worker.sdk.logging",
    "checkpoint": "jupyter_ext.checkpoint",
    "compare": "jupyter_ext.client.trainings.comparison",
    "datasets": "jupyter_ext.client.datasets.handle",
    "debug": "jupyter_ext.client.debugging",
    "debug_sessions": "jupyter_ext.client.debugging",
    "engine": "jupyter_ext.client.trainings.api",
    "form": "jupyter_ext.magics.form",
    "import_runs": "jupyter_ext.client.trainings.importing",
    "log": "jupyter_ext.worker.sdk.logging",
    "log_many": "jupyter_ext.worker.sdk.logging",
    "models": "jupyter_ext.client.models.handle",
    "progress": "jupyter_ext.worker.sdk.logging",
    "runs": "jupyter_ext.client.trainings.api",
    "should_stop": "jupyter_ext.worker.sdk.logging",
    "sweep": "jupyter_ext.client.sweeps.api",
    "sweeps": "jupyter_ext.client.sweeps.api",
    "choice": "jupyter_ext.client.sweeps.space",
    "integer": "jupyter_ext.client.sweeps.space",
    "logint": "jupyter_ext.client.sweeps.space",
    "loguniform": "jupyter_ext.client.sweeps.space",
    "uniform": "jupyter_ext.client.sweeps.space",
    "train": "jupyter_ext.client.trainings.api",
    "trainings": "jupyter_ext.client.trainings.api",
}

if TYPE_CHECKING:
    from jupyter_ext import checkpoint
    from jupyter_ext.client.datasets.handle import datasets
    from jupyter_ext.client.debugging import debug, debug_sessions
    from jupyter_ext.client.models.handle import models
    from jupyter_ext.client.requests.async_client import AsyncClient
    from jupyter_ext.client.sweeps.api import sweep, sweeps
    from jupyter_ext.client.sweeps.space import choice, integer, logint, loguniform, uniform
    from jupyter_ext.client.trainings.api import engine, runs, train, trainings
    from jupyter_ext.client.trainings.comparison import compare
    from jupyter_ext.client.trainings.handle import Training
    from jupyter_ext.client.trainings.importing import import_runs
    from jupyter_ext.magics.form import form
    from jupyter_ext.worker.sdk.inputs import Input
    from jupyter_ext.worker.sdk.logging import alert, log, log_many, progress, should_stop
    from jupyter_ext.worker.sdk.media.evaluation import ConfusionMatrix, PRCurve
    from jupyter_ext.worker.sdk.media.types import Audio, Histogram, Html, Image, Plotly, Table, Text, Video

__all__ = [
    "AsyncClient",
    "Audio",
    "ConfusionMatrix",
    "Histogram",
    "Html",
    "Image",
    "Input",
    "PRCurve",
    "Plotly",
    "Table",
    "Text",
    "Training",
    "Video",
    "__version__",
    "alert",
    "checkpoint",
    "choice",
    "compare",
    "datasets",
    "debug",
    "debug_sessions",
    "engine",
    "form",
    "integer",
    "import_runs",
    "log",
    "log_many",
    "logint",
    "loguniform",
    "models",
    "progress",
    "runs",
    "should_stop",
    "sweep",
    "sweeps",
    "train",
    "trainings",
    "uniform",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'jupyter_ext' has no attribute {name!r}")
    module = import_module(home)
    value = getattr(module, name, module)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, also those not imported yet."""
    return sorted(__all__)


def load_ipython_extension(ipython: Any) -> None:
    """Register the magics; IPython calls this for `%load_ext jupyter_ext`."""
    from jupyter_ext.magics import register

    register(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take back what the kernel holds; IPython calls this for `%unload_ext jupyter_ext`. Trainings go on."""
    from jupyter_ext.magics import unregister

    unregister(ipython)


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_ext.server.extension import JupyterExtension

    return [{"module": "jupyter_ext", "app": JupyterExtension}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-ext"}]
