"""The notebook stays free while a training runs, and the training stays in reach while the notebook is not."""

from __future__ import annotations

from integration_tools import until
from panel_page import assert_steady_is_complete, steady
from playwright.sync_api import expect

BUSY = "import time\ntime.sleep(30)"


def test_other_cells_and_a_second_training_run_beside_it(lab, lab_server) -> None:
    steps = 400
    cells = [
        "%load_ext jupyter_ext",
        steady(steps, name="first", pause_s=0.015),
        "1 + 1",
        steady(steps, name="second", pause_s=0.015),
    ]
    lab.open(lab_server.write_notebook("beside", *cells))
    lab.run_cell(0)
    lab.run_cell(1)
    expect(lab.run_cell(2)).to_have_text("2")
    lab.run_cell(3)
    first, second = lab.panel(1), lab.panel(3)
    for panel in (first, second):
        panel.root.scroll_into_view_if_needed()
        panel.wait_points("loss/train", 20)
        expect(panel.part(".jx-chip")).to_have_text("processing")
    lab.screenshot("two-trainings")
    for panel in (first, second):
        panel.root.scroll_into_view_if_needed()
        panel.wait_status("succeeded")
        assert_steady_is_complete(panel, steps)
    assert first.training_id() != second.training_id()
    assert lab.errors == []


def test_chart_grows_and_cancel_works_while_the_kernel_is_busy(lab, lab_server) -> None:
    path = lab_server.write_notebook("busy", "%load_ext jupyter_ext", steady(20_000, pause_s=0.01), BUSY)
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.root.scroll_into_view_if_needed()
    panel.wait_points("loss/train", 1)
    lab.run_cell(2, wait=False)
    until(lambda: lab.kernel_status() == "busy", "a busy kernel")
    panel.wait_points("loss/train", panel.num_points("loss/train") + 100)
    panel.part("button").filter(has_text="Cancel").click()
    panel.wait_status("canceled")
    assert lab.kernel_status() == "busy"
    lab.screenshot("canceled-while-busy")
    expect(panel.part("button").filter(has_text="Cancel")).to_be_hidden()
    drawn = panel.curves()["loss/train"].x
    assert drawn == list(range(len(drawn)))
    lab.interrupt_kernel()
    assert lab.errors == []
