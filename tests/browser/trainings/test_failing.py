"""What a person sees when it goes wrong: the cause in their own words and lines, and nothing of ours."""

from __future__ import annotations

from panel_page import steady
from playwright.sync_api import expect

RAISES = """\
%%train raises
from jupyter_ext import log

def deeper(rows):
    return rows["label"]

def train():
    for step in range(30):
        log(loss=1 / (1 + step), step=step)
    print("about to fail")
    return helper(deeper)
"""


HELPER = """\
%load_ext jupyter_ext
import sys

def helper(function):
    for i in range(3):
        print("a warning", i, file=sys.stderr)
    return function({})
"""


def test_an_exception(lab, lab_server) -> None:
    lab.open(lab_server.write_notebook("raises", HELPER, RAISES))
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.root.scroll_into_view_if_needed()
    panel.wait_status("failed")
    error = panel.part(".jx-error")
    expect(error.locator(".jx-error-title")).to_have_text("KeyError: 'label'")
    expect(panel.part(".jx-frame-file").last).to_have_text("Cell raises, line 5")
    frames = error.locator(".jx-frame")
    expect(frames).to_have_count(3)
    expect(frames.nth(0)).to_contain_text("train")
    expect(frames.nth(0).locator(".jx-frame-line")).to_have_text("11")
    expect(frames.nth(2).locator(".jx-frame-line")).to_have_text("5")
    expect(frames.nth(2).locator("code")).to_have_text('return rows["label"]')
    expect(error).not_to_contain_text("jupyter_ext/")
    panel.wait_points("loss/loss", 30)
    expect(panel.part(".jx-log-row").first).to_have_text("about to fail")
    lab.screenshot("exception", panel.root)
    see_the_log(lab, panel)
    assert lab.errors == []


def see_the_log(lab, panel) -> None:
    """Streams are told apart, the traceback is folded, and its lines lead to their cells."""
    log = panel.part(".jx-log-frame .jx-log")
    expect(log.locator(".jx-log-err:not(.jx-log-folded)")).to_have_count(5)
    expect(log.locator(".jx-log-row:not(.jx-log-err)")).to_have_text(["about to fail"])
    expect(log.get_by_text("KeyError: 'label'")).to_be_visible()
    expect(log.locator(".jx-log-folded").first).to_be_hidden()
    panel.part(".jx-section-head").get_by_text("Times").click()
    panel.part("select[aria-label=Stream]").select_option("stderr")
    expect(panel.part(".jx-log-hit").first).to_contain_text("a warning 0")
    lab.screenshot("log-streams-light", panel.root)
    log.locator(".jx-log-fold").get_by_text("Cell raises, line 5").click()
    wait_selected(lab, 1, '    return rows["label"]')
    log.locator(".jx-log-fold-toggle").click()
    expect(log.locator(".jx-log-folded")).to_have_count(0)
    log.get_by_text("Cell In[1], line 7").click()
    wait_selected(lab, 0, "    return function({})")
    panel.part(".jx-frame-file").first.get_by_text("Cell raises, line 11").click()
    wait_selected(lab, 1, "    return helper(deeper)")
    lab.set_theme("JupyterLab Dark")
    try:
        expect(panel.root).to_have_attribute("data-theme", "dark")
        lab.screenshot("log-streams-dark", panel.root)
    finally:
        lab.set_theme("JupyterLab Light")


def wait_selected(lab, cell: int, line: str) -> None:
    """Wait until a line of a cell is selected."""
    lab.page.wait_for_function(
        """([cell, line]) => {
            const { content } = window.jupyterapp.shell.currentWidget;
            const { editor } = content.activeCell;
            const { start, end } = editor.getSelection();
            return content.activeCellIndex === cell && start.line === end.line
                && editor.getLine(start.line).slice(start.column, end.column) === line;
        }""",
        arg=[cell, line],
    )


def test_a_killed_worker(lab, lab_server, engine) -> None:
    lab.open(lab_server.write_notebook("killed", "%load_ext jupyter_ext", steady(20_000, pause_s=0.01)))
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.root.scroll_into_view_if_needed()
    panel.wait_points("loss/train", 20)
    engine.worker(panel.training_id()).kill()
    panel.wait_status("failed")
    expect(panel.part(".jx-error")).to_contain_text("SIGKILL")
    drawn = panel.curves()["loss/train"].x
    assert drawn == list(range(len(drawn)))
    lab.screenshot("killed-worker", panel.root)


def test_mistakes_in_the_cell_are_one_line(lab, lab_server) -> None:
    bodies = {
        "%%train typo\ndef train(:\n    pass": "line 2 of the cell",
        "%%train wrong -i epochs=many\ndef train(epochs: int = 3):\n    pass": "epochs",
        "%%train unknown -i epoch=3\ndef train(epochs: int = 3):\n    pass": "epoch",
        "%%train missing\ndef train(epochs: int):\n    pass": "epochs",
        "%train nothing": "nothing",
    }
    lab.open(lab_server.write_notebook("mistakes", "%load_ext jupyter_ext", *bodies))
    lab.run_cell(0)
    for index, word in enumerate(bodies.values(), 1):
        outputs = lab.run_cell(index)
        expect(outputs).to_contain_text(word)
        expect(outputs).not_to_contain_text("Traceback")
        expect(lab.panel(index).root).to_have_count(0)
    lab.page.locator(".jp-Notebook").first.evaluate("node => node.scrollTo(0, 0)")
    lab.screenshot("mistakes")
    for index, body in enumerate(bodies, 1):
        text = lab.outputs(index).inner_text().strip()
        assert len(text.splitlines()) == 1, (body, text)
