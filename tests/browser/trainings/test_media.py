"""Media under the chart: every kind is drawn, the slider scrubs, and what a run logged never runs in the page."""

from __future__ import annotations

from integration_tools import until
from playwright.sync_api import expect

CELL = """\
%%train pictures -i steps=30
import numpy as np, math
import jupyter_ext as jx

def train(steps: int):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:96, 0:96] / 96
    for step in range(steps):
        values = {"train/loss": math.exp(-step / 8), "weights/fc1": jx.Histogram(rng.normal(step / 15, 1 + step / 30, 5_000))}
        if step % 5 == 4:
            digits = [jx.Image((np.sin(10 * x + step + k) * np.cos(8 * y) + 1) / 2, caption=f"class {k}") for k in range(4)]
            values["samples"] = digits
            values["reconstruction"] = jx.Image(np.stack([x, y, (x + y + step / steps) % 1], -1))
            values["confusion"] = jx.ConfusionMatrix(rng.integers(0, 4, 500), rng.integers(0, 4, 500) * (rng.random(500) > 0.7),
                                                     class_names=["cat", "dog", "bird", "fish"])
            values["predictions"] = jx.Table([[f"sample {i}", float(rng.random()), bool(i % 3)] for i in range(40)],
                                             columns=["text", "score", "correct"])
        jx.log(values, step=step)
    truth = rng.integers(0, 2, 400)
    jx.log({"pr": jx.PRCurve(truth, truth * 0.4 + rng.random(400)),
            "note": jx.Text("The quick brown fox <b>jumps</b> over the lazy dog."),
            "tone": jx.Audio(np.sin(np.arange(8_000) / 5), 8_000),
            "page": jx.Html("<h3>Attention</h3><script>try { parent.hacked = 1 } catch (e) { document.body.append(e.name) }</script>"),
            "clip": jx.Video(rng.integers(0, 255, (6, 48, 64, 3), np.uint8), fps=3)}, step=steps - 1)
"""


def test_media_of_every_kind_are_drawn_and_scrubbed(lab, lab_server) -> None:
    lab.page.set_viewport_size({"width": 1280, "height": 2600})
    lab.open(lab_server.write_notebook("media", "%load_ext jupyter_ext", CELL))
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.wait_status("succeeded")
    panel.root.scroll_into_view_if_needed()
    cards = panel.part(".jx-media-card")
    expect(cards).to_have_count(10)
    expect(panel.part('.jx-media-card[aria-label="samples"] img')).to_have_count(4)
    expect(panel.part(".jx-media-failed")).to_have_count(0)
    expect(panel.part('.jx-media-card[aria-label="note"] pre')).to_contain_text("<b>jumps</b>")
    frame = panel.part(".jx-media-frame")
    assert frame.get_attribute("sandbox") == "allow-scripts"
    expect(frame.content_frame.locator("body")).to_contain_text("SecurityError")
    assert lab.page.evaluate("window.hacked") is None
    until(lambda: pictures_are_there(panel), "all pictures")
    lab.screenshot("media-light", panel.root)
    slider = panel.part(".jx-media input[type=range]")
    slider.fill("4")
    expect(panel.part(".jx-media-where")).to_have_text("step 4")
    expect(panel.part('.jx-media-card[aria-label="note"] .jx-media-none')).to_have_text(
        "The first is at step 29."
    )
    expect(panel.part('.jx-media-card[aria-label="samples"] .jx-media-step')).to_have_text("step 4")
    slider.fill("29")
    lab.set_theme("JupyterLab Dark")
    try:
        expect(panel.root).to_have_attribute("data-theme", "dark")
        until(lambda: pictures_are_there(panel), "all pictures")
        lab.screenshot("media-dark", panel.root)
    finally:
        lab.set_theme("JupyterLab Light")
    assert lab.errors == []


def pictures_are_there(panel) -> bool:
    return panel.part(".jx-media").evaluate(
        "node => [...node.querySelectorAll('img')].length > 5 && "
        "[...node.querySelectorAll('img')].every(image => image.complete && image.naturalWidth)"
    )
