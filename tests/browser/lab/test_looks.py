"""Themes, narrow places, and the saved output where nothing of ours is alive."""

from __future__ import annotations

import nbformat
from integration_tools import until
from panel_page import steady
from playwright.sync_api import expect

WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
"""Gone from a saved output at the end: in some front ends a dead widget hides the picture."""
BACKGROUND = "node => getComputedStyle(node).backgroundColor"
MANY_KINDS = """\
%%train kinds -i epochs=12 -i note="a rather long value of an input, to see where it breaks"
import math, random, time
from jupyter_ext import log, progress

def train(epochs: int, note: str = ""):
    random.seed(0)
    for step in range(1, 301):
        log({"train/loss": 2.3 * math.exp(-step / 60) + random.random() / 5, "lr": 1e-3 * (1 - step / 300),
             "grad_norm": abs(random.gauss(3, 1)), "tokens_per_second": 15_000 + random.random() * 900}, step=step)
        if step % 25 == 0:
            log({"val/loss": 2.4 * math.exp(-step / 60) + 0.15, "val/acc": 1 - math.exp(-step / 80)}, step=step)
            print(f"\\033[1mepoch {step // 25}\\033[0m/{epochs} \\033[32mval_acc {1 - math.exp(-step / 80):.3f}\\033[0m")
        progress(step, 300)
    log({"test/perplexity": float("nan")}, step=300)
    return {"accuracy": 0.98, "checkpoint": "/tmp/somewhere/model.safetensors"}"""


def run(lab, lab_server, name: str, cell: str):
    """Run a training to its end on a page that is high enough for a picture of all of it."""
    lab.page.set_viewport_size({"width": 1280, "height": 1600})
    path = lab_server.write_notebook(name, "%load_ext jupyter_ext", cell)
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.root.scroll_into_view_if_needed()
    panel.wait_status("succeeded")
    panel.wait_drawn()
    return path, panel


def test_themes_switch_under_a_panel(lab, lab_server) -> None:
    _path, panel = run(lab, lab_server, "themes", MANY_KINDS)
    panel.part(".jx-details summary").click()
    light = panel.root.evaluate(BACKGROUND)
    lab.screenshot("kinds-light", panel.root)
    lab.set_theme("JupyterLab Dark")
    try:
        until(lambda: panel.root.evaluate(BACKGROUND) != light, "a dark panel")
        expect(panel.root).to_have_attribute("data-theme", "dark")
        until(lambda: brightest(panel.part(".jx-plot canvas").first) > 120, "light ticks")
        panel.root.scroll_into_view_if_needed()
        lab.screenshot("kinds-dark", panel.root)
        panel.part(".jx-slider input").fill("70")
        lab.page.set_viewport_size({"width": 760, "height": 2000})
        until(lambda: panel.root.evaluate("root => root.clientWidth") < 620, "a narrow panel")
        until(
            lambda: panel.root.evaluate("root => root.scrollWidth <= root.clientWidth"),
            "nothing sticking out",
        )
        lab.screenshot("kinds-narrow-dark", panel.root)
    finally:
        lab.set_theme("JupyterLab Light")
    assert lab.errors == []


BRIGHTEST_GREY = """canvas => {
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    let most = 0;
    for (let i = 0; i < data.length; i += 4) {
        const [red, green, blue] = [data[i], data[i + 1], data[i + 2]];
        if (data[i + 3] > 120 && Math.max(red, green, blue) - Math.min(red, green, blue) < 12) most = Math.max(most, red);
    }
    return most;
}"""
"""Axes and their ticks are grey, curves are not."""


def brightest(canvas) -> float:
    return float(canvas.evaluate(BRIGHTEST_GREY))


def test_saved_output_where_nothing_is_alive(lab, lab_server) -> None:
    path, panel = run(lab, lab_server, "saved", steady(200, name="saved"))
    until(lambda: WIDGET_TYPE not in lab.output_data(1), "the saved output's last state")
    lab.save()
    saved = nbformat.read(lab_server.root / path, as_version=4)
    data = saved.cells[1].outputs[0].data
    assert data["text/plain"].startswith(f"Training saved ({panel.training_id()}): succeeded in ")
    assert data["image/svg+xml"].startswith("<svg ")
    assert ">succeeded in " in data["image/svg+xml"]
    nbformat.validate(saved)

    html = lab_server.root / "saved.html"
    html.write_text(as_html(saved))
    lab.page.goto(html.as_uri())
    picture = lab.page.locator(".jp-RenderedSVG img")
    until(lambda: picture.evaluate("image => image.complete && image.naturalWidth") == 720, "the picture")
    lab.screenshot("nbconvert", lab.page.locator(".jp-Cell").nth(1))


def as_html(notebook: nbformat.NotebookNode) -> str:
    from nbconvert.exporters import HTMLExporter

    return HTMLExporter().from_notebook_node(notebook)[0]
