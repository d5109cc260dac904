"""The panel in a real browser: time to the first plot, and what a quick training costs page and wire.

JupyterLab, kernel, engine and headless Chromium (software GL) share this machine's cores with the training, as they do
for somebody with one machine.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1] / "tests" / "support")]

import psutil
from integration_tools import until
from lab_page import CHROMIUM_FLAGS, Lab, find_chromium, start_server, stop_server, wait_until_up
from panel_page import PanelPage
from playwright.sync_api import CDPSession, sync_playwright

from benchmarks.rows import Row, percentile, print_table

STREAM_S = 6
POINTS_PER_S = 1_000

FIRST = """\
%%train first
from jupyter_ext import log, progress
def train():
    for step in range(200):
        log({"train/loss": 1 / (1 + step), "test/loss": 2 / (2 + step), "accuracy": step / 200}, step=step)"""

STREAM = """\
%%train stream -i before={before}
import time
from jupyter_ext import log, log_many, should_stop
def train(before: int):
    log_many("sent_at", list(range(before)), [time.time()] * before)
    began, step = time.perf_counter(), 0
    while not should_stop():
        log(sent_at=time.time(), step=before + step)
        step += 1
        time.sleep(max(0.0, began + step / 1000 - time.perf_counter()))"""

RUN_UNTIL = """async (app, [index, selector]) => {
    const notebook = app.shell.currentWidget.content;
    notebook.activeCellIndex = index;
    notebook.scrollToItem(index, 'start');
    const cell = notebook.widgets[index].node;
    const began = performance.now();
    void app.commands.execute('notebook:run-cell');
    while (!cell.querySelector(selector)) {
        cell.querySelector('.jp-OutputArea-output')?.scrollIntoView({block: 'end'});
        await new Promise(requestAnimationFrame);
    }
    return performance.now() - began;
}"""

COUNT = """(plot, seconds) => new Promise(resolve => {
    const draws = [], late = [], gaps = [];
    plot.on('plotly_afterplot', () => {
        draws.push(performance.now());
        late.push(Date.now() - 1000 * plot.data[0].y.at(-1));
    });
    const began = performance.now();
    let last = began;
    const frame = now => {
        gaps.push(now - last);
        last = now;
        if (now - began < 1000 * seconds) {
            requestAnimationFrame(frame);
        } else {
            plot.removeAllListeners('plotly_afterplot');
            resolve({frames: gaps.length / (now - began) * 1000, worst: Math.max(...gaps.slice(2)), draws: draws.length, late});
        }
    };
    requestAnimationFrame(frame);
})"""

IDLE = """seconds => new Promise(resolve => {
    const began = performance.now();
    let frames = 0;
    const frame = now => {
        frames += 1;
        if (now - began < 1000 * seconds) requestAnimationFrame(frame); else resolve(frames / (now - began) * 1000);
    };
    requestAnimationFrame(frame);
})"""


IS_WARM = """async () => {
    const engine = await (await fetch('/jupyter-ext/engine/native/engine')).json();
    return engine.environments.some(environment => environment.state === 'warm');
}"""


class Wire:
    """Counts what comes over the page's WebSockets."""

    def __init__(self, session: CDPSession) -> None:
        self.streams: set[str] = set()
        self.stream_frames: list[int] = []
        self.other_bytes = 0
        session.on("Network.webSocketCreated", self._created)
        session.on("Network.webSocketFrameReceived", self._received)
        self._session = session
        session.send("Network.enable")

    def reset(self) -> None:
        """Begin anew."""
        self.stream_frames = []
        self.other_bytes = 0

    def pause(self) -> None:
        """Count nothing, which costs the page time, until `resume`."""
        self._session.send("Network.disable")

    def resume(self) -> None:
        """Count again."""
        self._session.send("Network.enable")
        self.reset()

    def _created(self, event: dict[str, Any]) -> None:
        if "/jupyter-ext/" in event["url"]:
            self.streams.add(event["requestId"])

    def _received(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        data = frame["payloadData"]
        size = len(base64.b64decode(data)) if frame["opcode"] == 2 else len(data)
        if event["requestId"] in self.streams:
            self.stream_frames.append(size)
        else:
            self.other_bytes += size


def task_s(session: CDPSession) -> float:
    """Give the seconds that the page's main thread has worked."""
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(item["value"] for item in metrics if item["name"] == "TaskDuration"))


def stream(lab: Lab, session: CDPSession, wire: Wire, index: int, before: int) -> list[Row]:
    """Measure 1,000 points a second on top of those that are there."""
    lab.run_cell(index)
    panel: PanelPage = lab.panel(index)
    panel.root.scroll_into_view_if_needed()
    panel.wait_points("sent_at/sent_at", 2)
    plot = panel.part(".jx-plot")
    plot.evaluate(COUNT, 1)  # the burst is over
    wire.resume()
    plot.evaluate(COUNT, 1)
    frames = list(wire.stream_frames)
    wire.pause()
    worked = task_s(session)
    seen = plot.evaluate(COUNT, STREAM_S)
    worked = task_s(session) - worked
    wire.resume()
    panel.part("button").filter(has_text="Cancel").click()
    panel.wait_status("canceled")
    size = sum(frames) / len(frames)
    limit = 16 * POINTS_PER_S / len(frames)
    name = f"{POINTS_PER_S:,} points/s on {before:,}"
    p95 = percentile(seen["late"], 0.95)
    rested = task_s(session)
    idle = lab.page.evaluate(IDLE, 2)
    rested = (task_s(session) - rested) / 2
    share = worked / STREAM_S
    ms = 1000 * (share - rested) * STREAM_S / max(1, seen["draws"])
    return [
        Row(f"{name}: frames", seen["frames"], "/s", "the same page idle", idle, ">= 55 /s", seen["frames"] >= 55),
        Row(f"{name}: longest frame", seen["worst"], "ms", "", None, "", None),
        Row(f"{name}: main thread", 100 * share, "%", "the same page idle", 100 * rested, "", None),
        Row(f"{name}: main thread per update", ms, "ms", "", None, "<= 30 ms", ms <= 30),
        Row(f"{name}: updates drawn", seen["draws"] / STREAM_S, "/s", "", None, "", None),
        Row(f"{name}: per message", size, "B", "16 B a point", limit, "<= 1 kB + 16 B a point", size <= 1000 + limit),
        Row(f"{name}: log() to drawn, p95", p95, "ms", "", None, "<= 150 ms", p95 <= 150),
    ]  # fmt: skip


def measure(lab: Lab) -> list[Row]:
    """Measure all in one page."""
    cells = ["%load_ext jupyter_ext", "print(1)", FIRST, "print(2)", FIRST]
    lab.open(
        lab.server.write_notebook(
            "bench", *cells, *(STREAM.format(before=count) for count in (100_000, 1_000_000))
        )
    )
    session = lab.page.context.new_cdp_session(lab.page)
    session.send("Performance.enable")
    wire = Wire(session)
    lab.run_cell(0)
    lab.run_cell(1)
    until(lambda: lab.page.evaluate(IS_WARM), "a warm zygote", 60)
    rows = []
    for index, which in ((2, "first plot of a page"), (4, "second plot of a page")):
        plain = lab.evaluate(RUN_UNTIL, [index - 1, ".jp-OutputArea-output pre"])
        wire.reset()
        took = lab.evaluate(RUN_UNTIL, [index, ".jx-plot .trace path"])
        sent = (wire.other_bytes + sum(wire.stream_frames)) / 1000
        rows += [
            Row(which, took, "ms", "print() shown", plain, "<= 600 ms", took <= 600),
            Row(f"{which}, over WebSockets", sent, "kB", "", None, "<= 20 kB", sent <= 20),
        ]
        lab.panel(index).wait_status("succeeded")
    return [
        *rows,
        *stream(lab, session, wire, 5, 100_000),
        *stream(lab, session, wire, 6, 1_000_000),
    ]


def run() -> list[Row]:
    """Measure with a server and an engine of its own."""
    chromium = find_chromium()
    if chromium is None:
        print("No Chromium: run `make chromium`.")
        return []
    with tempfile.TemporaryDirectory(prefix="jx-") as directory:
        home = Path(directory)
        environment = {
            f"JUPYTER_EXT_{name.upper()}_DIR": str(home / "engine" / name) for name in ("data", "runtime")
        }
        server = start_server(home, environment)
        try:
            wait_until_up(server)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                rows = measure(Lab(page, server))
                browser.close()
            return rows
        finally:
            stop_server(server.process)
            end_engine(home)


def end_engine(home: Path) -> None:
    """End the engine that lived there, with what it started."""
    for process in psutil.process_iter(["cmdline", "environ"]):
        environ = process.info["environ"] or {}
        if environ.get("JUPYTER_EXT_DATA_DIR", "").startswith(str(home)):
            process.kill()


if __name__ == "__main__":
    print_table(run())
