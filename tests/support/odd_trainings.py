"""A service that speaks Replicate's API and misbehaves as told: real HTTP on loopback, one scenario per path prefix."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CUT = object()
"""Answer: the connection is broken off."""


@dataclass(frozen=True)
class Reply:
    """An answer: JSON unless `body` is bytes already."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Fault = Callable[[Callable[[], Reply]], Any]
"""Gives the answer in place of the usual one, which it may have made by calling what it is given."""


@dataclass
class Scenario:
    """One service with trainings of its own.

    Attributes:
        name: Becomes the first part of its base URL's path.
        faults: What the first answers to `create`, `get`, `list` and `cancel` are, in turn; then all is as usual.
        stages: What a training is, ask by ask; the last stays.
        clock_ahead_s: How far the service's clock is ahead, seconds; `None` for one that shows no clock.
        token: What it takes.
    """

    name: str
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    stages: list[dict[str, Any]] = field(default_factory=list)
    clock_ahead_s: float | None = 0.0
    token: str = "r8_only_for_the_service"
    trainings: list[dict[str, Any]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    add_defaults: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    """What lies under `/files/`, for whoever shows the token."""

    def now(self) -> str:
        """Return the service's time."""
        at = time.time() + (self.clock_ahead_s or 0.0)
        return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

    def create(self, model: str, version: str, body: dict[str, Any]) -> Reply:
        """Start a training."""
        training = {
            "id": f"{self.name.replace('-', '')}{len(self.trainings)}",
            "model": model,
            "version": version,
            "input": body["input"] | ({"added": 1} if self.add_defaults else {}),
            "created_at": self.now(),
            "asked": 0,
        }
        self.trainings.insert(0, training)
        return Reply(201, {**training, "status": "starting", "logs": "", "urls": {"get": "x", "cancel": "y"}})

    def get(self, id: str) -> Reply:
        """Return a training as its next stage has it."""
        training = next((item for item in self.trainings if item["id"] == id), None)
        if training is None:
            return Reply(404, {"detail": "Not found."})
        stages = self.stages or GOOD
        stage = stages[min(training["asked"], len(stages) - 1)]
        training["asked"] += 1
        if training.get("canceled"):
            stage = {"status": "canceled", "completed_at": self.now()}
        stage = {key: value(self) if callable(value) else value for key, value in stage.items()}
        return Reply(200, {**{k: v for k, v in training.items() if k not in ("asked", "canceled")}, **stage})

    def list(self) -> Reply:
        """Return all trainings."""
        kept = [{k: v for k, v in item.items() if k != "asked"} for item in self.trainings]
        return Reply(200, {"previous": None, "next": None, "results": kept})

    def cancel(self, id: str) -> Reply:
        """Cancel a training."""
        next(item for item in self.trainings if item["id"] == id)["canceled"] = True
        return self.get(id)


NOW = Scenario.now
PROCESSING: dict[str, Any] = {"status": "processing", "started_at": NOW, "logs": "step=0 loss=1.5\n"}
DONE: dict[str, Any] = {
    "status": "succeeded",
    "started_at": NOW,
    "completed_at": NOW,
    "logs": "step=0 loss=1.5\nstep=1 loss=0.5\n",
    "output": {"n": 1},
    "metrics": {"predict_time": 1.25, "total_time": 2.5},
}
GOOD: list[dict[str, Any]] = [{"status": "starting"}, PROCESSING, DONE]


class OddService:
    """Serves scenarios, and another origin that nobody should ever ask."""

    def __init__(self) -> None:
        self.scenarios: dict[str, Scenario] = {}
        self.strayed: list[str] = []
        """Requests that came to the other origin."""
        self.shown: list[str] = []
        """What was shown as authorization, to whichever origin."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._serve()

            def do_POST(self) -> None:
                self._serve()

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.server is service._other:
                    service.strayed.append(f"{self.path} {self.headers.get('Authorization')}")
                    self._send(Reply(200, {"id": "stray", "status": "succeeded"}), None)
                    return
                scenario = service.scenarios[self.path.split("/")[1]]
                reply = service.answer(scenario, self.command, self.path, self.headers, body)
                if reply is CUT:
                    self.close_connection = True
                    self.connection.close()
                else:
                    self._send(reply, scenario.clock_ahead_s)

            def _send(self, reply: Reply, ahead_s: float | None) -> None:
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response_only(reply.status)
                if ahead_s is not None:
                    self.send_header("Date", formatdate(time.time() + ahead_s, usegmt=True))
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 100

            def handle_error(self, *_: Any) -> None:
                return

        self._server, self._other = Server(("127.0.0.1", 0), Handler), Server(("127.0.0.1", 0), Handler)
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            for server in (self._server, self._other)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def elsewhere(self) -> str:
        """An origin that is not the service's."""
        return f"http://127.0.0.1:{self._other.server_port}"

    def add(self, scenario: Scenario) -> str:
        """Begin to serve a scenario; give its base URL."""
        self.scenarios[scenario.name] = scenario
        return f"http://127.0.0.1:{self._server.server_port}/{scenario.name}/v1"

    def answer(self, scenario: Scenario, method: str, path: str, headers: Any, body: bytes) -> Any:
        """Answer one request."""
        parts = path.partition("?")[0].split("/")[3:]
        shown = headers.get("Authorization", "")
        self.shown.append(shown)
        if parts[0] == "models":
            kind, usual = "create", lambda: scenario.create("/".join(parts[1:3]), parts[4], json.loads(body))
        elif parts[0] == "files":
            data = scenario.files.get(parts[1])
            kind, usual = "file", lambda: Reply(404) if data is None else Reply(200, data)
        elif len(parts) == 1:
            kind, usual = "list", scenario.list
        elif len(parts) == 3:
            kind, usual = "cancel", lambda: scenario.cancel(parts[1])
        else:
            kind, usual = "get", lambda: scenario.get(parts[1])
        scenario.requests.append(kind)
        if shown != f"Bearer {scenario.token}":
            detail = "You did not pass a valid authentication token"
            return Reply(401, {"title": "Unauthenticated", "detail": detail, "status": 401})
        waiting = scenario.faults.get(kind) or []
        return waiting.pop(0)(usual) if waiting else usual()

    def close(self) -> None:
        """Stop serving."""
        for server in (self._server, self._other):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()


# -- faults ----------------------------------------------------------------------------------------------------------


def says(status: int, body: Any = None, **headers: str) -> Fault:
    """Answer so, and do nothing."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda usual: Reply(status, {} if body is None else body, named)


def html(status: int) -> Fault:
    """Answer with a page for people."""
    return lambda usual: Reply(status, b"<html><h1>Bad Gateway</h1></html>", {"Content-Type": "text/html"})


def cut(usual: Callable[[], Reply]) -> Any:
    """Break the connection off before anything is done."""
    return CUT


def does_it_but(fault: Fault) -> Fault:
    """Do what was asked, and answer as the fault does."""

    def answer(usual: Callable[[], Reply]) -> Any:
        usual()
        return fault(usual)

    return answer


def with_changes(**changes: Any) -> Fault:
    """Answer as usual but for some keys."""

    def answer(usual: Callable[[], Reply]) -> Reply:
        reply = usual()
        return Reply(reply.status, {**reply.body, **changes}, reply.headers)

    return answer


def without(*keys: str) -> Fault:
    """Answer as usual, without some keys."""

    def answer(usual: Callable[[], Reply]) -> Reply:
        reply = usual()
        return Reply(reply.status, {k: v for k, v in reply.body.items() if k not in keys}, reply.headers)

    return answer
