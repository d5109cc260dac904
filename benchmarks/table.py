"""The table of runs in a real browser with 10,000 runs: how soon a click shows, and what being looked at costs.

The peer is the same request made by the page itself: engine, Jupyter server and JSON, without the table.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

import psutil
from integration_tools import until
from lab_page import CHROMIUM_FLAGS, Lab, find_chromium, start_server, stop_server, wait_until_up
from playwright.sync_api import expect, sync_playwright

from benchmarks.browser import IDLE, end_engine, task_s
from benchmarks.many_runs import NUM_RUNS, fill
from benchmarks.rows import Row, median, print_table
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery

PAGE = 50
ROUNDS = 10
WATCHED_S = 5
SORTS = ("best train/loss", "name", "age")

SORT = """async (table, title) => {
    const first = () => table.querySelector('tbody tr').dataset.id;
    const head = [...table.querySelectorAll('thead button')].find(button => button.textContent.startsWith(title));
    const had = first(), began = performance.now();
    head.click();
    while (first() === had) await new Promise(requestAnimationFrame);
    return performance.now() - began;
}"""
ASK = """async limit => {
    const began = performance.now();
    const url = `/jupyter-ext/engine/native/trainings?sort=min:train/loss&limit=${limit}&offset=0`;
    await (await fetch(url, {cache: 'no-store'})).json();
    return performance.now() - began;
}"""


def measure(lab: Lab) -> list[Row]:
    """Measure in one page."""
    lab.page.set_viewport_size({"width": 1400, "height": 2200})
    lab.open(lab.server.write_notebook("table", "%load_ext jupyter_ext", f"%trainings -n {PAGE}"))
    session = lab.page.context.new_cdp_session(lab.page)
    session.send("Performance.enable")
    lab.run_cell(0)
    lab.run_cell(1)
    table = lab.cell(1).locator(".jx-runs")
    expect(table).to_contain_text(f"1–{PAGE} of {NUM_RUNS:,}")
    expect(table.locator("tbody tr")).to_have_count(PAGE)
    table.get_by_label("Metric").select_option("train/loss")
    until(lambda: "best train/loss" in table.locator("thead").inner_text(), "the metric's columns")
    asked = median([lab.page.evaluate(ASK, PAGE) for _ in range(ROUNDS)])
    took = median([table.evaluate(SORT, SORTS[i % len(SORTS)]) for i in range(ROUNDS)])
    worked = task_s(session)
    frames = lab.page.evaluate(IDLE, WATCHED_S)
    share = 100 * (task_s(session) - worked) / WATCHED_S
    name = f"table of {NUM_RUNS:,} runs, {PAGE} a page"
    return [
        Row(
            f"{name}: sort, click to rows", took, "ms", "the request alone", asked, "<= 3x", took <= 3 * asked
        ),
        Row(f"{name}: main thread while looked at", share, "%", "", None, "<= 10 %", share <= 10),
        Row(f"{name}: frames", frames, "/s", "", None, "", None),
    ]


def run() -> list[Row]:
    """Measure with a server and an engine of its own."""
    chromium = find_chromium()
    if chromium is None:
        print("No Chromium: run `make chromium`.")
        return []
    with tempfile.TemporaryDirectory(prefix="jx-") as directory:
        home = Path(directory)
        where = Locations(home / "engine" / "data", home / "engine" / "runtime")
        process = psutil.Process(int(discovery.ensure(where=where).info["pid"]))
        process.kill()
        until(lambda: not discovery.is_running(where), "the engine's end")
        fill(where.catalog)
        environment = {
            "JUPYTER_EXT_DATA_DIR": str(where.data_dir),
            "JUPYTER_EXT_RUNTIME_DIR": str(where.runtime_dir),
        }
        server = start_server(home, environment)
        try:
            wait_until_up(server)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
                rows = measure(Lab(browser.new_page(), server))
                browser.close()
            return rows
        finally:
            stop_server(server.process)
            end_engine(home)


if __name__ == "__main__":
    print_table(run())
