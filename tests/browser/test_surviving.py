"""Whatever ends around a training, its panel finds it again, and not one point is missing or doubled."""

from __future__ import annotations

from integration_tools import until
from panel_page import assert_steady_is_complete, steady
from playwright.sync_api import expect

LOAD, TRAIN = 0, 1
STEPS = 700
PAUSE_S = 0.015


def start(lab, lab_server, name: str):
    """Start a steady training of about ten seconds and wait until its curves grow."""
    path = lab_server.write_notebook(name, "%load_ext jupyter_ext", steady(STEPS, PAUSE_S, name=name))
    lab.open(path)
    lab.run_cell(LOAD)
    lab.run_cell(TRAIN)
    panel = lab.panel(TRAIN)
    panel.root.scroll_into_view_if_needed()
    panel.wait_points("loss/train", 30)
    return path, panel


def finish(panel) -> None:
    """See the training end and find everything there."""
    panel.root.scroll_into_view_if_needed()
    panel.wait_status("succeeded")
    assert_steady_is_complete(panel, STEPS)


def test_kernel_restart(lab, lab_server) -> None:
    _path, panel = start(lab, lab_server, "kernel-restart")
    lab.restart_kernel()
    expect(panel.part(".jx-chip")).to_have_text("processing")
    finish(panel)
    assert lab.errors == []


def test_page_reload(lab, lab_server) -> None:
    _path, panel = start(lab, lab_server, "reload")
    training_id = panel.training_id()
    lab.save()
    lab.reload()
    panel.root.scroll_into_view_if_needed()
    expect(panel.part(".jx-chip")).to_have_text("processing")
    assert panel.training_id() == training_id
    finish(panel)


def test_tab_closed_and_opened_again(lab, lab_server) -> None:
    path, panel = start(lab, lab_server, "tab")
    lab.save()
    lab.reopen_page()
    lab.open(path)
    panel = lab.panel(TRAIN)
    finish(panel)
    assert lab.errors == []


def test_without_kernel(lab, lab_server) -> None:
    path, panel = start(lab, lab_server, "no-kernel")
    lab.save()
    lab.shutdown_kernel()
    lab.reopen_page()
    lab.open_without_kernel(path)
    panel = lab.panel(TRAIN)
    panel.root.scroll_into_view_if_needed()
    expect(panel.part(".jx-chip")).to_have_text("processing")
    lab.screenshot("without-kernel")
    finish(panel)
    assert lab.kernel_status() is None
    assert lab.errors == []


def test_engine_killed(lab, lab_server, engine) -> None:
    _path, panel = start(lab, lab_server, "engine-killed")
    panel.watch_connection()
    pid = engine.pid()
    engine.kill()
    until(lambda: "reconnecting…" in panel.connection_texts(), "the word that it reconnects")
    lab.screenshot("engine-killed", panel.root)
    expect(panel.part(".jx-connection")).to_be_hidden()
    panel.wait_points("loss/train", panel.num_points("loss/train") + 50)
    expect(panel.part(".jx-chip")).to_have_text("processing")
    assert engine.pid() != pid
    finish(panel)


def test_jupyter_server_restarted(lab, lab_server) -> None:
    _path, panel = start(lab, lab_server, "server-restarted")
    panel.watch_connection()
    lab_server.stop()
    until(lambda: "reconnecting…" in panel.connection_texts(), "the word that it reconnects")
    lab.screenshot("server-stopped")
    lab_server.start()
    expect(panel.part(".jx-connection")).to_be_hidden(timeout=30_000)
    finish(panel)
    lab.screenshot("server-restarted")
