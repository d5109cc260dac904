"""Cells and what they have started: the mark, the badge, the question when one is run again, and copied notebooks."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from axe import serious_in
from integration_tools import until
from lab_page import Lab, LabServer
from panel_page import EngineOnDisk
from playwright.sync_api import expect

GOES_ON = """\
import os, time
import jupyter_ext as jx
from jupyter_ext import progress, should_stop

def waits(gate: str):
    while not should_stop() and not os.path.exists(gate):
        progress(45, 100)
        time.sleep(0.02)

run = jx.train(waits, name={name!r}, gate={gate!r})
{show}"""


MARKED = (
    ".jp-Cell .jp-JupyterExt-mark",
    ".jp-cell-toolbar [data-command^='jupyter-ext:']:not(.lm-mod-hidden)",
)
"""What we put at cells."""


def cell(name: str, gate: Path, show: str = "run") -> str:
    return GOES_ON.format(name=name, gate=str(gate), show=show)


@pytest.mark.timeout(240)
def test_a_cell_whose_training_runs_is_marked_and_asked_about(
    lab: Lab, lab_server: LabServer, engine: EngineOnDisk, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    lab.open(lab_server.write_notebook("marked", cell("marked", gate, "None"), "1 + 1"))
    lab.run_cell(0)
    mark = lab.cell(0).locator(".jp-JupyterExt-mark")
    expect(mark).to_have_attribute("title", "marked: 45 %")
    expect(lab.cell(1).locator(".jp-JupyterExt-mark")).to_have_count(0)
    lab.cell(0).locator(".jp-InputPrompt").click()
    badge = lab.cell(0).locator(".jp-cell-toolbar [data-command='jupyter-ext:open-of-cell']")
    expect(badge).to_contain_text("45 %")
    lab.screenshot("cells-mark-light")
    found = [serious_in(lab, selector) for selector in MARKED]
    lab.set_theme("JupyterLab Dark")
    lab.screenshot("cells-mark-dark")
    found += [serious_in(lab, selector) for selector in MARKED]
    lab.set_theme("JupyterLab Light")
    assert [one for one in found if one] == []

    # run again, twice, with no output that shows it: one question, of all that run
    toasts = lab.page.locator(".Toastify__toast").filter(has_text="still running")
    lab.run_cell(0)
    expect(toasts).to_contain_text("marked: 45 %")
    until(lambda: len(running(engine, "marked")) == 2, "the second training")
    expect(mark).to_have_attribute("title", re.compile("marked: 45 %, marked: 45 %"))
    lab.run_cell(0)
    expect(toasts.filter(has_text="marked: 45 %, marked: 45 %")).to_be_visible()
    expect(toasts).to_have_count(1)
    until(lambda: len(running(engine, "marked")) == 3, "the third training")
    lab.screenshot("cells-asked-light")
    toasts.get_by_role("button", name="Cancel the Earlier Ones").click()
    until(lambda: len(running(engine, "marked")) == 1, "the end of the earlier ones")

    mark.click()
    expect(lab.page.locator(".jp-JupyterExt-tab:visible .jx-chip").first).to_have_text("processing")
    gate.touch()
    expect(lab.page.locator(".jp-JupyterExt-mark")).to_have_count(0)
    assert lab.errors == []


def test_outputs_of_a_copied_notebook_change_nothing(
    lab: Lab, lab_server: LabServer, engine: EngineOnDisk, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    debugged = "class Net:\n    def evaluate(self, x):\n        return x\nsession = jx.debug(Net, name='copied-session')\nsession"
    path = lab_server.write_notebook(
        "original", cell("copied", gate), "%load_ext jupyter_ext", debugged, "%models"
    )
    lab.open(path)
    for index in range(4):
        lab.run_cell(index)
    expect(lab.cell(2).get_by_role("button", name="Terminate…")).to_be_visible()
    cancel = lab.cell(0).get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    lab.save()
    shutil.copy(lab_server.root / path, lab_server.root / f"copy-of-{path}")
    (lab_server.root / path).rename(lab_server.root / f"old-{path}")
    lab.open_without_kernel(f"old-{path}")
    expect(lab.cell(0).locator(".jx-chip").first).to_have_text("processing")
    expect(cancel).to_be_visible()  # it was renamed, and is no copy
    (lab_server.root / f"old-{path}").rename(lab_server.root / path)
    lab.open_without_kernel(f"copy-of-{path}")
    expect(lab.cell(0).locator(".jx-chip").first).to_have_text("processing")
    expect(lab.cell(0)).to_contain_text(f"Read-only: started from {path}")
    expect(lab.cell(0).get_by_role("button", name="Cancel")).to_have_count(0)
    expect(lab.page.locator(".jp-JupyterExt-mark")).to_have_count(0)
    lab.cell(0).locator(".jp-InputPrompt").click()
    expect(lab.cell(0).locator(".jp-cell-toolbar [data-command='jupyter-ext:train-cell']")).to_be_visible()
    expect(
        lab.cell(0).locator(".jp-cell-toolbar [data-command='jupyter-ext:open-of-cell']:visible")
    ).to_have_count(0)
    for index in (2, 3):
        expect(lab.cell(index)).to_contain_text(f"Read-only: this notebook is a copy of {path}")
    expect(lab.cell(2).locator(".jx-title .jx-chip")).to_have_text("ready")
    expect(lab.cell(2).get_by_role("button", name="Terminate…")).to_have_count(0)
    expect(lab.cell(2).locator(".jx-console-input:visible")).to_have_count(0)
    expect(lab.cell(3).locator(".jx-models-bar").get_by_role("button")).to_have_count(0)
    lab.screenshot("cells-copy-light")
    lab.evaluate("app => app.shell.currentWidget.content.scrollToItem(3)")
    lab.screenshot("cells-copies-light")
    lab.cell(0).get_by_role("button", name=path).click()
    lab.page.wait_for_function(
        "path => window.jupyterapp.shell.currentWidget.context?.path === path", arg=path
    )
    expect(lab.page.locator(".jp-JupyterExt-mark:visible")).to_have_count(1)
    gate.touch()
    expect(lab.page.locator(".jp-JupyterExt-mark")).to_have_count(0)
    for session in engine.get("/native/sessions?running=1")["sessions"]:
        if session["name"] == "copied-session":
            engine.post(f"/native/sessions/{session['id']}/terminate")
    assert lab.errors == []


def running(engine: EngineOnDisk, name: str) -> list[str]:
    found = engine.get(f"/native/trainings?q={name}&status=starting,processing")["trainings"]
    return [training["id"] for training in found]
