"""The form: typed into, wrong and right again, and launched; its panel outlives its kernel."""

from __future__ import annotations

from panel_page import PanelPage
from playwright.sync_api import expect

CELL = """\
%%train digits --form
from typing import Literal
from jupyter_ext import Input, log, progress

def train(
    epochs: int = Input(3, ge=1, le=50, description="times over the data"),
    lr: float = Input(1e-3, gt=0, le=1, description="learning rate of Adam"),
    optimizer: Literal["adam", "sgd"] = "adam",
    layers: list[int] = [64, 64],
    amp: bool = False,
    note: str = "",
):
    for step in range(epochs * 10):
        log({"train/loss": lr / (1 + step), "test/loss": 2 * lr / (1 + step)}, step=step)
        progress(step + 1, epochs * 10)
    return {"lr": lr, "optimizer": optimizer}"""


def test_a_form_launches_what_it_says(lab, lab_server, engine) -> None:
    lab.page.set_viewport_size({"width": 1280, "height": 1300})
    lab.open(lab_server.write_notebook("form", "%load_ext jupyter_ext", CELL))
    lab.run_cell(0)
    lab.run_cell(1)
    form = lab.cell(1).locator(".jx-form")
    launch = form.get_by_role("button", name="Launch")
    expect(form.locator("code")).to_have_text("%%train digits")
    expect(launch).to_be_enabled()
    rate = form.get_by_label("lr")
    rate.fill("2")
    expect(form.get_by_role("alert")).to_have_text("lr=2: input should be less than or equal to 1")
    expect(launch).to_be_disabled()
    lab.screenshot("form-wrong-light", lab.cell(1))
    rate.fill("0.01")
    expect(form.get_by_role("alert")).to_have_count(0)
    form.get_by_label("optimizer").select_option("sgd")
    expect(form.locator("code")).to_have_text("%%train digits -i lr=0.01 -i optimizer=sgd")
    launch.click()
    panel = PanelPage(lab.cell(1).locator(".jx-panel"))
    panel.wait_status("succeeded")
    panel.wait_drawn()
    lab.screenshot("form-light", lab.cell(1))
    training = engine.get(f"/native/trainings/{panel.training_id()}")
    assert training["input"] == {"lr": 0.01, "optimizer": "sgd"}
    assert training["output"] == {"lr": 0.01, "optimizer": "sgd"}
    lab.set_theme("JupyterLab Dark")
    try:
        rate.fill("abc")
        expect(form.get_by_role("alert")).to_be_visible()
        lab.screenshot("form-dark", lab.cell(1))
    finally:
        lab.set_theme("JupyterLab Light")
    rate.fill("0.02")
    first = panel.training_id()
    launch.click()
    expect(panel.part(".jx-id")).not_to_have_attribute("title", first)
    panel.wait_status("succeeded")
    assert lab.errors == []
