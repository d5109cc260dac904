"""Debug sessions from a real notebook kernel: what a person types, and what comes back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration_tools import EngineUnderTest, until
from kernel_tools import Kernel
from session_tools import request

from jupyter_ext.config import Locations

SETUP = """
%load_ext jupyter_ext
import numpy as np, torch
import jupyter_ext as jx
SCALE = 3.0
x = np.ones((4, 3), np.float32)
"""
NET = """%%debug_session net
import torch

class Net(torch.nn.Module):
    def __init__(self, n=3):
        super().__init__()
        self.layer = torch.nn.Linear(n, 2)

    def forward(self, x):
        return self.layer(x) * SCALE

    def fit(self, x, epochs=3, pause=0.0):
        import time
        from jupyter_ext import log, progress
        for epoch in range(epochs):
            log(loss=1 / (epoch + 1))
            progress(epoch + 1, epochs)
            time.sleep(pause)

    def scaled(self, x):
        factor = SCALE / 2
        return divide(x, factor)

def divide(x, factor):
    weights = torch.ones(3)
    return x / 0
"""


@pytest.fixture(scope="module")
def kernel(engine: EngineUnderTest) -> Iterator[Kernel]:
    kernel = Kernel(engine)
    assert kernel.run(SETUP).error is None
    cell = kernel.run(NET)
    assert cell.error is None, cell.traceback
    assert "Session net " in cell.result
    assert "net.instantiate" not in cell.text
    cell = kernel.run("model = %debug_call net.instantiate -p n=3\nmodel")
    assert cell.error is None, cell.traceback
    yield kernel
    kernel.run("%debug_session net terminate")
    kernel.close()


def test_a_call_gives_what_the_model_gives(kernel: Kernel) -> None:
    cell = kernel.run("y = %debug_call net.evaluate -p x=x[:2]\ntype(y).__name__, y.shape, model(x=x).shape")
    assert cell.error is None, cell.traceback
    assert cell.result == "('ndarray', (2, 2), (4, 2))"


def test_a_training_returns_at_once_and_shows_its_curve(kernel: Kernel) -> None:
    cell = kernel.run("%debug_call net.train -p x=x -p epochs=4 --as t")
    assert cell.error is None, cell.traceback
    assert "DebugTraining" in cell.outputs[0]["text/plain"]
    content = cell.outputs[0]["application/vnd.jupyter-ext.session+json"]
    assert content["training"] == kernel.run("print(t.id)").text.strip()
    cell = kernel.run(
        "t.wait()\nt.status, t.metrics()['value'].tolist(), len(t.figure().data), '<polyline' in t.picture()"
    )
    assert cell.result == "('completed', [1.0, 0.5, 0.3333333333333333, 0.25], 1, True)"
    assert kernel.run("[p.values for p in t.follow()]").result == "[[1.0, 0.5, 0.3333333333333333, 0.25]]"


def test_the_notebook_works_and_looks_in_while_a_training_runs(kernel: Kernel) -> None:
    kernel.run("slow = model.train(x=x, epochs=100000, pause=0.01)")
    until(lambda: "busy with train" in kernel.run("%debug_session net").result, "the training's turn")
    cell = kernel.run(
        "%%in_session net\nimport threading\nprint(threading.current_thread().name.split()[0])\nNet"
    )
    assert cell.text.startswith("subshell"), cell.text
    assert "Net" in cell.result
    assert kernel.run("bool(model.parameters()['norm'].notna().all())").result == "True"
    assert "in fit" in kernel.run("%debug_session net stacks").text
    cell = kernel.run("slow.cancel()\nslow.status, slow.resource.fail['code']")
    assert cell.result == "('failed', 'cancelled')"


def test_a_failure_shows_my_code_and_stops_in_its_frame(kernel: Kernel) -> None:
    cell = kernel.run("%debug_call net.scaled -p x='text'")
    assert cell.error is not None
    assert "TypeError" in cell.traceback
    for wanted in (
        "line 22, in scaled",
        "return divide(x, factor)",
        "Locals of frame 1, divide",
        "float32[3]",
    ):
        assert wanted in cell.traceback
    assert "jupyter_ext" not in cell.traceback
    assert kernel.run("%%in_session net\nprint(weights.sum().item(), factor)").text == "3.0 1.5\n"
    assert "→ 0  Cell net, line 22" in kernel.run("%debug_session net up").text
    cell = kernel.run("%%in_session net\nfactor + 1")
    assert cell.result == "2.5"
    for line, error in (("factor / 0", "ZeroDivisionError"), ("x = ", "SyntaxError")):
        cell = kernel.run(f"%%in_session net\n{line}")
        assert error in cell.text
        assert "jx_frame" not in cell.text
        assert "jupyter_ext" not in cell.text
    assert "get_ipython" not in kernel.run("%debug_session net frames").text
    cell = kernel.run("%%in_session net --top\nfactor")
    assert "NameError" in cell.text


def test_code_is_mended_under_a_living_model(kernel: Kernel) -> None:
    before = kernel.run("w = model.get_state().download(); w['layer.weight'].sum().item()").result
    cell = kernel.run(NET.replace("return x / 0", "return x / factor"))
    assert cell.error is None, cell.traceback
    assert "Replaced the code of net: Net; 1 living instance follows." in cell.text
    assert kernel.run("model.scaled(x=3.0)").result == "2.0"
    assert kernel.run("model.get_state().download()['layer.weight'].sum().item()").result == before


def test_pdb_is_typed_to_the_failing_frame_through_the_cell(kernel: Kernel) -> None:
    kernel.run("%debug_call net.scaled -p x='text'")
    typed = ["p factor", "up", "p SCALE, factor", "down", "!weights[0] = 7", "q"]
    cell = kernel.run_typing("%%in_session net\n%debug", typed)
    assert cell.error is None, cell.traceback
    assert typed == []
    assert "ipdb> " in cell.asked[0]
    assert "(3.0, 1.5)" in cell.text
    assert kernel.run("%%in_session net\nprint(weights.sum().item())").text == "9.0\n"


def test_values_of_the_failing_frame_are_fetched(kernel: Kernel) -> None:
    kernel.run("%debug_call net.divide -p x='text' -p factor=1.0")
    cell = kernel.run(
        "jx.debug_sessions.get('net').value('factor'), jx.debug_sessions.get('net').look('weights')['shape']"
    )
    assert cell.result == "(1.0, [3])"


def test_an_interrupt_of_the_cell_ends_the_call_and_keeps_the_model(kernel: Kernel) -> None:
    def interrupt() -> None:
        until(lambda: _busy(kernel), "the call's turn")
        os.kill(kernel.manager.provisioner.pid, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    cell = kernel.run("model.fit(x=x, epochs=10**6, pause=0.01)")
    helper.join(30)
    assert cell.error is not None
    assert cell.error.startswith("KeyboardInterrupt")
    until(lambda: not _busy(kernel), "the end of the call")
    assert kernel.run("model(x=x).shape").result == "(4, 2)"


def _busy(kernel: Kernel) -> bool:
    """Ask the engine, because the kernel is busy itself."""
    where = Locations(
        Path(kernel.environment["JUPYTER_EXT_DATA_DIR"]), Path(kernel.environment["JUPYTER_EXT_RUNTIME_DIR"])
    )
    sessions = request(where, "GET", "/native/sessions?running=1")["sessions"]
    return any(one["name"] == "net" and one["busy"] for one in sessions)


def test_what_a_session_prints_and_how_a_debugger_attaches(kernel: Kernel) -> None:
    kernel.run("%%in_session net\nprint('printed there')")
    assert "printed there" in kernel.run("%debug_session net logs --tail 5").text
    told = kernel.run("%debug_session net attach").text
    for wanted in (
        '"request": "attach"',
        "127.0.0.1",
        "jupyter console --existing",
        "allow_external_kernels",
    ):
        assert wanted in told
    assert kernel.run("%debug_session net interrupt").text == "Nothing runs there.\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("%debug_call net", "is not of the form SESSION.METHOD"),
        ("%debug_call nobody.train", "There is no debug session 'nobody'"),
        ("%debug_call net.evaluate -p x", "-p 'x' is not of the form name=value"),
        ("%debug_call net.evaluate -p x=unknown_name", "NameError"),
        ("%debug_call net.nothing", "has no nothing(); it has"),
        ("%debug_call net.evaluate -p x=open", "cannot be sent"),
        ("%debug_session net jump", "invalid choice: 'jump'"),
        ("%%in_session nobody\n1", "There is no debug session 'nobody'"),
        ("%%debug_session a:b c\nx = 1", "unrecognized arguments"),
        ("%%debug_session broken\nx = = 1", "line 2 of the cell"),
    ],
)
def test_a_wrong_line_is_answered_in_one_line(kernel: Kernel, line: str, says: str) -> None:
    cell = kernel.run(line)
    assert cell.error is not None
    assert says in cell.traceback
    assert "\n" not in cell.traceback


@pytest.mark.parametrize(
    "magic", ["%%debug_session", "%debug_session", "%debug_call", "%%in_session", "%debug_sessions"]
)
def test_every_magic_explains_itself(kernel: Kernel, magic: str) -> None:
    cell = kernel.run(f"{magic} --help")
    assert cell.error is None, cell.traceback
    assert "usage:" in cell.text


def test_sessions_are_listed_and_completed(kernel: Kernel) -> None:
    assert "net " in kernel.run("%debug_sessions").result
    code = "%debug_call net.ev"
    reply = kernel.client.complete(code, len(code), reply=True, timeout=60)
    assert "net.evaluate" in reply["content"]["matches"]


def test_with_a_class_of_the_notebook(kernel: Kernel) -> None:
    kernel.run("""
class Counter:
    def __init__(self, start):
        self.n = start
    def add(self, by):
        self.n += by * SCALE
        return self.n
""")
    cell = kernel.run("""
with jx.debug(Counter) as session:
    counter = session.instantiate(start=1)
    print(counter.add(by=2), counter.call("add", 1))
print(session.status)
""")
    assert cell.error is None, cell.traceback
    assert cell.text == "7.0 10.0\nended\n"


def test_a_training_tells_its_end_and_its_numbers_after_its_session_was_killed(kernel: Kernel) -> None:
    kernel.run("%%debug_session gone\n" + NET.partition("\n")[2])
    cell = kernel.run("m = %debug_call gone.instantiate\nt = m.train(x=x, epochs=10**6, pause=0.005)")
    assert cell.error is None, cell.traceback
    until(lambda: int(kernel.run("print(len(t.metrics()))").text) > 20, "some points")
    kernel.run("import os, signal; os.kill(jx.debug_sessions.get('gone').resource.pid, signal.SIGKILL)")
    cell = kernel.run("t.wait()")
    assert "signal 9" in cell.traceback
    cell = kernel.run(
        "points = t.metrics()['value'].tolist()\n"
        "t.status, len(points) > 20, points == [1 / (n + 1) for n in range(len(points))], '<polyline' in t.picture(), "
        "sum(len(p.values) for p in t.follow())  == 0"
    )
    assert cell.result == "('failed', True, True, True, False)"
    assert "failed" in kernel.run("t").result


def test_calls_can_be_awaited_while_the_cell_does_something_else(kernel: Kernel) -> None:
    cell = kernel.run("""
import asyncio
t = model.train(x=x, epochs=3, pause=0.1)
y, _ = await asyncio.gather(asyncio.to_thread(model.evaluate, x=x[:2]), t)
print(t.status, y.shape)
""")
    assert cell.text == "completed (2, 2)\n", cell.traceback


def test_a_cell_that_ends_its_session_is_told_so_in_one_line(kernel: Kernel) -> None:
    """Also where it ran beside a training, in a subshell that went with the session."""
    cell = kernel.run("""%%debug_session brief
class Endless:
    def train(self):
        import time
        while True:
            time.sleep(0.01)
""")
    assert cell.error is None, cell.traceback
    kernel.run("%debug_call brief.instantiate")
    kernel.run("%debug_call brief.train")
    until(lambda: "busy with train" in kernel.run("%debug_session brief").result, "the training's turn")
    cell = kernel.run("%%in_session brief\nimport os\nos._exit(3)")
    assert cell.error is not None
    assert "ended with exit code 3" in cell.traceback
    assert "\n" not in cell.traceback
