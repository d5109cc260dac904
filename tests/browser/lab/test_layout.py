"""Tabs of the main area: what they show, restored after a reload, opened by the address, and what a narrow window leaves."""

from __future__ import annotations

import re
from typing import Any

import pytest
from integration_tools import until
from lab_page import DEADLINE_S, Lab, LabServer
from panel_page import EngineOnDisk
from playwright.sync_api import Locator, Route, expect

SOME = """\
import jupyter_ext as jx
from jupyter_ext import log

def falling(rate: float):
    for step in range(50):
        log({"train/loss": 1 / (1 + rate * step)}, step=step)

class Net:
    def evaluate(self, x: float):
        return 2 * x

runs = [jx.train(falling, name=f"rate-{i}", rate=0.1 * i) for i in (1, 2)]
for run in runs:
    run.wait()
session = jx.debug(Net, name="doubling")
(",".join(run.id for run in runs), session.id)"""


def tab(lab: Lab) -> Locator:
    return lab.page.locator(".jp-JupyterExt-tab:visible")


def titles(lab: Lab) -> list[str]:
    found: list[str] = lab.evaluate(
        "app => [...app.shell.widgets('main')].filter(one => one.id.startsWith('jupyter-ext-'))"
        ".map(one => one.title.label)"
    )
    return found


def wait_restored(lab: Lab) -> None:
    lab.page.wait_for_function("() => window.jupyterapp !== undefined", timeout=DEADLINE_S * 1000)
    lab.evaluate("app => app.restored")


@pytest.mark.timeout(240)
def test_tabs_come_back_after_a_reload_and_by_the_address(
    lab: Lab, lab_server: LabServer, engine: EngineOnDisk
) -> None:
    lab.page.set_viewport_size({"width": 1500, "height": 900})
    lab.open(lab_server.write_notebook("tabs", SOME))
    ids, session = re.findall(r"'([^']+)'", lab.run_cell(0).last.inner_text())
    lab.command("jupyter-ext:open", kind="compare", id=ids)
    expect(tab(lab).locator(".jx-plot[data-lines]").first).to_be_attached()
    lab.screenshot("tab-compare-light")
    lab.command("jupyter-ext:open", kind="session", id=session, name="doubling")
    expect(tab(lab).locator(".jx-title .jx-chip")).to_have_text("ready")
    lab.command("jupyter-ext:open", kind="models")
    expect(tab(lab).locator(".jx-models")).to_be_visible()
    assert titles(lab) == ["Comparison", "doubling", "Models"]
    until(lambda: kept(lab, session), "the saved layout")
    lab.page.reload()
    wait_restored(lab)
    until(lambda: titles(lab) == ["Comparison", "doubling", "Models"], "the tabs of before")
    lab.command("jupyter-ext:open", kind="session", id=session)
    expect(tab(lab).locator(".jx-title .jx-chip")).to_have_text("ready")
    assert len(titles(lab)) == 3, "what is open is shown, not opened again"

    # by the address, also together with JupyterLab's own parameter, which goes to the address as it was
    first = ids.split(",")[0]
    for query in ("?reset&", "?"):
        lab.page.goto(f"{lab_server.url}lab{query}token={lab_server.token}&jupyter-ext=training:{first}")
        wait_restored(lab)
        expect(tab(lab).locator(".jx-title .jx-chip")).to_have_text("succeeded")
        lab.page.wait_for_function("() => !/jupyter-ext|reset/.test(location.search)")
    engine.post(f"/native/sessions/{session}/terminate")
    assert lab.errors == []


def kept(lab: Lab, session: str) -> bool:
    """Whether the saved workspace has the tab of a session."""
    saved: Any = lab.evaluate(
        "async app => JSON.stringify(await app.serviceManager.workspaces.fetch('default'))"
    )
    return f"session:{session}" in saved and '"models"' in saved


LOADED = """() => performance.getEntriesByType('resource')
    .filter(({name}) => name.includes('/extensions/jupyter-ext/')).reduce((sum, one) => sum + one.decodedBodySize, 0)"""
"""Bytes of ours that a page has loaded."""


def without_engine(route: Route) -> None:
    """Answer as a server does whose user has no engine."""
    answer = route.fetch()
    route.fulfill(response=answer, json={**answer.json(), "engine": "stopped"})


def test_little_is_loaded_before_anything_is_opened(lab: Lab, lab_server: LabServer) -> None:
    lab.page.route("**/jupyter-ext/info*", without_engine)
    lab.open_lab()
    loaded = lab.page.evaluate(LOADED)
    assert 10_000 < loaded <= 60_000
    lab.command("jupyter-ext:show-panel")
    expect(lab.page.locator(".jx-side")).to_be_visible()
    assert lab.page.evaluate(LOADED) > loaded, "the side panel comes when it is shown"


def test_an_engine_is_started_only_by_hand_where_that_is_set(lab: Lab, lab_server: LabServer) -> None:
    lab.page.route("**/jupyter-ext/info*", without_engine)
    refusal = {"title": "Service Unavailable", "detail": "The engine is not running."}
    lab.page.route("**/jupyter-ext/running/**", lambda route: route.fulfill(status=503, json=refusal))
    asked: list[str] = []
    lab.page.on("request", lambda request: asked.append(request.url.partition("/jupyter-ext/")[2]))
    with lab_server.settings(engine_start="never"):
        lab.open_lab()
        lab.command("jupyter-ext:open", kind="trainings")
        expect(tab(lab)).to_contain_text("Not live: The engine is not running")
        lab.command("jupyter-ext:show-panel")
        panel = lab.page.locator(".jx-side")
        expect(panel.locator(".jx-side-state")).to_have_text("Engine is not running")
        lab.screenshot("settings-never-light")
        assert [url for url in asked if url.startswith("engine/")] == []
        with lab.page.expect_request("**/jupyter-ext/engine/native/engine*"):
            panel.get_by_role("button", name="Start", exact=True).click()


def test_a_narrow_window_shows_all_of_it(lab: Lab, lab_server: LabServer) -> None:
    lab.page.set_viewport_size({"width": 480, "height": 900})
    lab.open_lab()
    lab.command("jupyter-ext:show-panel")
    panel = lab.page.locator(".jx-side")
    expect(panel).to_be_visible()
    for kind in ("trainings", "models"):
        lab.command("jupyter-ext:open", kind=kind)
        expect(tab(lab)).to_be_visible()
        expect(tab(lab).locator(".jx-panel").first).to_be_visible()
    lab.screenshot("narrow-light")
    overflow = (
        "node => [node.clientWidth, ...[...node.children].map(one => one.getBoundingClientRect().width)]"
    )
    for part in (panel, tab(lab)):
        width, *inner = part.evaluate(overflow)
        assert max(inner, default=0) <= width + 1, part
    assert [error for error in lab.errors if "503" not in error] == []
