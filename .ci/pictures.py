"""Take the README's pictures of the real product: JupyterLab in Chromium, a cell that trained and its panel, light and dark.

Usage: python .ci/pictures.py docs/pictures
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / folder) for folder in ("support/browser", "support", ".")]

from conftest import make_engine_home  # noqa: E402
from lab_page import CHROMIUM_FLAGS, Lab, find_chromium, start_server, stop_server, wait_until_up  # noqa: E402
from PIL import Image  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

CELLS = (
    "%load_ext jupyter_ext",
    """\
%%train digits -i epochs=8 -i lr=1e-3
import torch
from sklearn.datasets import load_digits
from jupyter_ext import log, progress

def train(epochs: int, lr: float = 1e-3):
    images, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels)
    model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    step = 0
    for epoch in range(epochs):
        for batch in torch.randperm(1437).split(32):
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad(); loss.backward(); optimizer.step()
            step += 1
            log({"train/loss": loss}, step=step)
        with torch.no_grad():
            scores = model(x[1437:])
        log({"test/loss": torch.nn.functional.cross_entropy(scores, y[1437:]),
             "test/accuracy": (scores.argmax(1) == y[1437:]).float().mean()}, step=step)
        progress(epoch + 1, epochs)
        print(f"epoch {epoch + 1}/{epochs}: test accuracy {(scores.argmax(1) == y[1437:]).float().mean():.1%}")""",
)
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def main(target: Path) -> int:
    """Write `panel-light.png` and `panel-dark.png`; return the exit code."""
    chromium = find_chromium()
    if chromium is None:
        print("No Chromium: run `make chromium`, or set JUPYTER_EXT_CHROMIUM.", file=sys.stderr)
        return 1
    target.mkdir(parents=True, exist_ok=True)
    engine_home = make_engine_home()
    os.environ.update(engine_home.environment)
    home = Path(tempfile.mkdtemp(prefix="jx-pictures-", dir="/tmp"))
    server = start_server(home, engine_home.environment)
    try:
        wait_until_up(server)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
            page = browser.new_context(viewport={"width": 1280, "height": 1180}).new_page()
            lab = Lab(page, server)
            lab.open(server.write_notebook("digits", *CELLS))
            lab.run_cell(0)
            lab.run_cell(1)
            lab.command("application:toggle-left-area")
            panel = lab.panel(1)
            panel.wait_status("succeeded", 120)
            panel.wait_drawn()
            for name, theme in THEMES.items():
                lab.set_theme(theme)
                panel.wait_drawn()
                lab.cell(1).scroll_into_view_if_needed()
                page.mouse.move(2, 2)
                take(lab, target / f"panel-{name}.png")
            browser.close()
    finally:
        stop_server(server.process)
        engine_home.kill_engine()
        for path in (home, engine_home.path):
            shutil.rmtree(path, ignore_errors=True)
    return 0


def take(lab: Lab, path: Path) -> None:
    """Take a picture of the cell and its panel, with 256 colours, which is a third of the bytes."""
    shot = Image.open(io.BytesIO(lab.cell(1).screenshot()))
    shot.convert("RGB").quantize(256).save(path, optimize=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
