"""The panel of a training on a page, as a user sees it, and trainings whose every point is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from integration_tools import EngineUnderTest, until
from playwright.sync_api import Locator, expect

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.protocol.metrics_codec import decode_columns

DEADLINE_S = 60.0

AFTER_GATE = 50
"""Steps of a `steady` training after its gate."""

READ_CURVES = "root => [...root.querySelectorAll('.jx-plot')].flatMap(node => node.jupyterExtPlot.curves())"
DRAWN = ".jx-plot[data-lines]"
"""A plot whose curves are painted; `data-lines` says how many."""

WATCH_CONNECTION = """root => {
    window.connectionTexts = [];
    const look = () => {
        const node = root.querySelector('.jx-connection');
        if (!node.hidden) window.connectionTexts.push(node.textContent);
    };
    new MutationObserver(look).observe(root, {attributes: true, childList: true, characterData: true, subtree: true});
}"""


@dataclass
class Curve:
    """What is drawn of one series."""

    x: list[float]
    y: list[float]
    mode: str


class PanelPage:
    """One panel."""

    def __init__(self, root: Locator) -> None:
        self.root = root

    def part(self, selector: str) -> Locator:
        """Return a part of it."""
        return self.root.locator(selector)

    def wait_drawn(self) -> None:
        """Wait until curves are drawn."""
        expect(self.part(DRAWN).first).to_be_attached(timeout=DEADLINE_S * 1000)

    def wait_status(self, text: str, timeout_s: float = DEADLINE_S) -> None:
        """Wait for a status."""
        expect(self.part(".jx-chip")).to_have_text(text, timeout=timeout_s * 1000)

    def curves(self) -> dict[str, Curve]:
        """Return what is drawn, by `group/name`."""
        found = self.root.evaluate(READ_CURVES)
        return {f"{c['group']}/{c['name']}": Curve(c["x"], c["y"], c["mode"]) for c in found}

    def num_points(self, name: str) -> int:
        """Return how many points of a curve are drawn."""
        curve = self.curves().get(name)
        return len(curve.x) if curve else 0

    def wait_points(self, name: str, at_least: int, timeout_s: float = DEADLINE_S) -> None:
        """Wait until a curve has so many points."""
        until(lambda: self.num_points(name) >= at_least, f"{at_least} points of {name}", timeout_s)

    def log_lines(self) -> list[str]:
        """Return the lines of the log."""
        return self.part(".jx-log-row").all_inner_texts()

    def watch_connection(self) -> None:
        """Begin to write down what it says about its connection; out of sight it would have none."""
        self.root.scroll_into_view_if_needed()
        self.root.evaluate(WATCH_CONNECTION)

    def connection_texts(self) -> list[str]:
        """Return what it said about its connection since."""
        texts: list[str] = self.root.evaluate("() => window.connectionTexts")
        return texts

    def training_id(self) -> str:
        """Return the id of its training."""
        id_ = self.part(".jx-id").get_attribute("title")
        assert re.fullmatch(r"[0-9a-z]{26}", id_ or ""), id_
        return str(id_)


def steady(steps: int, *, name: str = "steady", pause_s: float = 0.005, gate: Path | None = None) -> str:
    """Return a cell whose training logs what `assert_steady_is_complete` knows, a step each `pause_s`.

    Args:
        steps: How many.
        name: Of the training.
        pause_s: Before each step, seconds.
        gate: The last steps wait until this file exists: what a test does before it makes the file, it does while the
            training runs, on any machine.
    """
    return f"""\
%%train {name} -i steps={steps}
import os, time
from jupyter_ext import log, progress, should_stop

def train(steps: int, gate: str = {str(gate or "")!r}):
    for step in range(steps):
        time.sleep({pause_s})
        while gate and step == steps - {AFTER_GATE} and not os.path.exists(gate) and not should_stop():
            time.sleep(0.01)
        log({{"train/loss": 2 / (2 + step), "test/loss": 3 / (3 + step), "accuracy": step / steps}}, step=step)
        if step % 10 == 0:
            print(f"step {{step}} done")
        progress(step + 1, steps)
        if should_stop():
            return {{"stopped_at": step}}
    return {{"steps": steps}}"""


def assert_steady_is_complete(panel: PanelPage, steps: int) -> None:
    """Compare everything on the screen with what a `steady` training logged: none missing, none doubled.

    Up to 800 points a series the panel draws each of them.
    """
    assert steps <= 800
    panel.wait_points("accuracy/accuracy", steps)
    expected = list(range(steps))
    curves = panel.curves()
    for name, value in (("loss/train", 2.0), ("loss/test", 3.0)):
        assert curves[name].x == expected, name
        assert curves[name].y == [value / (value + step) for step in expected], name
    assert curves["accuracy/accuracy"].x == expected
    assert panel.log_lines() == [f"step {step} done" for step in range(0, steps, 10)]


class EngineOnDisk(EngineUnderTest):
    """The engine of a Jupyter server, seen from outside; nothing here starts it."""

    def __init__(self, data_dir: Path, runtime_dir: Path) -> None:
        super().__init__(Locations(data_dir, runtime_dir))

    def pid(self) -> int:
        """Return the engine's pid."""
        found = discovery.find(self.where)
        assert found is not None, "no engine is running"
        return int(found.info["pid"])

    def get(self, path: str) -> Any:
        """Ask the engine something."""
        found = discovery.find(self.where)
        assert found is not None, "no engine is running"
        status, body = discovery.request(found.socket_path, "GET", path)
        assert status == 200, (status, body)
        return body

    def post(self, path: str, body: Any = None) -> Any:
        """Have the engine do something."""
        found = discovery.find(self.where)
        assert found is not None, "no engine is running"
        status, answer = discovery.request(found.socket_path, "POST", path, body)
        assert status < 300, (status, answer)
        return answer

    def series(self, training_id: str) -> list[dict[str, Any]]:
        """Return what `/metrics` says of each series: `key`, `count` …"""
        found = discovery.find(self.where)
        assert found is not None, "no engine is running"
        with httpx.Client(transport=httpx.HTTPTransport(uds=found.socket_path)) as client:
            answer = client.get(f"http://engine/native/trainings/{training_id}/metrics?buckets=1")
        infos: list[dict[str, Any]] = decode_columns(answer.content)[0]["series"]
        return infos

    def worker(self, training_id: str) -> psutil.Process:
        """Return the worker of a training, once it is there."""
        from jupyter_ext.ipc.json_files import read_json

        path = self.where.runs_dir / training_id / "start.json"
        until(path.exists, "the start of the run")
        return psutil.Process(read_json(path)["worker"]["pid"])
