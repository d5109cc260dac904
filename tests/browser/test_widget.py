"""The same panel as an anywidget, for front ends without our MIME type: by the server, and through the kernel."""

from __future__ import annotations

import pytest
from panel_page import assert_steady_is_complete, steady
from playwright.sync_api import expect

STEPS = 300
SHOW = """\
from jupyter_ext.client import tunnel
from jupyter_ext_widgets import TrainingPanel
display(TrainingPanel(run.id, door=tunnel.PanelDoor()))"""


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
