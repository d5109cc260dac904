"""The list of models in a notebook of a real JupyterLab: what can be read and pressed there."""

from __future__ import annotations

import re
from urllib.parse import quote

from lab_page import Lab
from playwright.sync_api import Locator, expect

from jupyter_ext.engine_process import discovery

REPO = "sentence-transformers/all-MiniLM-L6-v2"
NAME = "all-MiniLM-L6-v2"
ID = f"hub:{REPO}"
WEIGHTS = "model.safetensors"
SLOW_BYTES_PER_S = 1e6
"""Of each connection: some seconds for MiniLM, enough to look, cancel and kill."""
SLOWEST_BYTES_PER_S = 1e5
"""Minutes: enough for a page to be loaded anew on a busy machine."""
LOAD, MODELS, EXTRA = 0, 1, 2
TEXTS = ["A cat sits on the mat.", "Somewhere a kitten sleeps on a rug.", "Interest rates went up again."]
CALL = f"""\
import jupyter_ext as jx
model = jx.models.get("minilm")
vectors = model({TEXTS!r})
print(vectors.shape, "|", *(vectors @ vectors[0]).round(2))"""
TEN_MINUTES = "import time\ntime.sleep(600)"


class ModelsPage:
    """The list of models under a cell."""

    def __init__(self, cell: Locator) -> None:
        self.root = cell.locator(".jx-models")

    def row(self, name: str = NAME) -> Locator:
        """Return the row of a model."""
        exactly = re.compile(f"^{re.escape(name)}$")
        return self.root.locator(".jx-model").filter(
            has=self.root.page.locator(".jx-model-name", has_text=exactly)
        )

    def part(self, selector: str, name: str = NAME) -> Locator:
        """Return a part of a model's row."""
        return self.row(name).locator(selector)

    def press(self, label: str, name: str = NAME) -> None:
        """Press a button of a model's line."""
        self.part(".jx-model-actions", name).get_by_role("button", name=label, exact=True).click()

    def wait_state(self, state: str, name: str = NAME, timeout_s: float = 60.0) -> None:
        """Wait for a state."""
        expect(self.part(".jx-chip", name)).to_have_text(state, timeout=timeout_s * 1000)

    def add(self, reference: str) -> None:
        """Type a reference and press Add."""
        self.root.get_by_label("Reference of a model to add").fill(reference)
        self.root.get_by_role("button", name="Add", exact=True).click()

    def outputs(self, name: str = NAME) -> Locator:
        """Return what the playground shows."""
        return self.part(".jx-play-item", name)

    def try_it(self, name: str = NAME) -> None:
        """Press Run in the playground, and wait for the answer."""
        self.part(".jx-play-go", name).get_by_role("button", name="Run", exact=True).click()
        expect(self.part(".jx-play-note", name)).to_have_text(re.compile(r"^[\d.]+ m?s$"))

    def percent(self, name: str = NAME) -> int:
        """Return how far the bar is."""
        return int(self.part(".jx-bar", name).get_attribute("aria-valuenow") or 0)


def forget(engine, model_id: str) -> None:
    """Have the engine unload and forget a model."""
    found = discovery.find(engine.where)
    if found is not None:
        path = f"/native/models/{quote(model_id, safe='')}?force=1"
        discovery.request(found.socket_path, "DELETE", path, timeout_s=30.0)


def show(lab: Lab, lab_server, name: str, *cells: str) -> ModelsPage:
    """Open a notebook that shows the models in its second cell."""
    lab.page.set_viewport_size({"width": 1280, "height": 1400})
    lab.open(lab_server.write_notebook(name, "%load_ext jupyter_ext", "%models", *cells))
    lab.run_cell(LOAD)
    lab.run_cell(MODELS)
    page = ModelsPage(lab.cell(MODELS))
    page.root.scroll_into_view_if_needed()
    return page


def numbers(line: Locator, name: str) -> list[float]:
    """Return the numbers after a name in a line of facts."""
    fact = line.locator(".jx-play-facts > span").filter(has_text=re.compile(f"^{name}")).locator("span").last
    return [float(part) for part in fact.inner_text().split()]
