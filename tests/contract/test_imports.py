"""What importing costs: which modules come along, told by a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "plotly", "ipywidgets", "anywidget", "pandas", "pyarrow", "httpx", "numpy")


def modules_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint('|'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    return set(result.stdout.strip().splitlines()[-1].split("|"))


def test_import_brings_nothing_heavy() -> None:
    found = modules_after("import jupyter_ext")
    assert not found.intersection(HEAVY)
    assert {name for name in found if name.startswith("jupyter_ext")} == {"jupyter_ext"}


def test_what_training_code_imports_is_standard_library_only() -> None:
    found = modules_after("import site\nfrom jupyter_ext import log, progress, should_stop, Input, log_many")
    outside = found - set(sys.stdlib_module_names) - {"sitecustomize", "__main__"}
    ours = {"jupyter_ext"}
    assert {name.split(".")[0] for name in outside} - set(
        sys.stdlib_module_names
    ) - ours <= allowed_at_startup()


def allowed_at_startup() -> set[str]:
    """Name what site-packages' own .pth files import into every interpreter."""
    return {name.split(".")[0] for name in modules_after("import site")}


def test_loading_the_extension_imports_no_torch_plotly_or_widgets_on_the_way() -> None:
    code = """
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
from jupyter_ext.magics import warmup
warmup.begin = lambda: None
shell.run_line_magic('load_ext', 'jupyter_ext')
"""
    assert not modules_after(code).intersection(
        {"torch", "plotly", "ipywidgets", "anywidget", "pandas", "httpx"}
    )


@pytest.mark.parametrize("module", ["jupyter_ext.engine.app", "jupyter_ext.client.trainings.api"])
def test_engine_and_client_import_no_torch(module: str) -> None:
    assert not modules_after(f"import {module}").intersection(
        {"torch", "pandas", "pyarrow", "plotly", "ipywidgets"}
    )


IDLE_ENGINE = """
import asyncio, sys
from pathlib import Path
from jupyter_ext.config import EngineSettings, Locations
from jupyter_ext.engine.app import Engine
from jupyter_ext.ipc import private_sockets

async def run():
    where = Locations(Path({data!r}), Path({run!r}))
    where.make()
    engine = Engine(where, EngineSettings(idle_s=600, preload=()))
    engine.environments.get = lambda python: None
    await engine.run(private_sockets.listen(where.socket), lambda: engine.end("is ready"))

asyncio.run(run())
"""
LATE = (
    "numpy",
    "httpx",
    "rich",
    "websockets.asyncio.client",
    "pyarrow",
    "pandas",
    "torch",
    "safetensors",
    "cryptography",
    "optuna",
    "ray",
)
"""What an engine loads when a run, a service or a model first needs it: numpy alone is 11 MiB, httpx 6."""
MAX_MODULES = 800
"""Of an engine that does nothing, beyond Python's own at its start; 787 when this was written, 790 beside the packages of `make bench`."""


def test_an_idle_engine_has_loaded_only_what_it_needs(tmp_path: Path) -> None:
    """What is here is resident for as long as the user is logged in: see docs/architecture/14-performance.md."""
    found = modules_after(IDLE_ENGINE.format(data=str(tmp_path / "data"), run=str(tmp_path / "run")))
    assert "jupyter_ext.engine.trainings.service" in found, "the engine did not run"
    assert not found.intersection(LATE)
    found -= modules_after("pass")
    assert len(found) <= MAX_MODULES, sorted(found)
