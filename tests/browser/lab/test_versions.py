"""The oldest JupyterLab and Notebook that are supported run the wheel, installed without Node, with the newest of all else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab_page import DEADLINE_S, Lab, LabServer, start_server, stop_server, wait_until_up
from playwright.sync_api import Browser, expect

ROOT = Path(__file__).parents[3]
OLDEST = ("jupyterlab==4.4.*", "notebook==7.4.*")
PLUGINS = ("settings", "tabs", "panel", "start", "templates", "doctor", "plots", "marks", "notifications")
NOTEBOOKS_OWN_ERROR = "Command 'filebrowser:open-path' not registered"
"""Of Notebook 7.4 when a notebook is opened by its address."""
pytestmark = pytest.mark.timeout(300)  # the first one makes the environment
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def oldest_python() -> Iterator[Path]:
    """Give the Python of an environment with these two and the wheel, which borrows everything else from this one."""
    home = Path(tempfile.mkdtemp(prefix="jx-oldest-", dir="/tmp"))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    python = home / "venv" / "bin" / "python"
    install = [*PIP, "--python", str(python), "install", "-q", "--no-deps"]
    installed = subprocess.run([*install, *OLDEST], capture_output=True, text=True, timeout=100)
    if installed.returncode != 0:
        shutil.rmtree(home)
        pytest.skip(f"the package index has no {' or '.join(OLDEST)}: {installed.stderr[-300:]}")
    build = [
        *PIP,
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        home / "dist",
        ROOT,
    ]
    subprocess.run(build, check=True, capture_output=True, env={**os.environ, "PATH": without_node(home)})
    (wheel,) = (home / "dist").glob("*.whl")
    subprocess.run([*install, "--no-index", str(wheel)], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    borrowed = dict.fromkeys([sysconfig.get_path("purelib"), sysconfig.get_path("platlib")])
    # a .pth line adds a folder without reading the .pth files in it, which is what the editable install there is
    (home / "venv" / "lib" / version / "site-packages" / "borrowed.pth").write_text("\n".join(borrowed))
    yield python
    shutil.rmtree(home, ignore_errors=True)


def without_node(home: Path) -> str:
    """Make a folder with the few programs that a build needs."""
    folder = home / "bin"
    folder.mkdir()
    for name in ("sh", "env", "git", "uname"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    assert shutil.which("node", path=str(folder)) is None
    return str(folder)


@pytest.fixture(scope="module")
def oldest_server(oldest_python: Path, browser_engine_home: Any) -> Iterator[LabServer]:
    home = Path(tempfile.mkdtemp(prefix="jx-lab-", dir="/tmp"))
    paths = borrow_files(home)
    server = start_server(home, {**browser_engine_home.environment, **paths}, python=oldest_python)
    try:
        wait_until_up(server)
        yield server
    finally:
        stop_server(server.process)
        shutil.rmtree(home, ignore_errors=True)


def borrow_files(home: Path) -> dict[str, str]:
    """Link what other packages here have for Jupyter, kernels and extensions, but not the extension under test."""
    share, config = home / "share", home / "etc"
    for source, target in (
        (Path(sys.prefix, "share/jupyter/kernels"), share / "kernels"),
        (Path(sys.prefix, "share/jupyter/labextensions"), share / "labextensions"),
        (Path(sys.prefix, "etc/jupyter/jupyter_server_config.d"), config / "jupyter_server_config.d"),
    ):
        target.mkdir(parents=True)
        for path in source.iterdir():
            if path.stem.replace("-", "_") != "jupyter_ext":
                (target / path.name).symlink_to(path)
    return {"JUPYTER_PATH": str(share), "JUPYTER_CONFIG_PATH": str(config)}


def test_the_extension_is_listed_and_enabled(oldest_python: Path, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": str(tmp_path)}
    listed = subprocess.run(
        [oldest_python, "-m", "jupyterlab.labextensions", "list"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", listed.stdout + listed.stderr)
    (line,) = [line for line in text.splitlines() if "jupyter-ext " in line]
    assert "enabled" in line, text
    assert "OK" in line, text


@pytest.mark.parametrize("address", ["lab/tree", "notebooks"])
def test_the_oldest_lab_and_notebook_run_the_extension(
    oldest_server: LabServer,
    oldest_python: Path,
    browser_engine_home: Any,
    chromium: Browser,
    tmp_path: Path,
    address: str,
) -> None:
    path = oldest_server.write_notebook("oldest", "def train(n: int = 2):\n    return n")
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(DEADLINE_S * 1000)
    lab = Lab(context.new_page(), oldest_server)
    lab.listen()
    lab.page.goto(f"{oldest_server.url}{address}/{path}?token={oldest_server.token}", wait_until="commit")
    lab.page.wait_for_function("() => window.jupyterapp !== undefined", timeout=DEADLINE_S * 1000)
    lab.evaluate("app => app.restored")
    expect(lab.page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=DEADLINE_S * 1000)
    version = lab.evaluate("app => app.version")
    assert version.startswith(("4.4.", "7.4.")), version
    missing = lab.evaluate(
        "(app, names) => names.filter(name => !app.isPluginActivated(`jupyter-ext:${name}`))", [*PLUGINS]
    )
    assert missing == []
    lab.cell(0).locator(".jp-InputPrompt").click()
    lab.cell(0).locator(".jp-cell-toolbar [data-command='jupyter-ext:train-cell']").click()
    form = lab.page.locator(".jp-JupyterExt-form:visible .jx-form")
    expect(form.get_by_label("n", exact=True)).to_have_value("2")
    form.get_by_role("button", name="Train").click()
    chip = lab.page.locator(".jp-JupyterExt-tab:visible .jx-chip").first
    expect(chip).to_have_text("succeeded", timeout=DEADLINE_S * 1000)
    lab.screenshot(f"oldest-{address.partition('/')[0]}-light")
    # of what another has started the page hears too, and looks whether it shows that
    (tmp_path / "others.py").write_text("print('trained')")
    others = [
        oldest_python,
        "-c",
        "import jupyter_ext as jx; print(jx.train('others.py', name='others').wait().status)",
    ]
    environment = {**os.environ, **browser_engine_home.environment}
    ended = subprocess.run(others, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert ended.stdout.strip() == "succeeded", ended.stderr
    if address == "lab/tree":
        status = lab.page.locator(".jp-JupyterExt-status button")
        expect(status).not_to_have_attribute("title", re.compile("[1-9] trainings? run"))
    context.close()
    assert [error for error in lab.errors if NOTEBOOKS_OWN_ERROR not in error] == []
