"""What a notebook has and pickle cannot: each arrives as something that does the same, and the code that travels is noted."""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
import typing
from typing import Any

import pytest
import torch
from IPython.core import interactiveshell
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.interactiveshell import InteractiveShell

from jupyter_ext.client.capture.pickler import NotebookPickler

NOTEBOOK = """
import functools, typing
@functools.lru_cache(maxsize=7, typed=True)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def uses(n): return fib(n)
class Tokens:
    @functools.cache
    def load(self): return [1, 2]
tokens = Tokens()
Step = typing.NewType("Step", int)
def double(x): return x * 2
"""


@functools.cache
def importable() -> int:
    return 3


def there_and_back(value: Any) -> Any:
    file = io.BytesIO()
    NotebookPickler(file).dump(value)
    return pickle.loads(file.getvalue())


@pytest.fixture
def notebook() -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(NOTEBOOK, "<cell 1>", "exec"), names)
    return names


def test_cached_functions_travel_with_their_cache(notebook: dict[str, Any]) -> None:
    fib = there_and_back(notebook["fib"])
    assert fib(30) == 832040
    assert (fib.__name__, fib.cache_parameters()) == ("fib", {"maxsize": 7, "typed": True})
    assert fib.__wrapped__.__globals__["fib"] is fib
    assert there_and_back(notebook["uses"])(10) == 55
    assert there_and_back(notebook["tokens"]).load() == [1, 2]
    assert there_and_back(importable) is importable


def test_new_types_travel(notebook: dict[str, Any]) -> None:
    step = there_and_back(notebook["Step"])
    assert isinstance(step, typing.NewType)
    assert (step(3), step.__name__) == (3, "Step")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_compiled_code_travels(notebook: dict[str, Any]) -> None:
    compiled = torch.compile(notebook["double"], backend="eager")
    assert there_and_back(compiled)._torchdynamo_orig_callable(4) == 8
    assert there_and_back(torch.jit.script(scripted))(torch.ones(2)).tolist() == [2.0, 2.0]
    module = there_and_back(torch.jit.script(torch.nn.Linear(2, 1)))
    assert module(torch.ones(3, 2)).shape == (3, 1)


def scripted(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_a_loader_leaves_its_running_workers_behind() -> None:
    loader: Any = torch.utils.data.DataLoader([1, 2, 3], batch_size=2)
    loader._iterator = running = threading.Lock()
    arrived = there_and_back(loader)
    assert arrived._iterator is None
    assert [len(batch) for batch in arrived] == [2, 1]
    assert loader._iterator is running


def test_names_of_ipython_arrive_as_what_python_has() -> None:
    shell = InteractiveShell.__new__(InteractiveShell)
    with pytest.raises(NameError, match=r"cannot run commands with % or !"):
        there_and_back(shell.get_ipython)()
    assert there_and_back(ZMQExitAutocall(shell)) is sys.exit
    assert there_and_back(interactiveshell._modified_open) is open


def test_all_code_of_the_notebook_is_noted() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, text in enumerate(
        ("def inner(x): return 1 / x", "def middle(x): return inner(x)", "def fit(): return middle(0)")
    ):
        exec(compile(text, f"<cell {number}>", "exec"), names)
    pickler = NotebookPickler(io.BytesIO())
    pickler.dump([names["fit"]])
    assert pickler.filenames == {"<cell 0>", "<cell 1>", "<cell 2>"}
