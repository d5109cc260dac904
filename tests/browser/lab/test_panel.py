"""The side panel and the tabs of the main area: what a person does who never types a magic."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from integration_tools import until
from lab_page import LabServer, start_server, stop_server, wait_until_up
from playwright.sync_api import Locator, expect

TRAININGS = """\
import time
import jupyter_ext as jx
from jupyter_ext import log, progress, should_stop

def falling(steps: int = 300, fail: bool = False, endless: bool = False):
    for step in range(steps):
        log({"train/loss": 2 / (2 + step), "val/loss": 2.2 / (2 + step)}, step=step)
        progress(step + 1, steps * (2 if endless else 1))
        if fail and step > 40:
            raise ValueError("the loss is not finite")
    while endless and not should_stop():
        time.sleep(0.02)

ended = jx.train(falling, name="digits-mlp")
failed = jx.train(falling, name="digits-cnn", fail=True)
ended.wait()
while failed.status != "failed":
    time.sleep(0.05)
going = jx.train(falling, name="shakespeare-gpt", endless=True)
ended.id"""


@pytest.fixture(scope="module")
def lab_server(tmp_path_factory: pytest.TempPathFactory, module_engine_home: Any) -> Iterator[LabServer]:
    """Start a JupyterLab whose engine has nothing of other tests: the panel shows everything that there is."""
    server = start_server(tmp_path_factory.mktemp("lab"), module_engine_home.environment)
    try:
        wait_until_up(server)
        yield server
    finally:
        stop_server(server.process)


def show_panel(lab) -> Locator:
    lab.command("jupyter-ext:show-panel")
    panel = lab.page.locator(".jx-side")
    expect(panel).to_be_visible()
    return panel


def row(panel: Locator, name: str) -> Locator:
    return panel.locator(".jx-side-row").filter(has=panel.page.get_by_text(name, exact=True))


def test_the_first_step_is_a_button(lab, lab_server) -> None:
    lab.open(lab_server.write_notebook("first", ""))
    panel = show_panel(lab)
    start = panel.get_by_role("button", name="Start", exact=True)
    engine = panel.locator(".jx-side-state")
    expect(engine).to_have_text(re.compile("Engine"))
    if start.is_visible():
        expect(engine).to_have_text("Engine is not running")
        start.click()
    expect(engine).to_have_text("Engine")
    expect(panel.locator("[data-section=session]")).to_contain_text("No debug session")
    lab.screenshot("panel-empty-light")
    panel.get_by_role("button", name="Insert an example session").click()
    expect(lab.cell(0)).to_contain_text("%load_ext jupyter_ext")
    expect(lab.cell(1)).to_contain_text("%%debug_session first")
    lab.run_cell(0)
    lab.run_cell(1)
    expect(row(panel, "first").locator(".jx-side-facts")).to_contain_text("ready")
    row(panel, "first").locator(".jx-side-main").click(button="right")
    lab.page.get_by_role("menuitem", name="Terminate…").click()
    lab.page.get_by_role("dialog").get_by_role("button", name="Terminate").click()
    expect(row(panel, "first").locator(".jx-side-facts")).to_contain_text("ended")
    assert lab.errors == []


def test_the_panel_is_live_and_acts(lab, lab_server) -> None:
    lab.page.set_viewport_size({"width": 1400, "height": 860})
    lab.open(lab_server.write_notebook("panel", TRAININGS))
    panel = show_panel(lab)
    training_id = lab.run_cell(0).last.inner_text().strip("'")
    going = row(panel, "shakespeare-gpt")
    expect(going).to_have_attribute("data-status", "processing")
    expect(going.locator(".jx-side-facts")).to_contain_text("50 %")
    expect(row(panel, "digits-cnn")).to_have_attribute("data-status", "failed")
    expect(going.locator(".jx-side-curve path")).to_have_attribute("d", re.compile("M.*L"))
    expect(row(panel, "digits-mlp").locator(".jx-side-curve path")).to_have_attribute("d", re.compile("M.*L"))
    row(panel, "digits-mlp").hover()
    lab.screenshot("panel-light")
    lab.set_theme("JupyterLab Dark")
    try:
        lab.screenshot("panel-dark")
    finally:
        lab.set_theme("JupyterLab Light")

    # in the status bar and among what is running
    status = lab.page.locator(".jp-JupyterExt-status button")
    expect(status).to_have_attribute("title", re.compile("1 training runs"))
    lab.command("running:show-panel")
    expect(lab.page.locator(".jp-RunningSessions")).to_contain_text("shakespeare-gpt")
    lab.screenshot("panel-running")
    status.click()
    expect(going).to_be_visible()

    # by keyboard: to a row, its menu, and an action
    names = panel.locator("[data-section=training] .jx-side-name")
    first = names.first.inner_text()
    panel.locator("[data-section=training] .jx-side-main").first.focus()
    lab.page.keyboard.press("ArrowDown")
    lab.page.keyboard.press("ArrowUp")
    focused = lab.page.evaluate("() => document.activeElement.querySelector('.jx-side-name').textContent")
    assert focused == first == "shakespeare-gpt"
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("Enter")
    lab.page.get_by_role("menuitem", name="Cancel", exact=True).click()
    expect(going).to_have_attribute("data-status", "canceled", timeout=30_000)

    # dragged into the notebook, it is the cell that uses it
    num_cells = lab.page.locator(".jp-Notebook .jp-Cell").count()
    box = lab.cell(0).bounding_box()
    row(panel, "digits-mlp").locator(".jx-side-name").hover()
    lab.page.mouse.down()
    lab.page.mouse.move(box["x"] + 200, box["y"] + 40, steps=8)
    lab.page.mouse.move(box["x"] + 200, box["y"] + box["height"] - 4, steps=4)
    lab.page.mouse.up()
    until(
        lambda: lab.page.locator(".jp-Notebook .jp-Cell").count() == num_cells + 1,
        "the cell that was dropped",
    )
    expect(lab.page.locator(".jp-Notebook")).to_contain_text(f'jx.trainings.get("{training_id}")')

    panel.get_by_role("searchbox").fill("mlp")
    expect(panel.locator("[data-section=training] .jx-side-row")).to_have_count(1)
    row(panel, "digits-mlp").locator(".jx-side-main").click()
    tab = lab.page.locator(".jp-JupyterExt-tab:visible")
    expect(tab.locator(".jx-chip")).to_have_text("succeeded")
    expect(tab.locator(".jx-plot[data-lines]").first).to_be_attached()
    lab.screenshot("tab-light")
    row(panel, "digits-mlp").locator(".jx-side-main").click(button="right")
    lab.screenshot("panel-menu-light")
    with lab.page.expect_download() as by_menu:
        lab.page.get_by_role("menuitem", name="Export Metrics as Parquet").click()
    with lab.page.expect_download() as by_tab:
        lab.command("jupyter-ext:export-metrics", format="csv")
    assert by_menu.value.suggested_filename == "digits-mlp.parquet"
    assert by_tab.value.suggested_filename == "digits-mlp.csv"
    table = pq.read_table(by_menu.value.path())
    lines = by_tab.value.path().read_text().splitlines()
    assert lines[0].split(",") == table.column_names == ["metric", "rank", "step", "time", "value"]
    assert len(lines) == table.num_rows + 1
    assert len([line for line in lines if line.startswith("val/loss,0,")]) == 300
    refusal = {"format": "csv", "file": "x.csv", "why_not": "CSV needs what nobody has."}
    exports = re.compile(r"/exports(\?|$)")
    lab.page.route(exports, lambda route: route.fulfill(json={"exports": [refusal]}))
    lab.command("jupyter-ext:export-metrics", format="csv")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("CSV needs what nobody has.")
    lab.screenshot("export-refused-light")
    dialog.locator(".jp-mod-reject").click()
    expect(dialog).to_have_count(0)
    lab.page.unroute(exports)
    lab.page.goto(f"{lab_server.url}lab?token={lab_server.token}&jupyter-ext=training:{training_id}")
    expect(lab.page.locator(".jp-JupyterExt-tab:visible .jx-chip")).to_have_text("succeeded")
    lab.page.wait_for_function("() => !location.search.includes('jupyter-ext')")
    assert lab.errors == []


def test_an_end_out_of_sight_is_told_and_the_title_says_so(lab, lab_server, tmp_path) -> None:
    gate = tmp_path / "gate"
    cell = f"""\
import os, time
import jupyter_ext as jx

def waits():
    while not os.path.exists({str(gate)!r}):
        time.sleep(0.02)

run = jx.train(waits, name="waits")"""
    lab.open(lab_server.write_notebook("told", cell))
    lab.run_cell(0)
    status = lab.page.locator(".jp-JupyterExt-status button")
    expect(status).to_have_attribute("title", re.compile("1 training runs"))
    title = lab.page.title()
    lab.page.evaluate("""() => {
        Object.defineProperty(document, 'visibilityState', {get: () => 'hidden', configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    }""")
    gate.touch()
    expect(lab.page).to_have_title(re.compile("^✓ waits — "))
    lab.page.evaluate("""() => {
        delete document.visibilityState;
        document.dispatchEvent(new Event('visibilitychange'));
    }""")
    expect(lab.page).to_have_title(title)
    told = lab.page.locator(".Toastify__toast").filter(has_text="Training waits succeeded.")
    told.get_by_role("button", name="Open").click()
    expect(lab.page.locator(".jp-JupyterExt-tab:visible .jx-chip")).to_have_text("succeeded")
    assert lab.errors == []
