"""Run the trainer of a Cog project folder, without Docker. Standard library only.

The folder's files are copied into the run's `work/`, which is the working directory and comes first on `sys.path`: code
finds its files as in Cog's image, and what it writes stays with the run.

Source: Cog's docs, "Training API" and "Python reference".
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_ext.worker.runtime import arguments as calling
from jupyter_ext.worker.training import cog_stub
from jupyter_ext.worker.training.entry import OnItem, call

FOLDER = "folder"
"""Of the bundle: the project's files."""
WORK = "work"


def run(
    run_dir: Path,
    source: str,
    entry: str,
    inputs: Mapping[str, object],
    *,
    method: str = "train",
    on_item: OnItem | None = None,
) -> Any:
    """Call the trainer or predictor.

    Args:
        run_dir: The run's directory, with `code/folder/`.
        source: Its file, relative to the folder.
        entry: Its function or class.
        inputs: JSON values, secrets in clear.
        method: Of a class: `train`, `predict` or `run`.
        on_item: Told each item of a generator as it comes.

    Returns:
        What it returned; of a generator all of it, as a list.
    """
    files = calling.Files(Path.cwd(), run_dir / "inputs", must_exist=True)
    work = run_dir / WORK
    shutil.copytree(run_dir / "code" / FOLDER, work, copy_function=shutil.copy, dirs_exist_ok=True)
    os.chdir(work)
    sys.path.insert(0, str(work))
    _provide_cog()
    target = getattr(_load(work / source), entry)
    return call(target, inputs, files, method=method, on_item=on_item)


def _provide_cog() -> None:
    """Let `import cog` work where it is not installed, and `record_metric` reach our curves where it is."""
    try:
        import cog
    except ImportError:
        sys.modules["cog"] = cog_stub
    else:
        cog.current_scope = cog_stub.current_scope
        cog.CancelationException = cog_stub.CancelationException


def _load(path: Path) -> Any:
    name = path.stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path.name} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
