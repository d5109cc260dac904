"""Who uses a screen reader, the keyboard alone, or high contrast: axe-core finds nothing serious in what this page draws."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe import serious_in
from lab_page import Lab, LabServer
from panel_page import EngineOnDisk
from playwright.sync_api import expect

THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")

CELL = """\
import jupyter_ext as jx
from jupyter_ext import log

def falling(rate: float = 0.1):
    for step in range(60):
        log({"train/loss": 1 / (1 + rate * step), "val/loss": 1.1 / (1 + rate * step)}, step=step)

class Net:
    def evaluate(self, x: float):
        return 1 / x

run = jx.train(falling, name="seen")
run.wait()
session = jx.debug(Net, name="stopped")
try:
    session.instantiate().evaluate(x=0.0)
except Exception:
    pass
run.id, session.id"""
FORM = """\
from typing import Literal
from jupyter_ext import Input

def train(epochs: int = Input(3, ge=1, le=50, description="times over the data"), optimizer: Literal["adam", "sgd"] = "adam",
          amp: bool = False, layers: list[int] = [64]):
    pass"""


@pytest.mark.timeout(300)  # three themes of seven pages
def test_nothing_serious_in_any_theme(lab: Lab, lab_server: LabServer, engine: EngineOnDisk) -> None:
    lab.page.set_viewport_size({"width": 1500, "height": 1000})
    lab.open(lab_server.write_notebook("access", CELL, FORM, "%load_ext jupyter_ext", "%trainings"))
    training, session = re.findall(r"'([^']+)'", lab.run_cell(0).last.inner_text())
    lab.command("jupyter-ext:show-panel")
    expect(lab.page.locator(".jx-side-row").first).to_be_visible()
    found: dict[str, Any] = {}
    tab = ".jp-JupyterExt-tab:not(.lm-mod-hidden)"

    def look(name: str, selector: str) -> None:
        for theme in THEMES:
            lab.set_theme(theme)
            if serious := serious_in(lab, selector):
                found[f"{name}, {theme}"] = serious
            lab.screenshot(f"access-{name}-{theme.removeprefix('JupyterLab ').replace(' ', '-').lower()}")

    try:
        look("panel", ".jx-side")
        look("status", ".jp-JupyterExt-status")
        for kind, id, ready in (
            ("training", training, ".jx-plot[data-lines]"),
            ("session", session, ".jx-error"),
            ("trainings", "", "tbody tr"),
            ("models", "", ".jx-models"),
            ("compare", training, ".jx-plot[data-lines]"),
        ):
            lab.command("jupyter-ext:open", kind=kind, id=id)
            expect(lab.page.locator(f".jp-JupyterExt-tab:visible {ready}").first).to_be_attached()
            look(kind, f"{tab} .jx-panel")
            lab.command("application:close")
        lab.cell(1).locator(".jp-InputPrompt").click()
        lab.command("jupyter-ext:train-cell")
        expect(lab.page.locator(".jp-JupyterExt-form:visible .jx-form-end")).to_be_visible()
        look("form", ".jp-JupyterExt-form")
    finally:
        lab.set_theme("JupyterLab Light")
    engine.post(f"/native/sessions/{session}/terminate")
    assert found == {}
    assert lab.errors == []


def test_the_keyboard_reaches_all_of_a_tab_and_comes_out_of_it(lab: Lab, lab_server: LabServer) -> None:
    lab.open(lab_server.write_notebook("keys", FORM))
    lab.cell(0).locator(".jp-InputPrompt").click()
    lab.page.keyboard.press("Escape")
    lab.page.keyboard.press("Shift+T")
    form = lab.page.locator(".jp-JupyterExt-form:visible .jx-form")
    expect(form.locator(".jx-form-end")).to_be_visible()
    form.locator("input").first.focus()
    reached: list[str] = []
    for _ in range(40):
        reached.append(
            lab.page.evaluate(
                "() => document.activeElement.closest('.jx-form') ? document.activeElement.textContent"
                " || document.activeElement.id || document.activeElement.tagName : ''"
            )
        )
        if reached[-1] == "":
            break
        lab.page.keyboard.press("Tab")
    assert any("Train" in text for text in reached)
    assert reached[-1] == "", "the focus is not held"
    form.get_by_role("button", name="Train").focus()
    lab.page.keyboard.press("Enter")
    expect(lab.page.locator(".jp-JupyterExt-tab:visible .jx-chip").first).to_have_text(
        "succeeded", timeout=60_000
    )
    assert lab.errors == []
