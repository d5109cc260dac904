"""Debugging a model in JupyterLab as a person does it, with the magics: from the cell of its code to the end of its session."""

from __future__ import annotations

import re
from typing import Any

import pytest
from integration_tools import until
from panel_page import DRAWN
from playwright.sync_api import Locator, expect

NET = """\
%%debug_session digits
import time
import torch
from jupyter_ext import log, progress

torch.set_num_threads(1)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 32)
        self.second = torch.nn.Linear(32, 3)

    def forward(self, x):
        scores = self.second(torch.relu(self.first(x)))
        return self.scaled(scores)

    def scaled(self, scores):
        scale = torch.log(scores.sum() * 0 - 1)
        return checked(scores * scale)

    def fit(self, x, y, steps):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.05)
        for step in range(steps):
            scores = self.second(torch.relu(self.first(x)))
            loss = torch.nn.functional.cross_entropy(scores, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            accuracy = (scores.argmax(1) == y).float().mean().item()
            log({"train/loss": loss.item(), "train/accuracy": accuracy}, step=step)
            progress(step + 1, steps)
            time.sleep(0.01)

def checked(scores):
    if torch.isnan(scores).any():
        raise ValueError("the scores are not numbers")
    return scores
"""
MENDED = NET.replace("torch.log(scores.sum() * 0 - 1)", "torch.exp(scores.sum() * 0)")
CELLS = {
    "load": "%load_ext jupyter_ext\nimport time, torch\nx, y = torch.randn(64, 8), torch.randint(0, 3, (64,))",
    "code": NET,
    "make": "%debug_call digits.instantiate",
    "train": "%debug_call digits.train -p x=x -p y=y -p steps=300",
    "busy": "time.sleep(3600)",
    "fail": "%debug_call digits.evaluate -p x=x[:4]",
    "look": "%%in_session digits\nprint(scale, scores.shape)",
    "mended": MENDED,
    "good": "scores = %debug_call digits.evaluate -p x=x[:4]\nbool(torch.isfinite(scores).all()), scores.shape",
    "long": "t = %debug_call digits.train -p x=x -p y=y -p steps=100000\nt",
}
SESSION, TRAINING = "Debug session", "Training of a debug session"


class Notebook:
    """The notebook above, open in JupyterLab."""

    def __init__(self, lab: Any, path: str) -> None:
        self.lab = lab
        self.path = path

    def run(self, name: str, *, wait: bool = True) -> Locator:
        outputs: Locator = self.lab.run_cell(self.place(name), wait=wait)
        return outputs

    def place(self, name: str) -> int:
        return list(CELLS).index(name)

    def view(self, name: str, label: str = SESSION) -> Locator:
        """The view under a cell, brought into sight."""
        view: Locator = self.lab.cell(self.place(name)).get_by_role("region", name=label, exact=True)
        view.scroll_into_view_if_needed()
        return view


@pytest.fixture
def notebook(lab: Any, lab_server: Any, engine: Any) -> Any:
    lab.page.set_viewport_size({"width": 1280, "height": 1100})
    path = lab_server.write_notebook("debugging", *CELLS.values())
    lab.open(path)
    yield Notebook(lab, path)
    for one in engine.get("/native/sessions?running=1")["sessions"]:
        engine.post(f"/native/sessions/{one['id']}/terminate")


@pytest.mark.timeout(300)
def test_a_model_is_debugged_from_its_cell_to_the_end_of_its_session(lab, engine, notebook) -> None:
    notebook.run("load")
    notebook.run("code")
    chip = notebook.view("code").locator(".jx-title .jx-chip")
    expect(chip).to_have_text("ready")
    expect(notebook.run("make").first).to_contain_text("Model Net")

    notebook.run("train")
    training = notebook.view("train", TRAINING)
    expect(training.locator(".jx-chip")).to_have_text("running")
    notebook.run("busy", wait=False)
    until(lambda: lab.kernel_status() == "busy", "the kernel's long cell")
    notebook.view("train", TRAINING)
    expect(training.locator(DRAWN).first).to_be_visible()
    lab.screenshot("debug-call-train", training)
    expect(training.locator(".jx-chip")).to_have_text("completed", timeout=60_000)
    assert lab.kernel_status() == "busy"
    expect(training.get_by_role("button", name="Cancel")).to_be_hidden()
    lab.interrupt_kernel()
    until(
        lambda: "<polyline" in "".join(lab.output_data(notebook.place("train"))["image/svg+xml"]),
        "the picture of the curve as it ended",
        40,
    )

    expect(notebook.run("fail").first).to_contain_text("ValueError: the scores are not numbers")
    view = notebook.view("code")
    expect(chip).to_have_text("stopped at an exception")
    frames = view.locator(".jx-error .jx-frame")
    expect(frames.locator(".jx-frame-function")).to_have_text(["forward", "scaled", "checked"])
    frames.filter(has_text="scale = ").or_(frames.nth(1)).locator(".jx-frame-where").first.click()
    expect(view.locator(".jx-name-row").filter(has_text="scale").first).to_contain_text("NaN")
    lab.screenshot("debugging-stopped")
    expect(notebook.run("look").first).to_contain_text("tensor(nan) torch.Size([4, 3])")

    before = _weights(lab, engine)
    expect(notebook.run("mended").first).to_contain_text(
        "Replaced the code of digits: Net; 1 living instance follows."
    )
    good = notebook.run("good")
    expect(good.last).to_have_text("(True, torch.Size([4, 3]))")
    assert _weights(lab, engine) == before
    notebook.view("code")
    expect(chip).to_have_text("ready")

    notebook.run("long")
    long = notebook.view("long", TRAINING)
    expect(long.locator(DRAWN).first).to_be_visible()
    lab.save()
    lab.reload()
    _goes_on(notebook, "after the page was reloaded")
    lab.restart_kernel()
    _goes_on(notebook, "after the kernel was restarted")
    engine.kill()
    _goes_on(notebook, "after the engine was killed")
    for theme, width in (("Light", 1280), ("Dark", 1280), ("Light", 700)):
        lab.set_theme(f"JupyterLab {theme}")
        lab.page.set_viewport_size({"width": width, "height": 1100})
        lab.screenshot(f"debugging-{theme.lower()}-{width}-training", notebook.view("long", TRAINING))
        lab.screenshot(f"debugging-{theme.lower()}-{width}-session", notebook.view("mended"))
    lab.page.set_viewport_size({"width": 1280, "height": 1100})

    notebook.run("load")
    lab.evaluate(
        "(app, [index, text]) => { app.shell.currentWidget.content.widgets[index].model.sharedModel.setSource(text); }",
        [notebook.place("good"), "%debug_session digits terminate"],
    )
    expect(notebook.run("good").first).to_contain_text("Terminated on request.")
    ended = notebook.view("mended")
    expect(ended.locator(".jx-title .jx-chip")).to_have_text("ended")
    long = notebook.view("long", TRAINING)
    expect(long.locator(".jx-messages")).to_contain_text("what it had logged is kept")
    expect(long.locator(DRAWN).first).to_be_visible()
    lab.screenshot("debugging-ended-training", long)


def _goes_on(notebook: Notebook, when: str) -> None:
    """See points come that were not there, in the training's view and in the session's."""
    view = notebook.view("long", TRAINING)
    expect(view.locator(".jx-chip")).to_have_text("running")
    elapsed = view.locator(".jx-session-line .jx-session-dim")
    shown = elapsed.inner_text()
    expect(elapsed).not_to_have_text(shown)
    expect(view.locator(DRAWN).first).to_be_visible()
    session = notebook.view("mended")
    expect(session.locator(".jx-title .jx-chip")).to_have_text(re.compile(r"^train · \d"))


def _weights(lab: Any, engine: Any) -> Any:
    """Sums of the parameters, as the session itself tells them."""
    (session,) = engine.get("/native/sessions?running=1")["sessions"]
    (model,) = session["models"]
    answer = engine.post(
        f"/native/sessions/{session['id']}/call", {"op": "parameters", "params": {"model_id": model["id"]}}
    )
    return [(row["name"], row["value"]["norm"]) for row in answer["result"]["parameters"]]
