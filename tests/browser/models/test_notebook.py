"""The notebook about local models, opened and run as a user would."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

NOTEBOOK = Path(__file__).parents[3] / "notebooks" / "03-local-models.ipynb"
HUB = NOTEBOOK.with_name("hub_server.py")


@pytest.mark.timeout(300)
def test_the_notebook_runs_before_ones_eyes(lab, lab_server) -> None:
    shutil.copy(NOTEBOOK, lab_server.root)
    shutil.copy(HUB, lab_server.root)
    lab.page.set_viewport_size({"width": 1280, "height": 1300})
    cells = nbformat.read(NOTEBOOK, as_version=4).cells
    where = {
        name: next(i for i, cell in enumerate(cells) if cell.cell_type == "code" and word in cell.source)
        for name, word in {
            "look": "look=True",
            "begin": "model.download()",
            "list": "%models",
            "plot": "go.Figure",
            "other": "subprocess.run",
            "module": "model.torch()",
            "freed": "model.unload()",
        }.items()
    }
    lab.open(NOTEBOOK.name)
    for index, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        lab.run_cell(index, timeout_s=120)
        if index == where["look"]:
            model = lab.cell(index).locator(".jx-model")
            model.scroll_into_view_if_needed()
            expect(model.locator(".jx-chip")).to_have_text("not here")
            expect(model.locator(".jx-model-facts")).to_contain_text("22.7 M")
        if index == where["begin"]:
            expect(lab.cell(where["look"]).locator(".jx-chip")).to_have_text(re.compile("download"))
        if index == where["list"]:
            expect(lab.cell(index).locator(".jx-model .jx-chip").first).to_have_text(
                re.compile("downloaded|loaded")
            )
        if index == where["plot"]:
            expect(lab.cell(index).locator(".js-plotly-plot .main-svg").first).to_be_visible()
            lab.screenshot("notebook-models-neighbours", lab.cell(index))
        if index == where["other"]:
            expect(lab.outputs(index).first).to_contain_text("used by")
            lab.screenshot("notebook-models-second-user", lab.cell(index))
        if index == where["module"]:
            expect(lab.outputs(index).first).to_contain_text("BertModel 22,")
        if index == where["freed"]:
            expect(lab.outputs(index).first).to_contain_text(re.compile(r"held \d+ MiB"))
        lab.screenshot(f"notebook-models-{index:02d}")
    assert lab.errors == []
