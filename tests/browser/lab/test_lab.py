"""The harness itself: JupyterLab starts, runs a cell, survives a reload and a kernel restart."""

from __future__ import annotations

from playwright.sync_api import expect


def test_notebook_runs_in_jupyterlab(lab, lab_server) -> None:
    lab.open(lab_server.write_notebook("sum", "x = 1\nx + 1", "x"))
    expect(lab.run_cell(0)).to_have_text("2")
    lab.screenshot("lab-light")
    lab.reload()
    expect(lab.run_cell(1)).to_have_text("1")
    lab.restart_kernel()
    expect(lab.run_cell(1)).to_contain_text("NameError")
    lab.set_theme("JupyterLab Dark")
    lab.screenshot("lab-dark")
    assert lab.errors == []
