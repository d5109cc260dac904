"""The user's code in a worker: compiled as Python would, its names found by whatever pickles by name, also in children."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.worker.runtime.user_code import package_of

NOTEBOOK = """
import torch
from torch import nn
from dataclasses import dataclass
from enum import Enum
SCALE = 3
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
def make(): return Net()
def square(x): return x * x * SCALE
def nested(x): return square(x)
@dataclass
class Sample:
    x: object
class Kind(Enum):
    A = 1
class Data(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, i): return Sample(i)
def keep(batch): return batch
"""

RUN = """
import json, os, sys
from pathlib import Path
from jupyter_ext.worker.runtime.spawning import let_children_find
from jupyter_ext.worker.runtime.user_code import UserCode, new_main
if __name__ == "__main__":
    code = UserCode(Path(sys.argv[1]))
    main = new_main()
    let_children_find(code.directory, {"given": 5} if code.kind == "script" else {})
    code.load(main)
    if code.kind == "script":
        code.run_as_script(main, {"given": 5})
    else:
        print(json.dumps(code.function(main)()))
"""


def in_a_worker(
    tmp_path: Path, cell: str, notebook: str = NOTEBOOK, environ: Mapping[str, str] | None = None
) -> str:
    """Capture a cell in a notebook and run it in another process, as a worker does; return what it printed."""
    code = tmp_path / "code"
    code.mkdir()
    text = (
        f"{notebook}\nimport io, sys, zipfile\nfrom jupyter_ext.client.capture.capture import capture_cell\n"
    )
    text += f"bundle = capture_cell({textwrap.dedent(cell)!r}, globals(), 'c', ['given'])\n"
    text += f"zipfile.ZipFile(io.BytesIO(bundle.data)).extractall({str(code)!r})\n"
    subprocess.run([sys.executable, "-c", text], check=True)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(code)], capture_output=True, text=True, timeout=120,
        cwd=tmp_path, env={**os.environ, **(environ or {})},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


REACHED = {
    "torch.save of a model": "import io, torch\ndef train():\n    file = io.BytesIO(); torch.save(make(), file); return 1",
    "pickle of a dataclass": "import pickle\ndef train():\n    return type(pickle.loads(pickle.dumps(Data()[0]))).__name__",
    "an enum": "import pickle\nk = Kind\ndef train():\n    return pickle.loads(pickle.dumps(k.A)).value",
    "a pool": "import multiprocessing as mp\ndef train():\n    with mp.get_context('fork').Pool(2) as pool: return pool.map(nested, [1, 2])",
    "a pool of what is reached": "import multiprocessing as mp\ndef train():\n"
    "    f = nested.__globals__['square']\n    with mp.get_context('fork').Pool(2) as pool: return pool.map(f, [1, 2])",
    "an executor": "from concurrent.futures import ProcessPoolExecutor\ndef train():\n"
    "    with ProcessPoolExecutor(2) as pool: return list(pool.map(square, [1, 2]))",
    "a data loader": "import torch\ndef train():\n"
    "    return [len(b) for b in torch.utils.data.DataLoader(Data(), batch_size=2, num_workers=2, collate_fn=keep)]",
    "a spawned pool": "import multiprocessing as mp\ndef train():\n"
    "    with mp.get_context('spawn').Pool(1) as pool: return pool.map(nested, [1, 2])",
    "a spawned pool of the cell's": "import multiprocessing as mp\ndef own(x): return square(x) + 1\ndef train():\n"
    "    with mp.get_context('spawn').Pool(1) as pool: return pool.map(own, [1, 2])",
    "a forkserver": "import multiprocessing as mp\ndef train():\n"
    "    with mp.get_context('forkserver').Pool(1) as pool: return pool.map(square, [1, 2])",
}  # fmt: skip
EXPECTED = {
    "torch.save of a model": 1,
    "pickle of a dataclass": "Sample",
    "an enum": 1,
    "a data loader": [2, 2],
    "a spawned pool of the cell's": [4, 13],
}


@pytest.mark.parametrize("name", list(REACHED))
def test_names_that_are_reached_by_value_are_found_by_name(name: str, tmp_path: Path) -> None:
    assert json.loads(in_a_worker(tmp_path, REACHED[name])) == EXPECTED.get(name, [3, 12])


def test_children_of_a_script_have_its_names_and_inputs(tmp_path: Path) -> None:
    cell = """
    import multiprocessing as mp
    total = given * SCALE
    def work(x): return square(x) + total
    if __name__ == "__main__":
        with mp.get_context("spawn").Pool(1) as pool:
            print(pool.map(work, [1, 2]))
    """
    assert in_a_worker(tmp_path, cell).strip() == "[18, 27]"


FUTURES: dict[str, tuple[str, Any]] = {
    "a dataclass": ("import dataclasses\n@dataclasses.dataclass\nclass C:\n    a: int\n"
                    "def train(): return dataclasses.fields(C)[0].type.__name__", "int"),
    "a function": ("def f(a: int): ...\ndef train(): return f.__annotations__['a'].__name__", "int"),
    "a future of its own": ("from __future__ import annotations\ndef f(a: int): ...\ndef train(): return f.__annotations__['a']", "int"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(FUTURES))
def test_code_is_compiled_without_our_future_imports(name: str, tmp_path: Path) -> None:
    cell, expected = FUTURES[name]
    assert json.loads(in_a_worker(tmp_path, cell, notebook="")) == expected


def test_nothing_that_runs_the_users_code_inherits_our_future_imports() -> None:
    worker = Path(sys.modules["jupyter_ext"].__file__ or "").parent / "worker"
    compiling = [
        f"{path.name}: {line.strip()}"
        for path in worker.rglob("*.py")
        for line in path.read_text().splitlines()
        if " compile(" in f" {line.replace('(compile', ' compile')}"
        and "re.compile" not in line
        and "dont_inherit=True" not in line
    ]
    assert compiling == []


def test_a_cell_awaits_at_its_top_level_as_in_the_notebook(tmp_path: Path) -> None:
    cell = """
import asyncio
async def get():
    await asyncio.sleep(0)
    return 4
found = await get()
async for number in aiter_of(2):
    found += number
def train():
    return found, asyncio.run(get())
"""
    notebook = "async def aiter_of(n):\n    for number in range(n):\n        yield number\n"
    assert in_a_worker(tmp_path, cell, notebook).strip() == "[5, 4]"


def test_a_cell_has_no_file_as_in_the_notebook(tmp_path: Path) -> None:
    assert (
        in_a_worker(tmp_path, "print('__file__' in globals(), __name__, given)", notebook="").strip()
        == "False __main__ 5"
    )


@pytest.mark.parametrize(
    ("text", "folder", "package"),
    [
        ("import data\n", "project/pkg/sub", ""),
        ("from . import data\n", "project", "pkg.sub"),
        ("def f():\n    from ..data import load\n", "project", "pkg.sub"),
        ("from .... import far\n", "", ".".join(["pkg", "sub"])),
    ],
)
def test_a_script_with_relative_imports_is_a_module_of_its_package(
    tmp_path: Path, text: str, folder: str, package: str
) -> None:
    script = tmp_path / "project" / "pkg" / "sub" / "train.py"
    script.parent.mkdir(parents=True)
    (script.parent / "__init__.py").touch()
    (script.parents[1] / "__init__.py").touch()
    script.write_text(text)
    found = package_of(str(script), script)
    if folder:
        assert found == (str(tmp_path / folder), package)
    else:  # as many packages as it asks for, though nothing marks them as such
        assert found[1].endswith(package)
        assert found[1].count(".") == 3


def test_a_folder_that_is_no_name_is_no_package(tmp_path: Path) -> None:
    script = tmp_path / "my project" / "train.py"
    script.parent.mkdir()
    script.write_text("from .data import load")
    assert package_of(str(script), script) == (str(script.parent), "")
