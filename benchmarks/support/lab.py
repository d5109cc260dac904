"""One page that shows JupyterLab in Chromium, by means of the browser tests."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "tests" / "support" / name) for name in ("browser", ".")]

from integration_tools import until
from lab_page import CHROMIUM_FLAGS, Lab, find_chromium, start_server, stop_server, wait_until_up
from panel_page import DRAWN, PanelPage
from playwright.sync_api import CDPSession, Locator, expect, sync_playwright

__all__ = ["CDPSession", "DRAWN", "IDLE", "Lab", "Locator", "PanelPage", "expect", "page", "task_s", "until"]

IDLE = """seconds => new Promise(resolve => {
    const began = performance.now();
    let frames = 0;
    const frame = now => {
        frames += 1;
        if (now - began < 1000 * seconds) requestAnimationFrame(frame); else resolve(frames / (now - began) * 1000);
    };
    requestAnimationFrame(frame);
})"""
"""JavaScript that gives the frames per second of a page in which nothing happens."""


@contextmanager
def page(height: int = 900, width: int = 1280) -> Iterator[Lab]:
    """Open a page on a server of its own; its engine is the one that this process would find or start."""
    chromium = find_chromium()
    if chromium is None:
        raise RuntimeError("There is no Chromium: run `make chromium`, or name one in JUPYTER_EXT_CHROMIUM.")
    with tempfile.TemporaryDirectory(prefix="jx-", ignore_cleanup_errors=True) as directory:
        server = start_server(Path(directory), dict(os.environ))
        try:
            wait_until_up(server)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
                yield Lab(browser.new_page(viewport={"width": width, "height": height}), server)
                browser.close()
        finally:
            stop_server(server.process)


def task_s(session: CDPSession) -> float:
    """Return the seconds that the page's main thread has worked."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(item["value"] for item in metrics if item["name"] == "TaskDuration"))
