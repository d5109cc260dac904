"""A debug session: launch, round trips of calls, tensors each way, what a metric costs, and whether an interrupt keeps the model.

Everything is real: the engine, a session with torch, and beside it a Jupyter kernel and plain HTTP with the same work.
"""

from __future__ import annotations

import http.server
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.own_engine import own_engine
from benchmarks.rows import Row, median, percentile
from benchmarks.starting import Kernel, fresh_kernel, fresh_process

CODE = """
import time
import torch
from jupyter_ext import log

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.big = torch.arange(26_214_400, dtype=torch.float32)

    def evaluate(self, x):
        with torch.no_grad():
            return self.layer(x)

    def take(self, x):
        return float(x[0] + x[-1] + x[::1024].sum())

    def give(self):
        return self.big

    def fit(self, n):
        began = time.perf_counter()
        for i in range(n):
            log(loss=0.5)
        return (time.perf_counter() - began) / n

    def forever(self):
        while True:
            torch.ones(8) @ torch.ones(8)
"""
ROUNDS = 2000
BIG_ROUNDS = 15
INTERRUPTS = 100
BIG_BYTES = 104_857_600


def timed(work: Callable[[], Any], rounds: int) -> list[float]:
    """Give the milliseconds of each of some rounds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    return took


def copy_of(source: Any) -> Any:
    """Copy 100 MB into fresh memory, which is what a receiver at least costs."""
    return source.numpy().copy()


def in_turns(*works: Callable[[], Any]) -> list[float]:
    """Give the median milliseconds of each, measured one after another in turns: what else the machine does hits all."""
    rounds = [[timed(work, 1)[0] for work in works] for _ in range(BIG_ROUNDS)]
    return [median([one[place] for one in rounds]) for place in range(len(works))]


class Upload(http.server.BaseHTTPRequestHandler):
    """Plain HTTP that takes and gives bytes."""

    protocol_version = "HTTP/1.1"
    payload = b""

    def do_POST(self) -> None:
        """Take a body and answer with nothing, or with as many bytes as the path says."""
        length = int(self.headers["Content-Length"])
        data = self.rfile.read(length)
        np.frombuffer(data, np.uint8)[::4096].sum()
        answer = self.payload if self.path == "/give" else b"ok"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def plain_http(path: str, body: bytes, rounds: int) -> float:
    """Give the median milliseconds of a POST to a plain HTTP server on loopback."""
    Upload.payload = bytes(BIG_BYTES)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upload)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}{path}"

    def post() -> None:
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
            answer.read()

    try:
        return median(timed(post, rounds))
    finally:
        server.shutdown()
        server.server_close()


def kernel_execute(rounds: int) -> float:
    """Give the median milliseconds of an execute in a Jupyter kernel that does the same evaluate."""
    kernel = Kernel()
    try:
        kernel.run("import torch\nlayer = torch.nn.Linear(4, 2)\nx = torch.ones(1, 4)")
        return median(timed(lambda: kernel.run("layer(x)"), rounds))
    finally:
        kernel.close()


def launches(rounds: int) -> list[float]:
    """Give the seconds from asking for a session to its first answer, warm."""
    from jupyter_ext.client.capture.capture import capture_model
    from jupyter_ext.client.debugging import launch

    took = []
    for number in range(rounds + 1):
        bundle = capture_model(CODE, {}, f"bench{number}")
        began = time.perf_counter()
        session = launch(f"bench{number}", bundle)
        session.channel.call("status")
        took.append(time.perf_counter() - began)
        session.terminate()
    return took[1:]  # the first waits for torch in the zygote


def interrupts(session: Any, model: Any) -> int:
    """Interrupt a call a hundred times; give how often the model was there and the same afterwards."""
    from jupyter_ext.errors import SessionCallInterrupted

    x = np.ones((1, 4), np.float32)
    before = model.evaluate(x=_tensor(x))
    kept = 0
    for _ in range(INTERRUPTS):
        told: list[bool] = []

        def call() -> None:
            try:
                model.call("forever")
            except SessionCallInterrupted:
                told.append(True)  # noqa: B023

        caller = threading.Thread(target=call)
        caller.start()
        while session.channel.call("status")["busy"] is None:
            time.sleep(0.001)
        session.interrupt()
        caller.join(30)
        kept += bool(told) and bool((model.evaluate(x=_tensor(x)) == before).all())
    return kept


def _tensor(array: Any) -> Any:
    import torch

    return torch.from_numpy(array)


def measure() -> list[Row]:
    """Measure everything."""
    import torch

    from jupyter_ext.client.capture.capture import capture_model
    from jupyter_ext.client.debugging import launch

    launched = launches(7)
    session = launch("bench", capture_model(CODE, {}, "bench"))
    model = session.instantiate()
    tiny = torch.ones(1, 4)
    model.evaluate(x=tiny)
    calls = timed(lambda: model.evaluate(x=tiny), ROUNDS)
    big = torch.arange(BIG_BYTES // 4, dtype=torch.float32)
    floor, there, back = in_turns(
        lambda: copy_of(big),
        lambda: model.call("take", x=big),
        lambda: model.call("give")[::1024].sum(),
    )
    direct = median(timed(lambda: torch.nn.Linear(4, 2)(tiny), 200))
    metric = 1e6 * model.train(n=20_000).wait().resource.duration_s / 20_000  # type: ignore[operator]
    kept = interrupts(session, model)
    session.terminate()
    execute, small_http = kernel_execute(100), plain_http("/", bytes(16), 300)
    http_there, http_back = plain_http("/", bytes(BIG_BYTES), 5), plain_http("/give", b"", 5)
    ready = 1000 * median(launched)
    processes = 1000 * median([fresh_process() for _ in range(3)])
    kernels = 1000 * median([fresh_kernel() for _ in range(3)])
    p50, p99 = percentile(calls, 0.5), percentile(calls, 0.99)
    return [
        Row("session, launch to ready", ready, "ms", "fresh process, import torch", processes, "<= 1000 ms", ready <= 1000),
        Row("session, launch to ready", ready, "ms", "fresh kernel, import torch", kernels, "", None),
        Row("evaluate, tiny tensor, p50", p50, "ms", "Jupyter execute", execute, "<= 1 ms", p50 <= 1),
        Row("evaluate, tiny tensor, p50", p50, "ms", "plain HTTP POST", small_http, "", None),
        Row("evaluate, tiny tensor, p99", p99, "ms", "the layer itself, here", direct, "", None),
        Row("100 MB there", there, "ms", "memcpy", floor, "<= 2.5x", there <= 2.5 * floor),
        Row("100 MB there", there, "ms", "plain HTTP", http_there, "", None),
        Row("100 MB back", back, "ms", "memcpy", floor, "<= 2.5x", back <= 2.5 * floor),
        Row("100 MB back", back, "ms", "plain HTTP", http_back, "", None),
        Row("a metric of a debug training", metric, "us", "", None, "<= 20 us", metric <= 20),
        Row("interrupts that kept the model", kept, "of 100", "", None, "100", kept == INTERRUPTS),
    ]  # fmt: skip


def run() -> list[Row]:
    """Measure in directories of its own."""
    with own_engine():
        return measure()
