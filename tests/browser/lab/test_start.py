"""Starting by mouse alone, without a kernel: a cell, a Python file, a Cog folder, weights."""

from __future__ import annotations

from typing import Any

from lab_page import Lab, LabServer
from panel_page import EngineOnDisk
from playwright.sync_api import Locator, Route, expect

HELPERS = "import math\nfrom jupyter_ext import Input, log, progress\nSCALE = 2\n\ndef loss(step):\n    return SCALE / (2 + step)"
CELL = """\
from typing import Literal
from pathlib import Path
from pydantic import SecretStr

def train(
    epochs: int = Input(3, ge=1, le=50, description="times over the data"),
    lr: float = Input(1e-3, gt=0, le=1, description="step size of the optimizer"),
    optimizer: Literal["adam", "sgd"] = "adam",
    layers: list[int] = [64, 64],
    amp: bool = False,
    data: Path = Input(description="a table of examples"),
    token: SecretStr = Input(description="of the registry"),
):
    for step in range(epochs * 20):
        log({"train/loss": loss(step)}, step=step)
        progress(step + 1, epochs * 20)
    return [epochs, lr, optimizer, layers, amp, data.read_text(), len(token.get_secret_value())]"""
SECRET = "sk-never-saved"


def form_of(lab: Lab) -> Locator:
    form = lab.page.locator(".jp-JupyterExt-form:visible .jx-form")
    expect(form.locator(".jx-form-end")).to_be_visible()
    return form


def press_on_cell(lab: Lab, index: int, command: str) -> None:
    """Click into a cell, then on a button of its toolbar."""
    lab.cell(index).locator(".jp-InputArea-prompt, .jp-InputPrompt").first.click()
    lab.cell(index).locator(f".jp-cell-toolbar [data-command='{command}']").click()


def test_a_cell_is_trained_from_its_toolbar(lab: Lab, lab_server: LabServer, engine: EngineOnDisk) -> None:
    (lab_server.root / "examples.csv").write_text("a,b")
    path = lab_server.write_notebook("start", HELPERS, CELL, "%pip list")
    lab.open_without_kernel(path)
    press_on_cell(lab, 1, "jupyter-ext:train-cell")
    form = form_of(lab)
    expect(form.get_by_role("alert").filter(visible=True)).to_have_count(0)
    lab.screenshot("start-form-light")
    form.get_by_role("button", name="Train").click()
    expect(form.locator(".jx-form-error").filter(visible=True)).to_have_count(2)
    expect(form.get_by_label("data", exact=True)).to_be_focused()
    form.get_by_label("data", exact=True).fill("exam")
    expect(form.locator("datalist option")).to_have_count(1)
    expect(form.locator("datalist option[value='examples.csv']")).to_be_attached()
    form.get_by_label("data", exact=True).fill("examples.csv")
    form.get_by_label("token").fill(SECRET)
    form.get_by_label("lr", exact=True).fill("2")
    expect(form.get_by_role("alert").filter(has_text="less than or equal to 1")).to_be_visible()
    form.get_by_label("lr", exact=True).fill("0.01")
    slider = form.locator("input[type=range]").first
    slider.fill("1")
    expect(form.get_by_label("epochs")).to_have_value("2")
    form.get_by_label("optimizer").select_option("sgd")
    expect(form.locator(".jx-form-line")).to_contain_text("-i epochs=2 -i lr=0.01 -i optimizer=sgd")
    expect(form.locator(".jx-form-line")).to_contain_text("-i token={token}")
    lab.set_theme("JupyterLab Dark")
    lab.screenshot("start-form-dark")
    lab.set_theme("JupyterLab Light")
    form.get_by_role("button", name="Train").click()
    tab = lab.page.locator(".jp-JupyterExt-tab:visible")
    expect(tab.locator(".jx-chip")).to_have_text("succeeded", timeout=60_000)
    expect(form).to_have_count(0)
    training = newest(engine)
    assert training["output"] == [2, 0.01, "sgd", [64, 64], False, "a,b", len(SECRET)]
    assert training["started_from"]["notebook"].endswith(path)
    lab.screenshot("start-training-light")
    assert SECRET not in (lab_server.root / path).read_text()
    assert lab.errors == []


SCRIPT = """\
import argparse
from jupyter_ext import log

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=5)
for step in range(parser.parse_args().steps):
    log({"loss": 1 / (1 + step)}, step=step)
"""
NET = "import torch\n\nclass Net(torch.nn.Module):\n    pass\n"


def choose(lab: Lab, name: str, *entries: str) -> None:
    """Open the menu of an item of the file browser, and choose an entry of it or of its submenu."""
    lab.page.locator(".jp-DirListing-item").filter(has_text=name).click(button="right")
    for entry in entries:
        lab.page.locator(".lm-Menu-item:visible").filter(has_text=entry).last.click()


def test_files_and_folders_are_started_from_the_file_browser(
    lab: Lab, lab_server: LabServer, engine: EngineOnDisk
) -> None:
    (lab_server.root / "fit.py").write_text(SCRIPT)
    (lab_server.root / "net.py").write_text(NET)
    for name, text in (("plain", "x = 1\n"), ("project", "def train(n: int = 2):\n    return n\n")):
        (lab_server.root / name).mkdir(exist_ok=True)
        (lab_server.root / name / "train.py").write_text(text)
    (lab_server.root / "project" / "cog.yaml").write_text('train: "train.py:train"\n')
    lab.open_lab()
    choose(lab, "fit.py", "Train…")
    form = form_of(lab)
    form.get_by_label("steps", exact=True).fill("7")
    expect(form.locator(".jx-form-line")).to_contain_text("fit.py -i steps=7")
    form.get_by_role("button", name="Train").click()
    expect(lab.page.locator(".jp-JupyterExt-tab:visible .jx-chip")).to_have_text("succeeded", timeout=60_000)
    assert newest(engine)["input"] == {"steps": 7}
    choose(lab, "project", "PyTorch", "Train…")
    expect(form_of(lab).get_by_label("n", exact=True)).to_have_value("2")
    choose(lab, "plain", "PyTorch", "Train…")
    expect(lab.page.locator(".jp-JupyterExt-form:visible").get_by_role("alert").first).to_contain_text(
        "cog.yaml"
    )
    lab.screenshot("start-refused-light")
    choose(lab, "net.py", "Debug in a Session")
    session = lab.page.locator(
        ".jp-JupyterExt-tab:visible .jx-session, .jp-JupyterExt-tab:visible .jx-panel"
    ).first
    expect(session).to_contain_text("Net", timeout=60_000)
    running = engine.get("/native/sessions?running=1")["sessions"]
    engine.post(f"/native/sessions/{running[0]['id']}/terminate")
    assert [error for error in lab.errors if "422" not in error] == [], "one folder was refused"


def test_a_form_starts_where_that_is_set(lab: Lab, lab_server: LabServer) -> None:
    (lab_server.root / "far.py").write_text(SCRIPT)
    sent: list[Any] = []

    def refuse(route: Route) -> None:
        sent.append(route.request.post_data_json["jupyter_ext"].get("ray"))
        route.fulfill(status=502, json={"title": "No cluster", "detail": "The cluster does not answer."})

    lab.page.route("**/versions/*/trainings*", refuse)
    with lab_server.settings(backend="ray", ray_address="http://head:8265", ray_gpus=1):
        lab.open_lab()
    choose(lab, "far.py", "Train…")
    form = form_of(lab)
    where = form.get_by_label("Where it runs")
    expect(where.locator("option:checked")).to_have_text("Ray at head:8265")
    expect(form.locator(".jx-form-line")).to_contain_text("--on ray --address http://head:8265 --gpus 1")
    lab.screenshot("settings-ray-light")
    form.get_by_role("button", name="Train").click()
    expect(form.locator(".jx-form-general")).to_have_text("The cluster does not answer.")
    where.select_option("this machine")
    expect(form.locator(".jx-form-line")).not_to_contain_text("ray")
    lab.set_theme("JupyterLab Dark")
    lab.screenshot("settings-ray-dark")
    lab.set_theme("JupyterLab Light")
    with lab.page.expect_response("**/versions/*/trainings*"):
        form.get_by_role("button", name="Train").click()
    assert sent == [{"address": "http://head:8265", "cpus": 1, "gpus": 1}, None]
    assert [error for error in lab.errors if "502" not in error] == []


def test_new_notebooks_come_from_templates_and_the_halves_are_looked_at(
    lab: Lab, lab_server: LabServer, engine: EngineOnDisk
) -> None:
    lab.open_lab()
    cards = lab.page.locator(".jp-LauncherCard")
    for name in ("First Training", "Fine-Tune", "Debug a NaN", "Local Model"):
        expect(cards.filter(has_text=name)).to_be_visible()
    lab.screenshot("start-launcher-light")
    cards.filter(has_text="Fine-Tune").click()
    lab.wait_ready()
    expect(lab.cell(0)).to_contain_text("Fine-tune a model")
    assert (lab_server.root / "fine-tune.ipynb").exists()
    lab.page.evaluate("void window.jupyterapp.commands.execute('jupyter-ext:doctor')")
    dialog = lab.page.get_by_role("dialog")
    expect(dialog).to_contain_text("All parts fit together")
    expect(dialog.locator(".jp-JupyterExt-finding")).to_have_count(6)
    expect(dialog).to_contain_text(f"kept in {engine.where.data_dir}")
    lab.screenshot("start-doctor-light")
    dialog.get_by_role("button", name="Close").click()
    assert [error for error in lab.errors if "503" not in error] == [], "no engine runs, and none is started"


def newest(engine: EngineOnDisk) -> Any:
    return engine.get(f"/native/trainings/{engine.get('/native/trainings?limit=1')['trainings'][0]['id']}")
