"""The same panel as an anywidget, for front ends without our MIME type: by the server, and through the kernel."""

from __future__ import annotations

import pytest
from panel_page import PanelPage, assert_steady_is_complete, steady
from playwright.sync_api import expect

STEPS = 300
SHOW = """\
from jupyter_ext.client.requests import comm_bridge
from jupyter_ext_widgets import TrainingPanel
display(TrainingPanel(run.id, bridge=comm_bridge.CommBridge()))"""


@pytest.mark.parametrize("way", ["server", "kernel"])
def test_widget_draws(lab, lab_server, tmp_path, way) -> None:
    gate = tmp_path / "gate"
    cell = steady(STEPS, gate=gate).replace("-i steps", "--as run -i steps")
    asked = []
    lab.open(lab_server.write_notebook(f"widget-{way}", "%load_ext jupyter_ext", cell, SHOW))
    if way == "kernel":
        lab.page.route("**/jupyter-ext/**", lambda route: route.abort())
    lab.page.on("request", lambda request: "/jupyter-ext/" in request.url and asked.append(request.url))
    lab.run_cell(0)
    lab.run_cell(1)
    del asked[:]
    lab.run_cell(2)
    panel = lab.panel(2)
    panel.root.scroll_into_view_if_needed()
    expect(panel.part(".jx-chip")).to_have_text("processing")
    panel.wait_points("loss/train", STEPS - 50)
    lab.screenshot(f"widget-{way}", lab.cell(2))
    gate.touch()
    panel.wait_status("succeeded")
    assert_steady_is_complete(panel, STEPS)
    if way == "server":
        assert any("/static/panel" in url for url in asked), asked
        assert any("/engine/native/trainings/" in url for url in asked), asked
        assert lab.errors == []


TABLE = """\
from jupyter_ext.client.trainings.listing import TrainingList
from jupyter_ext.client.requests import comm_bridge
from jupyter_ext_widgets import LiveView
display(LiveView("trainings", TrainingList(limit=20).table, bridge=comm_bridge.CommBridge()))"""


@pytest.mark.parametrize("way", ["server", "kernel"])
def test_the_table_as_a_widget_acts(lab, lab_server, engine, tmp_path, way) -> None:
    gate = tmp_path / "gate"
    cell = steady(STEPS, name=f"widget-table-{way}", gate=gate)
    lab.open(lab_server.write_notebook(f"widget-table-{way}", "%load_ext jupyter_ext", cell, TABLE))
    if way == "kernel":
        lab.page.route("**/jupyter-ext/**", lambda route: route.abort())
    lab.run_cell(0)
    lab.run_cell(1)
    lab.run_cell(2)
    table = lab.cell(2).locator(".jx-runs")
    table.scroll_into_view_if_needed()
    table.get_by_label("Filter by name, id or tag").fill(f"widget-table-{way}")
    row = table.locator("tbody tr")
    expect(row).to_have_count(1)
    expect(row.locator(".jx-chip")).to_have_text("processing")
    row.get_by_label(f"Edit notes of widget-table-{way}").click()
    box = table.get_by_label(f"notes of widget-table-{way}", exact=True)
    box.fill("through the comm")
    box.press("Enter")
    expect(row).to_contain_text("through the comm")
    row.get_by_role("button", name=f"widget-table-{way}", exact=True).click()
    panel = PanelPage(table.locator(".jx-runs-panel .jx-panel"))
    panel.wait_points("loss/train", STEPS - 50)
    row.get_by_role("checkbox").check()
    table.locator(".jx-runs-actions").get_by_role("button", name="Cancel").click()
    panel.wait_status("canceled")
    expect(row.locator(".jx-chip")).to_have_text("canceled")
    lab.screenshot(f"widget-table-{way}", lab.cell(2))
    assert engine.get(f"/native/trainings/{panel.training_id()}")["notes"] == "through the comm"
