"""Started by path in the user's interpreter: `bootstrap.py ROOT zygote FD MODULE,…` or `bootstrap.py ROOT shim` (spec on stdin).

Makes `jupyter_ext` importable from ROOT, the engine's own copy, without putting ROOT's neighbours on `sys.path`.
"""

import importlib.util
import json
import os
import sys


def _adopt(root: str) -> None:
    spec = importlib.util.spec_from_file_location(
        "jupyter_ext", f"{root}/__init__.py", submodule_search_locations=[root]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"no jupyter_ext in {root}")
    module = importlib.util.module_from_spec(spec)
    sys.modules["jupyter_ext"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    if sys.path[0] == os.path.dirname(os.path.abspath(__file__)):  # not so under PYTHONSAFEPATH
        del sys.path[0]
    _adopt(sys.argv[1])
    if sys.argv[2] == "zygote":
        from jupyter_ext.worker import zygote

        zygote.main(int(sys.argv[3]), [name for name in sys.argv[4].split(",") if name])
    else:
        from jupyter_ext.worker import shim

        shim.run(json.load(sys.stdin))
