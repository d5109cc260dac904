"""Let processes that a training spawns find its `__main__`: the code, with the notebook's names and the inputs.

`multiprocessing` starts a spawned child by running the parent's main file again. That file is the cell alone: names that travelled
beside it are missing there, and a function has no file at all. So it is given a file that loads all of it. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from multiprocessing import spawn
from pathlib import Path
from types import ModuleType
from typing import Any

from jupyter_ext.worker.runtime.user_code import UserCode

MAIN_FILE = str(Path(__file__).with_name("spawned_main.py"))
_VARIABLE = "JUPYTER_EXT_SPAWNED_CODE"
_plain_preparation_data = spawn.get_preparation_data


def let_children_find(code_dir: Path, inputs: Mapping[str, object]) -> None:
    """Have spawned children load code; they find out where by an environment variable.

    Args:
        code_dir: The unpacked bundle.
        inputs: Variables of a script, without secrets: those are in no environment.
    """
    os.environ[_VARIABLE] = json.dumps({"code": str(code_dir), "inputs": dict(inputs)})
    spawn.get_preparation_data = _preparation_data


def load_in_child(namespace: dict[str, Any]) -> None:
    """Load in a spawned child what its parent runs.

    Args:
        namespace: The variables of what becomes the child's `__main__`; the code's are added.
    """
    found = json.loads(os.environ[_VARIABLE])
    spawn.get_preparation_data = _preparation_data  # for children of its own
    code = UserCode(Path(found["code"]))
    main = ModuleType("__mp_main__")
    main.__dict__["__builtins__"] = __builtins__
    loading = sys.modules.get("__main__")
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main
    try:
        code.load(main)
        if code.kind == "script":
            code.run_as_script(main, found["inputs"])
        elif code.kind == "function":
            vars(main).setdefault(code.entry, code.function(main))
    finally:
        if loading is not None:
            sys.modules["__main__"] = loading
    namespace.update(
        {name: value for name, value in vars(main).items() if name not in ("__name__", "__spec__")}
    )


def _preparation_data(name: str) -> dict[str, Any]:
    data: dict[str, Any] = _plain_preparation_data(name)
    data.pop("init_main_from_name", None)
    data["init_main_from_path"] = MAIN_FILE
    return data
