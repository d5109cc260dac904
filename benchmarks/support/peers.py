"""What several benchmarks measure beside: a new Python, a new kernel, a cell in a kernel, and plain HTTP."""

from __future__ import annotations

import http.server
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jupyter_client.manager import KernelManager

from benchmarks.support.rows import median
from benchmarks.support.timing import timed


def new_python(code: str = "pass") -> float:
    """Return the milliseconds that a new Python takes to run some code and end."""
    return timed(lambda: subprocess.run([sys.executable, "-c", code], check=True), 1)[0]


def resident_after(code: str) -> float:
    """Return the resident MiB of a new Python after some code."""
    told = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint(open('/proc/self/smaps_rollup').read())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return next(int(line.split()[1]) / 1024 for line in told.splitlines() if line.startswith("Rss:"))


def fresh_process() -> float:
    """Return the milliseconds from starting a process to the line after `import torch`."""
    began = time.time()
    code = "import torch, time; print(time.time())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return 1000 * (float(told) - began)


def fresh_kernel() -> float:
    """Return the milliseconds from starting a kernel to the line after `import torch`."""
    began = time.time()
    kernel = Kernel()
    try:
        return 1000 * (float(kernel.run("import torch, time; print(time.time())")) - began)
    finally:
        kernel.close()


class Kernel:
    """A kernel to run cells in."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str) -> str:
        """Run a cell and return its text."""
        parts: list[str] = []

        def on_output(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            parts.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        self.client.execute_interactive(code, timeout=60, output_hook=on_output)
        return "".join(parts)

    def printed_at(self, code: str) -> list[tuple[float, float]]:
        """Run a cell that prints Unix times, and return each with the time at which it was seen here."""
        seen: list[tuple[float, float]] = []

        def on_output(message: dict[str, Any]) -> None:
            now = time.time()
            if message["msg_type"] == "stream":
                seen.extend((float(line), now) for line in message["content"]["text"].split())

        self.client.execute_interactive(code, timeout=60, output_hook=on_output)
        return seen

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def kernel_execute(rounds: int) -> float:
    """Return the median milliseconds of an execute in a Jupyter kernel that does the same evaluate."""
    kernel = Kernel()
    try:
        kernel.run("import torch\nlayer = torch.nn.Linear(4, 2)\nx = torch.ones(1, 4)")
        return median(timed(lambda: kernel.run("layer(x)"), rounds))
    finally:
        kernel.close()


class _Upload(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    payload = b""

    def do_POST(self) -> None:
        """Take a body and answer with nothing, or with as many bytes as were agreed on."""
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


def plain_http(path: str, body: bytes, rounds: int, num_given: int = 0) -> float:
    """Return the median milliseconds of a POST to a plain HTTP server on loopback; `/give` answers with `num_given` bytes."""
    _Upload.payload = bytes(num_given)
    with _serving(_Upload) as url:

        def post() -> None:
            with urllib.request.urlopen(urllib.request.Request(url + path, body)) as answer:
                answer.read()

        return median(timed(post, rounds))


@contextmanager
def _serving(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
