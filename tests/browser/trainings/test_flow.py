"""Issue 3 as a person does it: a form, a live panel, cancel, resume with one curve, and the table of all runs."""

from __future__ import annotations

import re

import pytest
from integration_tools import until
from panel_page import READ_CURVES, PanelPage
from playwright.sync_api import Locator, expect

CELL = """\
%%train digits --form
import time
from jupyter_ext import Input, checkpoint, log, progress

def train(
    lr: float = Input(0.02, gt=0, le=1, description="learning rate of SGD"),
    steps: int = Input(120, ge=1, le=1000),
    hold: int = Input(-1, description="stay at this step until told to stop"),
):
    found = checkpoint.latest()
    first = found.load()["step"] + 1 if found else 0
    for step in range(first, steps):
        log({"train/loss": 2 / (1 + lr * step), "test/loss": 2.2 / (1 + lr * step), "test/accuracy": step / steps}, step=step)
        if step % 20 == 19:
            checkpoint.save({"step": step}, step=step)
        if step % 10 == 0:
            print(f"step {step}")
        progress(step + 1, steps)
        while step == hold and not found:
            time.sleep(0.01)
    return {"steps": steps}"""


def row_of(table: Locator, id_: str) -> Locator:
    return table.locator(f"tbody tr[data-id='{id_}']")


def ids(table: Locator) -> list[str]:
    found: list[str] = table.locator("tbody tr").evaluate_all("rows => rows.map(row => row.dataset.id)")
    return found


@pytest.fixture
def page_of_own(lab):
    lab.page.set_viewport_size({"width": 1360, "height": 1500})
    yield lab
    lab.set_theme("JupyterLab Light")


def test_from_the_form_to_the_table(page_of_own, lab_server, engine) -> None:
    lab = page_of_own
    path = lab_server.write_notebook("flow", "%load_ext jupyter_ext", CELL, "%trainings")
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    form = lab.cell(1).locator(".jx-form")
    form.get_by_label("hold").fill("70")
    expect(form.locator("code")).to_have_text("%%train digits -i hold=70")
    form.get_by_role("button", name="Launch").click()

    panel = PanelPage(lab.cell(1).locator(".jx-panel"))
    panel.wait_status("processing")
    panel.wait_points("loss/train", 71)
    first = panel.training_id()
    expect(panel.part(".jx-header").get_by_role("button", name="Resume")).to_be_hidden()
    panel.root.get_by_role("button", name="Cancel", exact=True).click()
    panel.wait_status("canceled")
    panel.part(".jx-details summary").click()
    expect(panel.part(".jx-details")).to_contain_text(
        re.compile(r"Checkpointstep 59, .* ago|Checkpointstep 59, just now")
    )
    lab.screenshot("flow-canceled-light", lab.cell(1))

    panel.root.get_by_role("button", name="Resume").click()
    expect(panel.part(".jx-id")).not_to_have_attribute("title", first)
    panel.wait_status("succeeded")
    resumed = panel.training_id()
    until(lambda: panel.num_points("loss/train") == 120, "one curve over both runs")
    assert panel.curves()["loss/train"].x == list(range(120))
    expect(panel.part(".jx-messages")).to_contain_text(f"Resumed from {first[:10]} at step 59.")
    assert engine.get(f"/native/trainings/{resumed}")["resumed_from"]["id"] == first
    panel.root.get_by_role("button", name="Show it").click()
    before = PanelPage(panel.part(".jx-before .jx-panel"))
    before.wait_status("canceled")
    expect(before.root.get_by_role("button", name="Resume")).to_be_hidden()
    lab.screenshot("flow-resumed-light", lab.cell(1))
    panel.root.get_by_role("button", name="Hide it").click()
    expect(before.root).to_have_count(0)

    lab.run_cell(2)
    table = lab.cell(2).locator(".jx-runs")
    expect(row_of(table, resumed)).to_be_visible()
    row_of(table, resumed).get_by_role("checkbox").check()
    table.get_by_role("button", name="Run again…").click()
    again = table.get_by_role("form", name="Run again")
    again.get_by_label("lr").fill("7")
    again.get_by_role("button", name="Start").click()
    expect(again.get_by_role("alert")).to_contain_text("lr=7: input should be less than or equal to 1")
    lab.screenshot("flow-again-wrong-light", lab.cell(2))
    again.get_by_label("lr").fill("0.1")
    again.get_by_label("hold").fill("-1")
    expect(again.locator(".jx-again-told")).to_have_text("with another lr, hold")
    again.get_by_role("button", name="Start").click()
    opened = PanelPage(table.locator(".jx-runs-panel .jx-panel"))
    opened.wait_status("succeeded", 60)
    changed = opened.training_id()
    assert engine.get(f"/native/trainings/{changed}")["input"]["lr"] == 0.1

    table.get_by_label("Filter by name, id or tag").fill("digits")
    until(lambda: {first, resumed, changed} <= set(ids(table)), "all three")
    table.get_by_role("button", name="best test/loss").click()
    until(lambda: ids(table)[0] == changed, "the smallest loss first")
    row_of(table, changed).get_by_label("Edit tags of digits").click()
    table.get_by_label("tags of digits", exact=True).fill("flow")
    table.get_by_label("tags of digits", exact=True).press("Enter")
    expect(row_of(table, changed)).to_contain_text("flow")
    row_of(table, changed).get_by_label("Edit notes of digits").click()
    table.get_by_label("notes of digits", exact=True).fill("faster")
    table.get_by_label("notes of digits", exact=True).press("Enter")
    expect(row_of(table, changed)).to_contain_text("flow")
    expect(row_of(table, changed)).to_contain_text("faster")

    table.get_by_role("button", name="Clear").click()
    for one in (resumed, changed):
        row_of(table, one).get_by_role("checkbox").check()
    table.get_by_role("button", name="Compare").click()
    compare = table.locator(".jx-compare")
    until(lambda: len(compare.evaluate(READ_CURVES)) >= 4, "curves of both")
    expect(compare.get_by_role("table", name="Inputs that differ")).to_contain_text("lr")
    lab.screenshot("flow-table-light", lab.cell(2))
    lab.set_theme("JupyterLab Dark")
    lab.screenshot("flow-table-dark", lab.cell(2))
    lab.screenshot("flow-panel-dark", lab.cell(1))
    lab.page.set_viewport_size({"width": 760, "height": 1700})
    until(lambda: table.evaluate("root => root.clientWidth") < 620, "a narrow table")
    lab.screenshot("flow-table-narrow-dark", lab.cell(2))
    lab.screenshot("flow-panel-narrow-dark", lab.cell(1))
    lab.page.set_viewport_size({"width": 1360, "height": 1500})

    table.get_by_role("button", name="Clear").click()
    row_of(table, changed).get_by_role("checkbox").check()
    table.get_by_role("button", name="Delete…").click()
    table.get_by_role("button", name="Delete", exact=True).click()
    expect(row_of(table, changed)).to_have_count(0)
    assert changed not in [item["id"] for item in engine.get("/native/trainings")["trainings"]]

    lab.save()
    lab.reload()
    panel = PanelPage(lab.cell(1).locator(".jx-panel"))
    expect(panel.part(".jx-id")).to_have_attribute("title", resumed)
    # the wrong input was refused by the engine, which a browser writes into its console
    assert [error for error in lab.errors if "422" not in error] == []
