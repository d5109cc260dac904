"""The list of local models: in JupyterLab, and where our extension is missing."""

from __future__ import annotations

import re

import pytest
from models_page import EXTRA, LOAD, MODELS, WEIGHTS, ModelsPage, show
from playwright.sync_api import expect


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
