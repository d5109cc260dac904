"""What importing costs: which modules come along, told by a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

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
