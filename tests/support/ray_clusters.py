"""Ray clusters for tests: a real one, and a stand-in that answers the same requests and starts in no time."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvicorn
from integration_tools import until
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

STOP_WAIT_S = 15.0
_RAY_STARTS_WITHIN_S, _MAX_STARTS = 100.0, 2
_RAY_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_worker_niceness": "0",  # else its workers, at 15, starve beside other tests
    "RAY_worker_register_timeout_seconds": "180",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_metrics_collection": "0",
}


class StandIn:
    """Answers Ray's Jobs API: stores packages, runs entrypoints as Ray's supervisor does, shows their logs.

    Attributes:
        url: The dashboard's URL.
        cuts: The log's stream is cut after so many messages; 0 for never.
        stored: How often a package was stored.
    """

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="jx-ray-", dir="/tmp"))
        self.cuts = 0
        self.stored: list[str] = []
        self._packages: dict[str, bytes] = {}
        self._jobs: dict[str, tuple[subprocess.Popen[bytes], Path]] = {}
        self._stopped: set[str] = set()
        routes = [
            Route("/api/packages/gcs/{name}", self._package, methods=["GET", "PUT"]),
            Route("/api/version", lambda _: JSONResponse({"ray_version": "2.60.0"})),
            Route("/api/jobs/", self._submit, methods=["POST"]),
            Route("/api/jobs/{id}", self._info, methods=["GET"]),
            Route("/api/jobs/{id}/stop", self._stop, methods=["POST"]),
            Route("/api/jobs/{id}/logs", self._logs, methods=["GET"]),
            WebSocketRoute("/api/jobs/{id}/logs/tail", self._tail),
        ]
        config = uvicorn.Config(Starlette(routes=routes), host="127.0.0.1", port=0, log_level="error")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started, "the stand-in")
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    def pid(self, id: str) -> int:
        """Return the pid of a job's entrypoint."""
        return self._jobs[id][0].pid

    def close(self) -> None:
        """End all jobs and the server."""
        for process, _ in self._jobs.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._server.should_exit = True
        self._thread.join()
        shutil.rmtree(self.home, ignore_errors=True)

    async def _package(self, request: Request) -> Response:
        name = request.path_params["name"]
        if request.method == "PUT":
            self.stored.append(name)
            self._packages[name] = await request.body()
        return Response(status_code=200 if name in self._packages else 404)

    async def _submit(self, request: Request) -> Response:
        body = await request.json()
        id, env = body["submission_id"], body["runtime_env"]
        if id in self._jobs:
            return Response(f"Job with submission_id {id} already exists", 500)
        home = self.home / id
        work = self._unpack(env["working_dir"], home / "work")
        modules = [self._unpack(uri, home / f"module{n}") for n, uri in enumerate(env["py_modules"])]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("JUPYTER_EXT")}
        variables |= {**env["env_vars"], "PYTHONPATH": os.pathsep.join(map(str, modules))}
        words = [sys.executable if word == "python" else word for word in body["entrypoint"].split()]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # as in Ray's workers
        try:
            with open(home / "log", "wb") as log:
                process = subprocess.Popen(
                    words, cwd=work, env=variables, stdout=log, stderr=log, start_new_session=True
                )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._jobs[id] = process, home / "log"
        return JSONResponse({"submission_id": id})

    def _unpack(self, uri: str, target: Path) -> Path:
        with zipfile.ZipFile(io.BytesIO(self._packages[uri.removeprefix("gcs://")])) as archive:
            archive.extractall(target)
        return target

    def _status(self, id: str) -> dict[str, Any]:
        code = self._jobs[id][0].poll()
        status = (
            "RUNNING"
            if code is None
            else "STOPPED"
            if id in self._stopped
            else "FAILED"
            if code
            else "SUCCEEDED"
        )
        message = "" if not code else f"Job entrypoint command failed with exit code {code}"
        return {"status": status, "message": message, "driver_node_id": "n1", "driver_exit_code": code}

    async def _info(self, request: Request) -> Response:
        id = request.path_params["id"]
        return JSONResponse(self._status(id)) if id in self._jobs else Response("no such job", 404)

    async def _stop(self, request: Request) -> Response:
        id = request.path_params["id"]
        process = self._jobs[id][0]
        self._stopped.add(id)
        if process.poll() is None:
            family = psutil.Process(process.pid)
            for one in [family, *family.children(recursive=True)]:  # as Ray does
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.terminate()
            threading.Thread(target=_kill_later, args=(process,), daemon=True).start()
        return JSONResponse({"stopped": True})

    async def _logs(self, request: Request) -> Response:
        return JSONResponse({"logs": self._jobs[request.path_params["id"]][1].read_text()})

    async def _tail(self, websocket: WebSocket) -> None:
        import asyncio

        await websocket.accept()
        id = websocket.path_params["id"]
        num_sent = 0
        try:
            with open(self._jobs[id][1]) as log:
                while True:
                    is_over = self._status(id)["status"] != "RUNNING"
                    lines = [line for _ in range(10) if (line := log.readline())]
                    if lines:
                        await websocket.send_text("".join(lines))
                        num_sent += 1
                    elif is_over:
                        break
                    else:
                        await asyncio.sleep(0.05)
                    if self.cuts and num_sent >= self.cuts:
                        self.cuts = self.cuts + 3 if self.cuts < 40 else 0
                        break
            await websocket.close()
        except WebSocketDisconnect:
            return


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _kill_later(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


class RealRay:
    """A Ray cluster of one node on this machine, all of it on the loopback.

    Attributes:
        url: The dashboard's URL.
        is_up: Whether it has started.
        cuts: As of the stand-in; nothing cuts the log's stream here.
    """

    def __init__(self, port: int) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="jxr", dir="/tmp"))
        self.url = f"http://127.0.0.1:{port}"
        self.cuts = 0
        # A raylet gives its agent 15 s to start, which no option changes, and ends itself on a machine that is too busy.
        self.is_up = any(self._start(port) for _ in range(_MAX_STARTS))

    def _start(self, port: int) -> bool:
        """Start the cluster; tell whether it is up, and leave nothing where it is not."""
        command = [sys.executable, str(Path(__file__).with_name("ray_node.py")), "start", "--head", "--block"]
        command += ["--node-ip-address", "127.0.0.1", "--port", "0", "--num-cpus", "4", "--no-monitor"]
        command += ["--dashboard-host", "127.0.0.1", "--dashboard-port", str(port)]
        command += ["--temp-dir", str(self.home), "--disable-usage-stats", "--include-log-monitor", "false"]
        command += ["--object-store-memory", str(80 << 20)]
        # its agent has one port for all clusters of a machine else: those that come second take no jobs
        command += ["--dashboard-agent-listen-port", str(free_port())]
        with open(self.home / "start.log", "ab") as log:
            self._node = subprocess.Popen(
                command, env={**os.environ, **_RAY_VARIABLES}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + _RAY_STARTS_WITHIN_S
        while time.monotonic() < deadline and self._node.poll() is None:
            if self._has_node():
                return True
            time.sleep(0.2)
        self._kill_all()
        return False

    def _has_node(self) -> bool:
        """Tell whether the dashboard answers, and a node has joined."""
        try:
            told = httpx.get(f"{self.url}/api/v0/nodes", timeout=10)
            is_there = told.status_code == 200 and '"ALIVE"' in told.text
            return is_there and httpx.get(f"{self.url}/api/jobs/", timeout=10).status_code == 200
        except httpx.HTTPError:
            return False

    def pid(self, id: str) -> int:
        """Return the pid of a job's entrypoint."""

        def find() -> int | None:
            for process in psutil.process_iter(["cmdline", "environ"]):
                words = process.info["cmdline"] or []
                if words[-1:] == ["jupyter_ext.worker.remote.main"] and id in str(process.info["environ"]):
                    return process.pid
            return None

        return int(until(find, "the job's process"))

    def close(self) -> None:
        """End every process of the cluster."""
        self._kill_all()
        shutil.rmtree(self.home, ignore_errors=True)

    def _kill_all(self) -> None:
        home = str(self.home)
        roots = [
            one for one in psutil.process_iter(["cmdline"]) if home in " ".join(one.info["cmdline"] or [])
        ]
        family = {
            one.pid: one
            for root in roots
            if root.is_running()
            for one in [root, *root.children(recursive=True)]
        }
        for process in family.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._node.wait(20)
        psutil.wait_procs([*family.values()], timeout=20)


Cluster = StandIn | RealRay


def last_line(path: Path) -> str:
    """Return the last line of a file."""
    return path.read_text(errors="replace").strip().rpartition("\n")[2]


def job_of(run_dir: Path) -> str:
    """Return the submission id of a run, once it is submitted."""
    path = run_dir / "remote.json"
    until(path.exists, "the job")
    return str(json.loads(path.read_text())["submission_id"])
