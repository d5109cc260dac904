"""The table of runs with ten thousand of them: pages, whole sorting, and no more rows in the page than are shown."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration_tools import until
from lab_page import DEADLINE_S, Lab, LabServer, start_server, stop_server, wait_until_up
from panel_page import EngineOnDisk
from playwright.sync_api import Browser, expect

from benchmarks.many_runs import NUM_RUNS, fill
from jupyter_ext.engine_process import discovery

PAGE = 50


@pytest.fixture
def full_server(engine_home) -> Iterator[LabServer]:
    """Start a JupyterLab whose engine has ten thousand runs."""
    engine = EngineOnDisk(engine_home.data_dir, engine_home.runtime_dir)
    discovery.ensure(where=engine.where)
    engine.kill()
    fill(engine.where.catalog)
    home = Path(tempfile.mkdtemp(prefix="jx-lab-", dir="/tmp"))
    server = start_server(home, engine_home.environment)
    try:
        wait_until_up(server)
        yield server
    finally:
        stop_server(server.process)
        engine_home.kill_engine()
        shutil.rmtree(home, ignore_errors=True)


def test_ten_thousand_runs_in_pages(full_server: LabServer, chromium: Browser) -> None:
    context = chromium.new_context(viewport={"width": 1400, "height": 2000})
    context.set_default_timeout(DEADLINE_S * 1000)
    lab = Lab(context.new_page(), full_server)
    lab.listen()
    lab.open(full_server.write_notebook("many", "%load_ext jupyter_ext", f"%trainings -n {PAGE}"))
    lab.run_cell(0)
    lab.run_cell(1)
    table = lab.cell(1).locator(".jx-runs")
    rows = table.locator("tbody tr")

    def seeds() -> list[int]:
        ids = rows.evaluate_all("rows => rows.map(row => row.dataset.id)")
        return [int(id_.removeprefix("run")) for id_ in ids]

    expect(table).to_contain_text(f"1–{PAGE} of 10,000")
    assert seeds() == list(range(NUM_RUNS - 1, NUM_RUNS - 1 - PAGE, -1))
    table.get_by_label("Metric").select_option("train/loss")
    table.get_by_role("button", name="best train/loss").click()
    by_loss = sorted(range(NUM_RUNS), key=lambda number: number * 7919 % NUM_RUNS)
    until(lambda: seeds() == by_loss[:PAGE], "the smallest of all, not of a page")
    table.get_by_role("button", name="Next page").click()
    until(lambda: seeds() == by_loss[PAGE : 2 * PAGE], "the next page")
    expect(table).to_contain_text(f"{PAGE + 1}–{2 * PAGE} of 10,000")
    assert rows.count() == PAGE
    table.get_by_label("Filter by status").select_option("failed")
    expect(table).to_contain_text(f"1–{PAGE} of 1,000")
    table.get_by_label("Filter by name, id or tag").fill(f"run{NUM_RUNS - 10:023d}")
    until(lambda: seeds() == [NUM_RUNS - 10], "one run by its id")
    expect(table.get_by_role("button", name="Next page")).to_be_hidden()
    lab.screenshot("table-many-light", lab.cell(1))
    assert lab.errors == []
    context.close()
