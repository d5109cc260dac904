"""The main file of a process that a training has spawned: it becomes what the training's own `__main__` is. Standard library only."""

import importlib.util
import sys
from pathlib import Path


def _adopt() -> None:
    """Make `jupyter_ext` importable from here, the engine's own copy, as `worker/bootstrap.py` does."""
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        "jupyter_ext", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no jupyter_ext in {root}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["jupyter_ext"] = module
    spec.loader.exec_module(module)


if __name__ == "__mp_main__":
    if "jupyter_ext" not in sys.modules:
        _adopt()
    from jupyter_ext.worker.runtime.spawning import load_in_child

    load_in_child(globals())
