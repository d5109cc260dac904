"""The panel in a real browser: time to the first plot, and what a quick training costs page and wire.

JupyterLab, kernel, engine and headless Chromium (software GL) share this machine's cores with the training, as they do
for somebody with one machine.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from benchmarks.support.lab import DRAWN, IDLE, CDPSession, Lab, Locator, PanelPage, page, task_s, until
from benchmarks.support.own_engine import own_engine
from benchmarks.support.rows import Row, at_least, at_most, median, percentile
from benchmarks.support.scale import scaled

STREAM_S = scaled(6, 1)
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

FIGURE = """\
import time
import numpy as np
import plotly.graph_objects as go
y = np.random.default_rng(0).normal(size=100_000)
figure = go.FigureWidget(go.Scatter(y=y, mode="lines"))
figure"""

UPDATES = scaled(20, 2)
UPDATE = f"""\
for _ in range({UPDATES}):
    y = np.append(y, np.ones(10))
    figure.data[0].y = y
    time.sleep(0.5)
print("updated")"""

COUNT = """(node, seconds) => new Promise(resolve => {
    const plot = node.jupyterExtPlot, late = [], gaps = [];
    const began = performance.now(), before = plot.draws;
    let last = began, drawn = before;
    const frame = now => {
        gaps.push(now - last);
        last = now;
        if (plot.draws !== drawn) {
            drawn = plot.draws;
            const {y} = plot.model.lines[0].curve;
            late.push(Date.now() - 1000 * y[y.length - 1]);
        }
        if (now - began < 1000 * seconds) {
            requestAnimationFrame(frame);
        } else {
            resolve({frames: gaps.length / (now - began) * 1000, worst: Math.max(...gaps.slice(2)), draws: drawn - before, late});
        }
    };
    requestAnimationFrame(frame);
})"""

REDRAW = """async (node, [which, updates]) => {
    const plot = node.jupyterExtPlot;
    const {x, y} = plot.model.lines[0].curve;
    const place = node.parentElement.appendChild(document.createElement('div'));
    const frame = () => new Promise(requestAnimationFrame);
    const uplot = which === 'uplot' && new uPlot({
        width: node.clientWidth, height: node.clientHeight, scales: {x: {time: false}}, legend: {show: false},
        series: [{}, {stroke: '#0f6cbd', width: 1.5}],
    }, [x, y], place);
    await frame();
    const began = performance.now();
    for (let i = 0; i < updates; i++) {
        if (uplot) uplot.setData([x, y]); else plot.redraw();
        await frame();
    }
    uplot && uplot.destroy();
    place.remove();
    return performance.now() - began;
}"""
"""Draws the same buckets again and again, by the plot itself or by uPlot in its place."""
REDRAWS = scaled(60, 2)
UPLOT = Path(__file__).parents[1] / "node_modules" / "uplot" / "dist" / "uPlot.iife.min.js"

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


def stream(
    lab: Lab, session: CDPSession, wire: Wire, index: int, before: int, printed: float
) -> Generator[Row, None, float]:
    """Measure 1,000 points a second on top of those that are there.

    Args:
        index: Of the cell.
        before: How many are there.
        printed: What a print() takes to show, milliseconds.

    Returns:
        What the page's main thread works for one update, milliseconds.
    """
    lab.run_cell(index)
    panel: PanelPage = lab.panel(index)
    panel.root.scroll_into_view_if_needed()
    panel.wait_points("sent_at/sent_at", 2)
    plot = panel.part(".jx-plot").first
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
    yield Row(f"{name}: frames", seen["frames"], "/s", "the same page idle", idle, at_least(0.92))
    yield Row(f"{name}: longest frame", seen["worst"], "ms", "a frame of the idle page", 1000 / idle)
    yield Row(f"{name}: main thread", 100 * share, "%", "the same page idle", 100 * rested)
    yield Row(f"{name}: updates drawn", seen["draws"] / STREAM_S, "/s")
    yield Row(f"{name}: a message, beyond 16 B a point", size - limit, "B", goal=at_most(1000, "B"))
    yield Row(f"{name}: log() to drawn, p95", p95, "ms", "print() shown", printed, at_most(2.5))
    return float(ms)


def redraw_ms(session: CDPSession, plot: Locator, which: str) -> float:
    """Return what the page's main thread works to draw the buckets of a plot once, by `ours` or `uplot`."""
    rested, began = task_s(session), time.perf_counter()
    plot.evaluate(REDRAW, [which, 0])
    rested = (task_s(session) - rested) / (time.perf_counter() - began)
    worked = task_s(session)
    plot.evaluate(REDRAW, [which, REDRAWS])
    return 1000 * max(0.0, task_s(session) - worked - rested * 0.1) / REDRAWS


def against_uplot(lab: Lab, session: CDPSession, panel: PanelPage) -> Iterator[Row]:
    """Measure a redraw beside uPlot's over the same buckets, in turns in one page."""
    lab.page.add_script_tag(path=UPLOT)
    plot = panel.part(DRAWN).first
    times: dict[str, list[float]] = {"ours": [], "uplot": []}
    for _ in range(3):
        for which, found in times.items():
            found.append(redraw_ms(session, plot, which))
    yield Row(
        "a redraw of 800 buckets", median(times["ours"]), "ms", "uPlot", median(times["uplot"]), at_most(2)
    )


def figure_widget(lab: Lab, session: CDPSession, index: int) -> float:
    """Return what the page's main thread works for one update of a FigureWidget, milliseconds."""
    lab.run_cell(index)
    lab.cell(index).locator(".js-plotly-plot .trace path").first.wait_for()
    rested, began = task_s(session), time.perf_counter()
    lab.page.evaluate(IDLE, 2)
    rested = (task_s(session) - rested) / (time.perf_counter() - began)
    worked, began = task_s(session), time.perf_counter()
    lab.evaluate(RUN_UNTIL, [index + 1, ".jp-OutputArea-output pre"])
    worked = task_s(session) - worked - rested * (time.perf_counter() - began)
    return 1000 * worked / UPDATES


def measure(lab: Lab) -> Iterator[Row]:
    """Measure all in one page."""
    cells = ["%load_ext jupyter_ext", "print(1)", FIRST, "print(2)", FIRST]
    streams = {5: 100_000, 6: 1_000_000}
    cells += [STREAM.format(before=count) for count in streams.values()]
    lab.open(lab.server.write_notebook("bench", *cells, FIGURE, UPDATE))
    session = lab.page.context.new_cdp_session(lab.page)
    session.send("Performance.enable")
    wire = Wire(session)
    lab.run_cell(0)
    lab.run_cell(1)
    until(lambda: lab.page.evaluate(IS_WARM), "a warm zygote", 60)
    printed = []
    for index, which in ((2, "first plot of a page"), (4, "second plot of a page")):
        plain = lab.evaluate(RUN_UNTIL, [index - 1, ".jp-OutputArea-output pre"])
        printed.append(plain)
        wire.reset()
        took = lab.evaluate(RUN_UNTIL, [index, DRAWN])
        sent = (wire.other_bytes + sum(wire.stream_frames)) / 1000
        yield Row(which, took, "ms", "print() shown", plain, at_most(10))
        yield Row(f"{which}, over WebSockets", sent, "kB", goal=at_most(20, "kB"))
        lab.panel(index).wait_status("succeeded")
    worked = {}
    for index, before in streams.items():
        worked[before] = yield from stream(lab, session, wire, index, before, median(printed))
    panel = lab.panel(5)
    panel.root.scroll_into_view_if_needed()
    yield from against_uplot(lab, session, panel)
    few, many = worked.values()
    peer = figure_widget(lab, session, 7)
    yield Row("main thread per update, on 100,000", few, "ms", "FigureWidget", peer, at_most(0.5))
    yield Row("main thread per update, on 1,000,000", many, "ms", "on 100,000", few, at_most(1.2))


def run() -> Iterator[Row]:
    """Measure with a server and an engine of its own."""
    with own_engine(), page() as lab:
        yield from measure(lab)
