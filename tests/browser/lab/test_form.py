"""The form: typed into, wrong and right again, and launched; its panel outlives its kernel."""

from __future__ import annotations

import hashlib
import random
import re
import shlex

from integration_tools import until
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


BUSY = """\
import os, time
while not os.path.exists({gate!r}):
    time.sleep(0.02)"""


def test_a_form_launches_what_it_says(lab, lab_server, engine, tmp_path) -> None:
    lab.page.set_viewport_size({"width": 1280, "height": 1300})
    gate = tmp_path / "gate"
    lab.open(lab_server.write_notebook("form", "%load_ext jupyter_ext", CELL, BUSY.format(gate=str(gate))))
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

    second = panel.training_id()
    lab.run_cell(2, wait=False)  # nothing that is entered waits for the cell, or is lost
    prompt = lab.cell(2).locator(".jp-InputPrompt")
    expect(prompt).to_have_text("[*]:")
    rate.press("End")
    rate.press_sequentially("5")
    form.get_by_label("optimizer").select_option("adam")
    form.get_by_label("amp").check()
    form.get_by_label("note").press_sequentially("typed while it runs")
    form.locator(".noUi-handle").first.press("ArrowRight")
    expect(form.get_by_label("epochs")).to_have_value("4")
    expect(form.locator("code")).to_have_text(
        "%%train digits -i epochs=4 -i lr=0.025 -i amp=True -i note='typed while it runs'"
    )
    launch.click()
    expect(panel.part(".jx-id")).not_to_have_attribute("title", second)
    panel.wait_status("succeeded")
    expect(prompt).to_have_text("[*]:")
    gate.touch()
    training = engine.get(f"/native/trainings/{panel.training_id()}")
    assert training["input"] == {"epochs": 4, "lr": 0.025, "amp": True, "note": "typed while it runs"}
    expect(prompt).to_have_text(re.compile(r"\[\d+\]:"))
    assert lab.errors == []


FILES = """\
%%train files --form
from pathlib import Path
from pydantic import SecretStr
from jupyter_ext import Input, log

def train(
    data: Path = Input(description="images, one folder a class"),
    token: SecretStr = Input(description="of the registry"),
    more: list[Path] = [],
    layers: list[int] = Input([64, 64], description="neurons of each hidden layer"),
    mode: "Literal['fast', 'exact'] | None" = None,
    seed: int | None = None,
):
    import hashlib
    log(size=data.stat().st_size, step=0)
    return {"name": data.name, "sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
            "token_chars": len(str(getattr(token, "get_secret_value", lambda: token)())), "layers": layers,
            "more": [path.name for path in more], "seed": seed, "mode": mode}"""
SECRET = "sesame-open-4711"


def test_files_secrets_and_lists(lab, lab_server, engine, tmp_path) -> None:
    lab.page.set_viewport_size({"width": 1360, "height": 1300})
    content = random.Random(0).randbytes(12 << 20)  # more than one message to a kernel may hold
    big = tmp_path / "fa ces.zip"
    big.write_bytes(content)
    (lab_server.root / "labels").mkdir(exist_ok=True)
    (lab_server.root / "labels" / "a.csv").write_text("1")
    path = lab_server.write_notebook("files", "%load_ext jupyter_ext", FILES)
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    form = lab.cell(1).locator(".jx-form")
    launch = form.get_by_role("button", name="Launch")
    expect(form.get_by_role("alert").first).to_contain_text("data (Path) is required")
    form.get_by_label("token").fill(SECRET)
    with lab.page.expect_file_chooser() as chooser:
        form.get_by_role("button", name="Upload a file for data").click()
    chooser.value.set_files(big)
    expect(form.get_by_role("status").filter(has_text="12 MiB")).to_have_text("fa ces.zip, 12 MiB")
    form.get_by_title("Choose more from the kernel's files").click()
    form.locator(".widget-select select").locator("visible=true").select_option("labels/")
    form.get_by_role("button", name="Open").locator("visible=true").click()
    form.locator(".widget-select select").locator("visible=true").select_option("a.csv")
    lab.screenshot("form-files-browser-light", lab.cell(1))
    form.get_by_role("button", name="Use").locator("visible=true").click()
    form.get_by_label("layers").fill("32, x")
    expect(form.get_by_role("alert")).to_contain_text("layers")
    form.get_by_label("layers").fill("32, 16")
    form.get_by_label("mode").select_option("exact")
    expect(launch).to_be_enabled()
    expect(form.locator("code")).to_contain_text("-i mode=exact")
    line = form.locator("code").inner_text()
    assert line.startswith("%%train files -i data=http://localhost/v1/files/"), line
    words = dict(word.split("=", 1) for word in shlex.split(line)[2:] if word != "-i")
    assert (words["token"], words["more"], words["mode"]) == ("{token}", '["labels/a.csv"]', "exact")
    launch.click()
    panel = PanelPage(lab.cell(1).locator(".jx-panel"))
    panel.wait_status("succeeded")
    lab.screenshot("form-files-light", lab.cell(1))
    lab.set_theme("JupyterLab Dark")
    try:
        lab.screenshot("form-files-dark", lab.cell(1))
        lab.page.set_viewport_size({"width": 760, "height": 1700})
        until(lambda: form.evaluate("form => form.scrollWidth <= form.clientWidth"), "nothing sticking out")
        lab.screenshot("form-files-narrow-dark", lab.cell(1))
    finally:
        lab.set_theme("JupyterLab Light")
    training = engine.get(f"/native/trainings/{panel.training_id()}")
    assert training["output"] == {
        "name": "fa ces.zip",
        "sha256": hashlib.sha256(content).hexdigest(),
        "token_chars": len(SECRET),
        "layers": [32, 16],
        "more": ["a.csv"],
        "seed": None,
        "mode": "exact",
    }
    lab.save()
    assert SECRET not in (lab_server.root / path).read_text()
    assert lab.errors == []
