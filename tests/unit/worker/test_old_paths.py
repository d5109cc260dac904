"""Bundles name what they take from this package by paths that last."""

from __future__ import annotations

import importlib
import json
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

import jupyter_ext as jx
from jupyter_ext import Input
from jupyter_ext.worker.runtime import old_paths

STANDARD_LIBRARY_ONLY = """
import pickle, sys
from pathlib import Path

root, code = sys.argv[1:]
sys.path.insert(0, root)
import jupyter_ext

assert not any(type(finder).__module__.startswith("jupyter_ext") for finder in sys.meta_path)
from jupyter_ext.worker.runtime.user_code import UserCode

UserCode(Path(code))
import jupyter_ext.worker.checkpoint
from jupyter_ext.worker.reporter import log

assert log is jupyter_ext.log
assert jupyter_ext.worker.checkpoint is jupyter_ext.checkpoint
assert pickle.loads(b"cjupyter_ext.worker.reporter\\nprogress\\n.") is jupyter_ext.progress
assert pickle.loads(b"cjupyter_ext.worker.inputs\\nInput\\n.") is jupyter_ext.Input
try:
    import jupyter_ext.worker.none
except ModuleNotFoundError as error:
    assert error.name == "jupyter_ext.worker.none"
else:
    raise AssertionError("it found a module that never was")
"""


@pytest.fixture
def _installed() -> Any:
    before = list(sys.meta_path)
    old_paths.install()
    old_paths.install()
    assert len(sys.meta_path) == len(before) + (old_paths._finder not in before)
    yield
    sys.meta_path[:] = before
    for name in old_paths.MOVED:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("_installed")
@pytest.mark.parametrize("old", old_paths.MOVED)
def test_each_old_path_leads_to_a_module(old: str) -> None:
    found = importlib.import_module(old)
    assert found is importlib.import_module(old_paths.MOVED[old])
    assert found.__spec__ is not None
    assert found.__spec__.name == old_paths.MOVED[old]
    for name in old_paths.RENAMED.get(old, {}):
        assert hasattr(found, name)


def test_old_paths_resolve_with_the_standard_library_alone(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(
        json.dumps({"kind": "function", "entry": "train", "label": "train"})
    )
    root = str(Path(jx.__file__).parents[1])
    subprocess.run([sys.executable, "-I", "-S", "-c", STANDARD_LIBRARY_ONLY, root, str(tmp_path)], check=True)


def test_new_bundles_name_what_stays() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    text = "from jupyter_ext import Input, checkpoint, log, log_many, progress, should_stop\n"
    text += (
        "def f(a=Input(1, ge=1), b=Input(description='needed')):\n    log(a=a)\n    log_many('b', [], [])\n"
    )
    text += "    progress(1)\n    return should_stop(), checkpoint.latest(), saved\nsaved = checkpoint.save"
    exec(text, names)
    data = cloudpickle.dumps(names["f"], protocol=5)
    named = {text for _, text, _ in pickletools.genops(data) if str(text).startswith("jupyter_ext")}
    assert named == {"jupyter_ext", "jupyter_ext.checkpoint"}
    assert pickle.loads(data).__defaults__ == names["f"].__defaults__


@pytest.mark.parametrize(
    "given", [{}, {"default": None}, {"default": 3, "ge": 1}, {"choices": ["a", "b"], "description": "which"}]
)
def test_constraints_of_an_input_survive_a_pickle(given: dict[str, Any]) -> None:
    spec = Input(**given)
    copied = pickle.loads(pickle.dumps(spec))
    assert copied == spec
    assert copied.default is spec.default


def test_public_names_are_what_is_called_so() -> None:
    assert all(callable(value) for value in (jx.form, jx.train, jx.debug, jx.log, jx.Input))
    assert isinstance(jx.checkpoint, ModuleType)
