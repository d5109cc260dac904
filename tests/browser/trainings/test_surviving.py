"""Whatever ends around a training, its panel finds it again, and not one point is missing or doubled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from integration_tools import until
from line import Line
from panel_page import AFTER_GATE, PanelPage, assert_steady_is_complete, steady
from playwright.sync_api import expect

LOAD, TRAIN = 0, 1
STEPS = 400
BEFORE_GATE = STEPS - AFTER_GATE


@dataclass
class Started:
    """A steady training in an open notebook; it ends only after `let_end`."""

    path: str
    panel: PanelPage
    gate: Path

    def let_end(self, panel: PanelPage | None = None) -> None:
        """See that it still runs, let it end, and find everything there."""
        panel = panel or self.panel
        panel.root.scroll_into_view_if_needed()
        expect(panel.part(".jx-chip")).to_have_text("processing")
        panel.wait_points("loss/train", BEFORE_GATE)
        self.gate.touch()
        panel.wait_status("succeeded")
        assert_steady_is_complete(panel, STEPS)


@pytest.fixture
def line(lab, lab_server) -> Iterator[Line]:
    """Put a line that can go away between the page and the server."""
    line = Line(urlsplit(lab_server.url).port)
    lab.server = replace(lab_server, url=f"http://127.0.0.1:{line.port}/")
    yield line
    line.close()


@pytest.fixture
def started(lab, lab_server, line, request, tmp_path) -> Started:
    """Start a steady training and wait until its curves grow."""
    name = request.node.name.removeprefix("test_")
    gate = tmp_path / "gate"
    path = lab_server.write_notebook(name, "%load_ext jupyter_ext", steady(STEPS, name=name, gate=gate))
    lab.open(path)
    lab.run_cell(LOAD)
    lab.run_cell(TRAIN)
    panel = lab.panel(TRAIN)
    panel.root.scroll_into_view_if_needed()
    panel.wait_points("loss/train", 30)
    return Started(path, panel, gate)


def test_kernel_restart(lab, started) -> None:
    lab.restart_kernel()
    started.let_end()
    assert lab.errors == []


def test_page_reload(lab, started) -> None:
    training_id = started.panel.training_id()
    lab.save()
    lab.reload()
    started.let_end()
    assert started.panel.training_id() == training_id


def test_tab_closed_and_opened_again(lab, started) -> None:
    lab.save()
    lab.reopen_page()
    lab.open(started.path)
    started.let_end(lab.panel(TRAIN))
    assert lab.errors == []


def test_without_kernel(lab, lab_server, started) -> None:
    lab.save()
    lab.reopen_page()
    lab_server.end_kernels()
    lab.open_without_kernel(started.path)
    panel = lab.panel(TRAIN)
    panel.root.scroll_into_view_if_needed()
    panel.wait_drawn()
    lab.screenshot("without-kernel")
    started.let_end(panel)
    assert lab.kernel_status() is None
    assert lab.errors == []


def test_engine_killed_and_line_lost(lab, engine, line, started) -> None:
    panel = started.panel
    panel.watch_connection()
    pid = engine.pid()
    engine.kill()
    until(lambda: "reconnecting…" in panel.connection_texts(), "the word that it reconnects")
    lab.screenshot("engine-killed", panel.root)
    expect(panel.part(".jx-connection")).to_be_hidden()
    panel.wait_points("loss/train", BEFORE_GATE)
    with line.swallowing():  # as where a network goes away: nobody is told
        expect(panel.part(".jx-connection")).to_have_text("reconnecting…", timeout=15_000)
    expect(panel.part(".jx-connection")).to_be_hidden()
    started.let_end()
    assert engine.pid() != pid


def test_jupyter_server_restarted(lab, lab_server, started) -> None:
    panel = started.panel
    panel.watch_connection()
    lab_server.stop()
    until(lambda: "reconnecting…" in panel.connection_texts(), "the word that it reconnects")
    lab.screenshot("server-stopped")
    lab_server.start()
    expect(panel.part(".jx-connection")).to_be_hidden(timeout=30_000)
    started.let_end()
    lab.screenshot("server-restarted")


def test_run_directory_deleted(lab, engine, started) -> None:
    """What was last known stays on the screen, with a line that says what happened."""
    started.let_end()
    training_id = started.panel.training_id()
    until(lambda: engine.get(f"/native/trainings/{training_id}")["status"] == "succeeded", "the end")
    expect(lab.outputs(TRAIN)).to_be_visible()
    until(lambda: lab.saved_status(TRAIN) == "succeeded", "the saved output's last state")
    lab.save()
    lab.reopen_page()
    engine.kill()
    gone = (engine.where.runs_dir / training_id).rename(engine.where.data_dir / "deleted")
    shutil.rmtree(gone, ignore_errors=True)  # what seals it outlives the engine, and may be at work there
    lab.open(started.path)
    panel = lab.panel(TRAIN)
    panel.root.scroll_into_view_if_needed()
    expect(panel.part(".jx-message[data-tone=error]")).to_contain_text(training_id)
    expect(panel.part(".jx-chip")).to_have_text("succeeded")
    expect(panel.part(".jx-last")).to_contain_text("accuracy")
    lab.screenshot("run-directory-deleted", panel.root)
