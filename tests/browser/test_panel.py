"""The side panel and the tabs of the main area: what a person does who never types a magic."""

from __future__ import annotations

from playwright.sync_api import expect

TRAINING = """\
import jupyter_ext as jx
from jupyter_ext import log, progress

def falling(steps: int = 50):
    for step in range(steps):
        log({"train/loss": 2 / (2 + step)}, step=step)
        progress(step + 1, steps)

run = jx.train(falling, name="falling")
run.wait()
run.id"""


def test_a_training_opens_in_a_tab_and_stays_after_a_reload(lab, lab_server) -> None:
    lab.open(lab_server.write_notebook("tabs", TRAINING))
    training_id = lab.run_cell(0).last.inner_text().strip("'")
    lab.command("jupyter-ext:open", kind="training", id=training_id)
    tab = lab.page.locator(".jp-JupyterExt-tab:visible")
    expect(tab.locator(".jx-chip")).to_have_text("succeeded")
    expect(tab.locator(".jx-plot .trace.scatter path").first).to_be_attached()
    lab.page.goto(f"{lab_server.url}lab?token={lab_server.token}&jupyter-ext=training:{training_id}")
    expect(lab.page.locator(".jp-JupyterExt-tab:visible .jx-chip")).to_have_text("succeeded")
    lab.page.wait_for_function("() => !location.search.includes('jupyter-ext')")
    assert lab.errors == []
