"""The quickstart notebook, opened and run as a user would."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from playwright.sync_api import expect

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "01-quickstart.ipynb"
LOAD, TRAIN, WHILE, FUNCTION, WAIT, METRICS, FIGURE, LIST = 1, 3, 5, 7, 9, 10, 11, 12


def test_quickstart(lab, lab_server) -> None:
    shutil.copy(NOTEBOOK, lab_server.root)
    lab.open(NOTEBOOK.name)
    lab.run_cell(LOAD)

    lab.run_cell(TRAIN)
    panel = lab.panel(TRAIN)
    panel.root.scroll_into_view_if_needed()
    assert panel.part(".jx-chip").inner_text() not in ("succeeded", "failed")
    expect(panel.part(".jx-name")).to_have_text("digits")
    expect(panel.part("button").filter(has_text="Cancel")).to_be_enabled()
    panel.wait_status("processing")
    expect(panel.part(".jx-progress-text")).to_contain_text(re.compile(r"\d+ / 225 · \d+ %.*left"))
    panel.wait_drawn()
    lab.screenshot("quickstart-running")
    expect(lab.run_cell(WHILE)).to_have_text("499999500000")

    panel.wait_status("succeeded")
    expect(panel.part(".jx-progress-text")).to_contain_text("225 / 225 · 100 %")
    curves = panel.curves()
    assert set(curves) == {"loss/train", "loss/test", "accuracy/train", "accuracy/test"}
    assert curves["loss/train"].x == list(range(1, 226))
    assert curves["accuracy/test"].x == [45, 90, 135, 180, 225]
    assert curves["accuracy/test"].y[-1] > 0.97
    shown = panel.part(".jx-legend-name").filter(has_text="test").last
    assert float(shown.locator(".jx-legend-value").inner_text()) > 0.97
    assert re.fullmatch(r"epoch 5/5: test accuracy 9[789]\.\d%", panel.log_lines()[-1])
    expect(panel.part(".jx-system")).to_contain_text("CPU")
    expect(panel.part(".jx-system")).to_contain_text("iB")
    lab.screenshot("quickstart-succeeded", panel.root)

    lab.run_cell(FUNCTION)
    sine = lab.panel(FUNCTION)
    sine.root.scroll_into_view_if_needed()
    sine.wait_status("succeeded")
    assert sine.curves()["loss/loss"].x == list(range(300))
    lab.screenshot("quickstart-function", sine.root)
    expect(lab.run_cell(WAIT)).to_contain_text("test_accuracy")
    expect(lab.run_cell(METRICS)).to_contain_text("test/accuracy")
    lab.run_cell(FIGURE)
    expect(lab.cell(FIGURE).locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(lab.run_cell(LIST)).to_contain_text("digits")
    lab.screenshot("quickstart-list", lab.cell(LIST))
    lab.screenshot("quickstart-figure", lab.cell(FIGURE))
    assert lab.errors == []
