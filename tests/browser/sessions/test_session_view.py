"""A debug session on the page: what runs, its curves, its models, where it stopped, and a field to look at anything in it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from integration_tools import until
from panel_page import DRAWN
from playwright.sync_api import expect
from session_tools import SessionUnderTest, launch

NET = """\
import math, time
import torch
from jupyter_ext import log, progress, should_stop

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(8, 32)
        self.second = torch.nn.Linear(32, 3)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

    def train_on(self, x, y):
        return torch.nn.functional.cross_entropy(self(x), y)

class Model:
    def __init__(self):
        self.net = Net()

    def train(self, x, y, steps=200, pause=0.0, lr=0.05):
        optimizer = torch.optim.SGD(self.net.parameters(), lr=lr)
        for step in range(steps):
            loss = self.net.train_on(x, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log({"train/loss": loss.item(), "train/accuracy": (self.net(x).argmax(1) == y).float().mean().item()}, step=step)
            progress(step + 1, steps)
            if step % 50 == 0:
                print("step", step, "loss", round(loss.item(), 4))
            time.sleep(pause)

    def evaluate(self, x):
        scores = self.net(x)
        scale = torch.log(scores.sum() * 0 - 1)
        return self.check(scores * scale)

    def check(self, scores):
        if torch.isnan(scores).any():
            raise ValueError("the scores are not numbers")
        return scores
"""


@pytest.fixture
def session(lab_server: Any, engine: Any) -> Any:
    """Return a session with one model."""
    made = launch(engine.where, NET, "digits-net")
    yield made
    made.channel.close()
    if made.now().status != "ended":
        made.terminate()


def shown(session: SessionUnderTest) -> str:
    """Write a cell that shows a session as its handle does."""
    content = {"version": 1, "id": session.id, "session": None}
    mime = "application/vnd.jupyter-ext.session+json"
    return f"from IPython.display import display\ndisplay({{{mime!r}: {json.loads(json.dumps(content))!r}, 'text/plain': 'session'}}, raw=True)"


def test_a_session_is_looked_at_while_it_trains_and_where_it_stopped(lab, lab_server, session) -> None:
    import torch

    x, y = torch.randn(64, 8), torch.randint(0, 3, (64,))
    lab.page.set_viewport_size({"width": 1280, "height": 1500})
    path = lab_server.write_notebook("session", "%load_ext jupyter_ext", shown(session))
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".jx-session")
    chip = view.locator(".jx-title .jx-chip")
    expect(chip).to_have_text("ready")
    session.call("instantiate")
    expect(view.get_by_text("Models in memory")).to_be_visible()

    session.call("train", {"x": x, "y": y, "steps": 4000, "pause": 0.01})
    expect(chip).to_contain_text("train")
    training = view.locator(".jx-session-item").filter(has=lab.page.get_by_role("button", name="Cancel"))
    expect(training.locator(DRAWN).first).to_be_visible()
    view.get_by_role("button", name="Parameters").click()
    row = view.locator(".jx-parameter").filter(has_text="first.weight")
    expect(row.locator(".jx-spark").first).to_be_visible()
    view.get_by_role("button", name="Stacks").click()
    expect(view.locator(".jx-stacks")).to_contain_text("train")
    lab.screenshot("session-training", view)
    view.get_by_role("button", name="Stacks").click()
    training.get_by_role("button", name="Cancel").click()
    expect(view.locator(".jx-session-item .jx-chip").first).to_have_text("canceled")
    expect(chip).to_have_text("interrupted")
    expect(view.locator(".jx-session-interrupt")).to_contain_text("train was interrupted here")

    session.refused("evaluate", {"x": x})
    expect(chip).to_have_text("stopped at an exception")
    failure = view.locator(".jx-error")
    expect(failure).to_contain_text("ValueError: the scores are not numbers")
    expect(failure.locator(".jx-frame")).to_have_count(2)
    failure.locator(".jx-frame-where").first.click()
    scale = failure.locator(".jx-name-row").filter(has_text="scale")
    expect(scale).to_contain_text("1 NaN")
    failure.locator(".jx-name-row").filter(has_text="scores").first.click()
    field = view.get_by_label("Expression")
    field.fill("x[:, :3] * 2")
    field.press("Enter")
    answer = view.locator(".jx-console-answer").first
    expect(answer).to_contain_text("64 × 3")
    expect(answer.locator(".jx-histogram rect")).not_to_have_count(0)
    expect(answer.locator("canvas")).to_be_visible()
    field.fill("no_such_name")
    field.press("Enter")
    expect(view.locator(".jx-console-answer").first).to_contain_text("NameError")
    lab.screenshot("session-stopped", view)
    lab.set_theme("JupyterLab Dark")
    lab.screenshot("session-stopped-dark", view)

    view.get_by_role("button", name="Terminate…").click()
    view.get_by_role("button", name="Terminate", exact=True).click()
    expect(chip).to_have_text("ended")
    until(lambda: session.now().status == "ended", "the session's end")
    assert [error for error in lab.errors if "422" not in error] == []  # the name that there is not


FLOOD = """
import sys

class Flood:
    def print_on(self):
        block = ("x" * 99 + "\\n") * 10_000
        while True:
            sys.stdout.write(block)
"""


def test_a_flood_of_output_leaves_the_page_to_its_reader(lab, lab_server, engine) -> None:
    session = launch(engine.where, FLOOD, "flood")
    model = session.call("instantiate")["model_id"]
    path = lab_server.write_notebook("flood", "%load_ext jupyter_ext", shown(session))
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    view = lab.cell(1).locator(".jx-session")
    chip = view.locator(".jx-title .jx-chip")
    expect(chip).to_have_text("ready")
    refused: list[dict[str, Any]] = []
    flooding = threading.Thread(
        target=lambda: refused.append(session.refused("call", model_id=model, method="print_on"))
    )
    flooding.start()
    expect(view.get_by_role("log", name="Log")).to_contain_text("bytes left out")
    log = engine.where.sessions_dir / session.id / "logs.txt"
    until(lambda: log.stat().st_size > 300 << 20, "300 MB of output", 60)
    view.get_by_role("button", name="Stacks").click()
    expect(view.locator(".jx-stacks")).to_contain_text("print_on")
    field = view.get_by_label("Expression")
    field.fill("6 * 7")
    field.press("Enter")
    expect(view.locator(".jx-console-answer").first).to_contain_text("42")
    view.get_by_role("button", name="Interrupt").click()
    expect(chip).to_have_text("interrupted")
    flooding.join(30)
    assert refused[0]["code"] == "interrupted"
    assert view.locator(".jx-log-row").count() <= 1_000
    session.terminate()
    assert lab.errors == []
