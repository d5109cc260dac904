"""The table of runs: live, found, sorted, labelled, compared, run again and deleted, and there without a kernel."""

from __future__ import annotations

from integration_tools import until
from panel_page import DRAWN, READ_CURVES
from playwright.sync_api import Locator, expect

SEVERAL = """\
import jupyter_ext as jx
import math, time
from jupyter_ext import log, progress

def digits(lr: float, optimizer: str = "adam", epochs: int = 3, slow: bool = False):
    for step in range(60):
        log({"train/loss": 2 * math.exp(-step * lr), "test/loss": 2.2 * math.exp(-step * lr) + 0.1,
             "test/accuracy": 1 - math.exp(-step * lr)}, step=step)
        progress(step + 1, 60)
    while slow:
        time.sleep(0.01)

runs = [jx.train(digits, lr=lr, name=f"digits-{n}") for n, lr in enumerate((0.02, 0.1, 0.05))]
[run.wait() for run in runs]
slow = jx.train(digits, lr=0.01, name="slow", slow=True)"""


def row_of(table: Locator, name: str) -> Locator:
    return table.locator("tbody tr").filter(has=table.page.get_by_role("button", name=name, exact=True))


def names(table: Locator) -> list[str]:
    return table.locator("tbody .jx-open").all_inner_texts()


def test_a_table_is_live_and_acts(lab, lab_server, engine) -> None:
    lab.page.set_viewport_size({"width": 1500, "height": 1300})
    path = lab_server.write_notebook(
        "table",
        "%load_ext jupyter_ext",
        SEVERAL,
        "%trainings",
        "%trainings --plot --status succeeded -m test/loss",
    )
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    lab.run_cell(2)
    table = lab.cell(2).locator(".jx-runs")
    expect(row_of(table, "slow").locator(".jx-chip")).to_have_text("processing")
    search = table.get_by_label("Filter by name, id or tag")
    search.fill("digits-")
    expect(table.locator("tbody tr")).to_have_count(3)

    table.get_by_role("button", name="best test/loss").click()
    until(lambda: names(table) == ["digits-1", "digits-2", "digits-0"], "the smallest loss first")
    table.get_by_role("button", name="lr", exact=True).click()
    until(lambda: names(table) == ["digits-0", "digits-2", "digits-1"], "the smallest rate first")

    row_of(table, "digits-1").get_by_label("Edit tags of digits-1").click()
    box = table.get_by_label("tags of digits-1", exact=True)
    box.fill("best, paper")
    box.press("Enter")
    expect(row_of(table, "digits-1")).to_contain_text("best, paper")
    row_of(table, "digits-1").get_by_label("Edit notes of digits-1").click()
    table.get_by_label("notes of digits-1", exact=True).fill("the one to keep")
    table.get_by_label("notes of digits-1", exact=True).press("Enter")
    expect(row_of(table, "digits-1")).to_contain_text("the one to keep")
    kept = engine.get("/native/trainings?q=paper")["trainings"][0]
    assert (kept["tags"], kept["notes"]) == (["best", "paper"], "the one to keep")

    lab.run_cell(3)
    chart = lab.cell(3).locator(".jx-compare")
    until(lambda: {c["group"] for c in chart.evaluate(READ_CURVES)} == {"loss"}, "one metric of all runs")
    expect(chart.get_by_role("list", name="Runs by colour")).to_contain_text("digits-2")
    lab.screenshot("trainings-plot-light", lab.cell(3))

    for name in ("digits-0", "digits-1", "digits-2"):
        row_of(table, name).get_by_role("checkbox").check()
    table.get_by_role("button", name="Compare").click()
    compare = table.locator(".jx-compare")
    expect(compare.locator(DRAWN).first).to_be_attached()
    expect(compare.get_by_role("table", name="Inputs that differ")).to_contain_text("lr")
    lab.screenshot("table-light", lab.cell(2))
    lab.set_theme("JupyterLab Dark")
    try:
        search.fill("")
        expect(row_of(table, "slow")).to_be_visible()
        lab.screenshot("table-dark", lab.cell(2))
    finally:
        lab.set_theme("JupyterLab Light")

    table.get_by_role("button", name="Clear").click()
    row_of(table, "slow").get_by_role("checkbox").check()
    table.get_by_role("button", name="Cancel").click()
    expect(row_of(table, "slow").locator(".jx-chip")).to_have_text("canceled", timeout=30_000)
    table.get_by_role("button", name="Delete…").click()
    expect(table.locator(".jx-runs-actions")).to_contain_text("cannot be undone")
    table.get_by_role("button", name="Delete", exact=True).click()
    expect(row_of(table, "slow")).to_have_count(0)
    row_of(table, "digits-2").get_by_role("checkbox").check()
    table.get_by_role("button", name="Run again…").click()
    table.get_by_role("button", name="Start", exact=True).click()
    expect(row_of(table, "digits-2")).to_have_count(2)

    lab.save()
    lab_server.end_kernels()
    lab.page.reload()
    lab.open(path)
    table = lab.cell(2).locator(".jx-runs")
    expect(row_of(table, "digits-2")).to_have_count(2)
    row_of(table, "digits-1").get_by_role("button", name="digits-1", exact=True).click()
    expect(table.locator(".jx-runs-panel .jx-chip")).to_have_text("succeeded")
    assert lab.errors == []
