"""A real JupyterLab in a real Chromium; what it can do stands in tests/support/browser/lab_page.py.

Rule: what a test does not test, it does by JupyterLab's own commands (`Lab.command`), so that a moved button breaks only
the tests about that button. Every wait has a condition and a deadline.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from lab_page import (
    CHROMIUM_FLAGS,
    DEADLINE_S,
    Lab,
    LabServer,
    find_chromium,
    start_server,
    stop_server,
    wait_until_up,
)
from panel_page import EngineOnDisk
from playwright.sync_api import Browser, sync_playwright


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Return the Chromium to test in; without one, tests are skipped, and fail in CI."""
    found = find_chromium()
    if found is None:
        message = "No Chromium: run `make chromium`, or set JUPYTER_EXT_CHROMIUM to the path of one."
        if os.environ.get("CI") == "true":
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Browser]:
    """Return a browser.

    For one module: while Playwright's synchronous door is open, this thread has a running event loop, in which no
    asynchronous test of another folder could run.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def hub() -> Iterator[HubServer]:
    """Return the hub that JupyterLab's engine downloads from."""
    with HubServer() as hub:
        yield hub


@pytest.fixture(scope="session")
def lab_server(browser_engine_home: Any, hub: HubServer) -> Iterator[LabServer]:
    """Start a JupyterLab with directories of its own."""
    home = Path(tempfile.mkdtemp(prefix="jx-lab-", dir="/tmp"))
    models = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "huggingface")}
    server = start_server(home, {**browser_engine_home.environment, **models})
    try:
        wait_until_up(server)
        yield server
    finally:
        stop_server(server.process)
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def engine(lab_server: LabServer, browser_engine_home: Any) -> EngineOnDisk:
    """Return the engine that the JupyterLab of the tests uses."""
    return EngineOnDisk(browser_engine_home.data_dir, browser_engine_home.runtime_dir)


@pytest.fixture
def lab(lab_server: LabServer, chromium: Browser) -> Iterator[Lab]:
    """Return a fresh page, not logged in yet and with nothing open, in the default theme."""
    lab_server.forget_theme()
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(DEADLINE_S * 1000)
    page = context.new_page()
    lab = Lab(page, lab_server)
    lab.listen()
    yield lab
    context.close()
