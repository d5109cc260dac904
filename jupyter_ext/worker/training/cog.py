"""Run the trainer of a Cog project folder, without Docker. Standard library only.

The folder's files are copied into the run's `work/`, which is the working directory and comes first on `sys.path`: code
finds its files as in Cog's image, and what it writes stays with the run.

Source: Cog's docs, "Training API" and "Python reference".
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from jupyter_ext.worker.runtime import arguments as calling
from jupyter_ext.worker.training import cog_stub

FOLDER = "folder"
"""Of the bundle: the project's files."""
WORK = "work"


def run(run_dir: Path, source: str, entry: str, inputs: Mapping[str, Any]) -> Any:
    """Call the trainer.

    Args:
        run_dir: The run's directory, with `code/folder/`.
        source: The trainer's file, relative to the folder.
        entry: Its function, or class with `train()`.
        inputs: JSON values, secrets in clear.

    Returns:
        What it returned; of a generator all of it, as a list.
    """
    files = calling.Files(Path.cwd(), run_dir / "inputs", must_exist=True)
    work = run_dir / WORK
    shutil.copytree(run_dir / "code" / FOLDER, work, copy_function=shutil.copy, dirs_exist_ok=True)
    os.chdir(work)
    sys.path.insert(0, str(work))
    _provide_cog()
    target: Any = getattr(_load(work / source), entry)
    with asyncio.Runner() as loop:
        if inspect.isclass(target):
            instance: Any = target()
            _set_up(instance, loop)
            target = instance.train
        return _finish(target(**calling.arguments(target, inputs, files)), loop)


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


def _set_up(instance: Any, loop: asyncio.Runner) -> None:
    setup = getattr(instance, "setup", None)
    if setup is None:
        return
    weights = {}
    if "weights" in inspect.signature(setup).parameters:
        weights["weights"] = os.environ.get("COG_WEIGHTS")
    _finish(setup(**weights), loop)


def _finish(result: Any, loop: asyncio.Runner) -> Any:
    """Give the result of a call, be it one of an async function or of a generator."""
    if inspect.iscoroutine(result):
        result = loop.run(result)
    if isinstance(result, AsyncIterator):
        return loop.run(_all(result))
    return list(result) if isinstance(result, Iterator) else result


async def _all(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]
