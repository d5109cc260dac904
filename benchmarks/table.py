"""The table of runs in a real browser with 10,000 runs: how soon a click shows, and what being looked at costs.

The peer is the same request made by the page itself: engine, Jupyter server and JSON, without the table.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.many_runs import NUM_RUNS, fill
from benchmarks.support.lab import IDLE, Lab, expect, page, task_s, until
from benchmarks.support.own_engine import own_engine, stop
from benchmarks.support.rows import Row, at_most, median
from benchmarks.support.scale import scaled
from jupyter_ext.config import locations
from jupyter_ext.engine_process import discovery

PAGE = 50
ROUNDS = scaled(10, 1)
WATCHED_S = scaled(5, 1)
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


def measure(lab: Lab) -> Iterator[Row]:
    """Measure in one page."""
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
    name = f"table of {NUM_RUNS:,} runs, {PAGE} a page"
    yield Row(f"{name}: sort, click to rows", took, "ms", "the request alone", asked, at_most(3))
    worked = task_s(session)
    frames = lab.page.evaluate(IDLE, WATCHED_S)
    share = 100 * (task_s(session) - worked) / WATCHED_S
    yield Row(f"{name}: main thread", share, "%", goal=at_most(10, "%"))
    yield Row(f"{name}: frames", frames, "/s")


def run() -> Iterator[Row]:
    """Measure with a server and an engine of its own."""
    with own_engine():
        discovery.ensure()
        stop()
        fill(locations().catalog)
        with page(width=1400, height=2200) as lab:
            yield from measure(lab)
