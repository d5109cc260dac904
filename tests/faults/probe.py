"""`python -m tests.faults.probe SOCKET ENGINE_PID SECONDS PATH...`: ask an engine again and again, and tell how long each answer took.

A process of its own, so that nothing else that is done for a measurement is waited for. On a machine that has more to do than
cores, everybody waits for a core; how long the engine and this process did is taken from the kernel, and told apart.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PAUSE_S = 0.02


@dataclass(frozen=True)
class Wait:
    """One answer.

    Attributes:
        path: What was asked for.
        status: HTTP.
        seconds: How long it took.
        for_core_s: How long of that the engine or the asker waited for a core.
        said: What a refusal says.
    """

    path: str
    status: int
    seconds: float
    for_core_s: float
    said: str = ""

    @property
    def own_s(self) -> float:
        """What is the engine's own of it."""
        return max(0.0, self.seconds - self.for_core_s)


class _Connection(http.client.HTTPConnection):
    def __init__(self, socket_path: str) -> None:
        super().__init__("localhost", timeout=60)
        self._socket_path = socket_path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)


def ask(socket_path: str, engine: int, path: str) -> Wait:
    """Ask once, over a connection of its own, as a new notebook does."""
    waited, began = _for_core_s(engine), time.perf_counter()
    connection = _Connection(socket_path)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    took = time.perf_counter() - began
    said = body[:300].decode(errors="replace") if answer.status >= 400 else ""
    return Wait(path, answer.status, took, _for_core_s(engine) - waited, said)


def _for_core_s(engine: int) -> float:
    return sum(_waited_ns(task) for task in (f"{engine}/task/{engine}", "self")) / 1e9


def _waited_ns(task: str) -> int:
    try:
        return int(Path(f"/proc/{task}/schedstat").read_text().split()[1])
    except (OSError, IndexError):  # a kernel that does not count it
        return 0


def main() -> None:
    """Ask for each path in turn until the time is over; print one line of JSON per answer."""
    socket_path, engine, seconds, *paths = sys.argv[1:]
    until = time.monotonic() + float(seconds)
    while time.monotonic() < until:
        for path in paths:
            print(json.dumps(asdict(ask(socket_path, int(engine), path))), flush=True)
            time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
