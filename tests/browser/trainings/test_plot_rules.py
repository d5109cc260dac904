"""The chart of a run and of several: rules from a plot, marks of all runs, and exact points of what is zoomed to."""

from __future__ import annotations

import re

from integration_tools import until
from panel_page import READ_CURVES
from playwright.sync_api import expect

LOGS = """\
%%train watched
import time
from jupyter_ext import log
def train():
    step = 0
    while True:
        log({"val/loss": 1 / (1 + step % 50), "lr": 0.1}, step=step)
        step += 1
        time.sleep(0.01)
"""
LONG = """\
import jupyter_ext as jx
def long(seed: int):
    from jupyter_ext import alert, log
    for step in range(20_000):
        log({"val/loss": (step * 7919 + seed) % 1000}, step=step)
    alert("has looked odd", level="warning")
runs = [jx.train(long, seed=seed) for seed in (1, 2)]
for run in runs:
    run.wait()
jx.compare(runs)
"""


def test_a_run_is_told_from_its_plot_when_to_stop(lab, lab_server) -> None:
    lab.page.set_viewport_size({"width": 1280, "height": 1100})
    lab.open(lab_server.write_notebook("watched", "%load_ext jupyter_ext", LOGS))
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.root.scroll_into_view_if_needed()
    panel.wait_points("loss/val", 10)
    cell = panel.part(".jx-cell").filter(has=lab.page.locator("[data-group=loss]"))
    cell.hover()
    cell.locator(".jx-watch").click()
    box = cell.locator(".jx-rule-box")
    box.get_by_label("Condition").select_option("below")
    box.get_by_label("Value").fill("a lot")
    box.get_by_text("Add").click()
    expect(box.get_by_role("alert")).to_have_text("Give a number.")
    lab.screenshot("rule-light", panel.root)
    box.get_by_label("Value").fill("0.5")
    box.get_by_label("Value").press("Enter")
    expect(box).to_have_count(0)
    expect(cell.locator(".jx-watch[aria-pressed=true]")).to_have_count(1)
    cell.locator(".jx-watch").click()
    expect(box.locator(".jx-rule-known")).to_have_text(re.compile("Tell me when val/loss < 0.5 — .+"))
    box.get_by_label("What to do").select_option("stop")
    box.get_by_label("Condition").select_option("patience")
    box.get_by_label("Value").fill("60")
    lab.set_theme("JupyterLab Dark")
    try:
        lab.screenshot("rule-dark", panel.root)
    finally:
        lab.set_theme("JupyterLab Light")
    box.get_by_text("Add").click()
    panel.wait_status("canceled")
    expect(panel.root).to_contain_text("val/loss has not improved for 60 values")
    expect(cell.locator(".jx-watch")).to_be_hidden()
    lab.screenshot("canceled", panel.root)
    assert lab.errors == []


def test_runs_are_compared_exactly_where_one_zooms(lab, lab_server) -> None:
    lab.page.set_viewport_size({"width": 1280, "height": 1100})
    lab.open(lab_server.write_notebook("zoomed", "%load_ext jupyter_ext", LONG))
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".jx-panel")
    view.scroll_into_view_if_needed()
    until(lambda: len(view.evaluate(READ_CURVES)) == 2, "both curves")
    assert all(len(curve["x"]) < 5_000 for curve in view.evaluate(READ_CURVES))
    plot = view.locator("[data-group=loss]")
    box = plot.bounding_box()
    at = [box["x"] + share * box["width"] for share in (0.5, 0.52)]
    y = box["y"] + box["height"] / 2
    lab.page.mouse.move(at[0], y)
    lab.page.mouse.down()
    lab.page.mouse.move(at[1], y, steps=4)
    lab.page.mouse.up()

    def is_exact() -> bool:
        low, high = plot.evaluate("node => node.jupyterExtPlot.xRange")
        wanted = [step for step in range(20_000) if low <= step <= high]
        curves = view.evaluate(READ_CURVES)
        found = [[x for x in curve["x"] if low <= x <= high] for curve in curves]
        seeds = [seed for curve in curves for seed in (1, 2) if all(
            value == (x * 7919 + seed) % 1000 for x, value in zip(curve["x"], curve["y"], strict=True) if low <= x <= high
        )]  # fmt: skip
        return high - low < 2_000 and found == [wanted, wanted] and sorted(seeds) == [1, 2]

    until(is_exact, "every point of the range, of both runs")
    lab.screenshot("compare-zoomed", view)
    plot.dblclick()
    until(lambda: plot.evaluate("node => node.jupyterExtPlot.xRange[1]") > 19_000, "the whole runs")
    assert plot.evaluate("node => node.jupyterExtPlot.model.marks.map(({ mark }) => mark.text)") == [
        "has looked odd",
        "has looked odd",
    ]
    assert lab.errors == []
