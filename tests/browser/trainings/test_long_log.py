"""A log of half a million lines: opened at its end, scrolled anywhere, searched as a whole, and tied to the chart by time."""

from __future__ import annotations

from integration_tools import until
from playwright.sync_api import expect

NUM_LINES = 500_000
BLOCK = 200
"""Lines that the page fetches together."""
TRACEBACK = {
    400_000 - 3: "Traceback (most recent call last):",
    **{400_000 + i: f"  within {i}" for i in range(-2, 2)},
    400_000 + 2: "ValueError: across two pieces",
}
assert 400_000 % BLOCK == 0
CELL = f"""\
%%train lines
import sys
from jupyter_ext import log
def train():
    traceback = {TRACEBACK}
    for start in range(0, {NUM_LINES}, 5_000):
        sys.stdout.write("".join(traceback.get(i, f"line {{i:06d}} of many") + (" needle" if i % 100_000 == 77_777 else "") + "\\n"
                                 for i in range(start, start + 5_000)))
        log(loss=1 / (start + 1), step=start)
"""


def test_a_long_log_is_scrolled_and_searched(lab, lab_server) -> None:
    lab.page.set_viewport_size({"width": 1280, "height": 1200})
    lab.open(lab_server.write_notebook("lines", "%load_ext jupyter_ext", CELL))
    lab.run_cell(0)
    lab.run_cell(1)
    panel = lab.panel(1)
    panel.wait_status("succeeded")
    log = panel.part(".jx-log-frame .jx-log")
    log.scroll_into_view_if_needed()
    expect(panel.part(".jx-log-row").last).to_have_text(f"line {NUM_LINES - 1:06d} of many")
    until(lambda: log.evaluate("node => node.scrollHeight") > 15 * NUM_LINES, "room for all lines")
    log.evaluate("node => { node.scrollTop = node.scrollHeight / 2; }")
    until(lambda: 200_000 < first_in_view(log) < 300_000, "lines from the middle")
    log.evaluate("node => { node.scrollTop = 0; }")
    until(lambda: first_in_view(log) == 0, "the first line")
    assert log.evaluate("node => node.querySelectorAll('.jx-log-row').length") < 4_000
    field = panel.part(".jx-log-field")
    field.fill("NEEDLE")
    expect(panel.part(".jx-log-found")).to_have_text("5 lines", timeout=60_000)
    field.press("Enter")
    expect(panel.part(".jx-log-found")).to_have_text("1 of 5")
    marked = panel.part(".jx-log-marked")
    expect(marked).to_have_text("line 077777 of many needle")
    field.press("Enter")
    expect(marked).to_have_text("line 177777 of many needle")
    lab.screenshot("log-search-light", panel.root)
    lab.page.evaluate(
        "document.addEventListener('jupyter-ext:seek', event => { window.seen = event.detail; })"
    )
    marked.click()
    until(lambda: lab.page.evaluate("window.seen && window.seen.source") == "log", "the second of the line")
    lab.page.evaluate(
        "document.dispatchEvent(new CustomEvent('jupyter-ext:seek',"
        " {detail: {runId: window.seen.runId, time: window.seen.time - 1000, source: 'chart'}}))"
    )
    expect(marked).to_have_text("line 000000 of many")
    panel.part(".jx-log-move").get_by_text("List").click()
    expect(panel.part(".jx-log-hit")).to_have_count(5)
    field.fill("across two pieces")
    expect(panel.part(".jx-log-found")).to_have_text("1 line", timeout=60_000)
    field.press("Enter")
    expect(marked).to_have_text("ValueError: across two pieces")
    fold = panel.part(".jx-log-fold-toggle")
    expect(fold).to_have_text("▸ 4 lines")
    fold.click()
    expect(panel.part(".jx-log-row").get_by_text("within 0")).to_be_visible()
    lab.set_theme("JupyterLab Dark")
    try:
        expect(panel.root).to_have_attribute("data-theme", "dark")
        lab.screenshot("log-search-dark", panel.root)
    finally:
        lab.set_theme("JupyterLab Light")
    assert lab.errors == []


def first_in_view(log) -> int:
    """Number of the first line that is seen, or -1 while there is none."""
    return log.evaluate(
        """node => {
            const box = node.getBoundingClientRect();
            const row = [...node.querySelectorAll('.jx-log-row')].find(each => each.getBoundingClientRect().bottom > box.top + 2);
            const match = row && row.getBoundingClientRect().top < box.bottom && /line (\\d+)/.exec(row.textContent);
            return match ? Number(match[1]) : -1;
        }"""
    )
