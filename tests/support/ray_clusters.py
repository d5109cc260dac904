"""Ray clusters for tests: a real one, and a stand-in that answers the same requests and starts in no time."""

from __future__ import annotations

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

STOP_WAIT_S = 3.0
_RAY_STARTS_WITHIN_S = 150.0
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
            os.killpg(process.pid, signal.SIGTERM)
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
    """A Ray cluster on this machine, all of it on the loopback: a head and further nodes, each with a raylet of its own.

    Attributes:
        url: The dashboard's URL.
        is_up: Whether it has started.
        cuts: As of the stand-in; nothing cuts the log's stream here.
    """

    def __init__(self, port: int) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="jxr", dir="/tmp"))
        self.url = f"http://127.0.0.1:{port}"
        self.cuts = 0
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._gcs_port = free_port()
        options = ["--head", "--port", str(self._gcs_port), "--temp-dir", str(self.home)]
        options += ["--dashboard-host", "127.0.0.1", "--dashboard-port", str(port)]
        self.add_node(4, *options, "--no-monitor")
        self.is_up = self._answers()

    def add_node(self, num_cpus: int, *options: str) -> subprocess.Popen[bytes]:
        """Start a node, by default one that joins the cluster; return the process that its raylet is a child of."""
        options = options or ("--address", f"127.0.0.1:{self._gcs_port}")
        command = [sys.executable, str(Path(__file__).with_name("ray_node.py")), "start", "--block", *options]
        command += ["--node-ip-address", "127.0.0.1", "--num-cpus", str(num_cpus), "--disable-usage-stats"]
        command += ["--object-store-memory", str(80 << 20), "--include-log-monitor", "false"]
        with open(self.home / "start.log", "ab") as log:
            node = subprocess.Popen(command, env={**os.environ, **_RAY_VARIABLES}, stdout=log, stderr=log)
        self._nodes.append(node)
        return node

    @property
    def joined(self) -> list[subprocess.Popen[bytes]]:
        """The nodes besides the head."""
        return self._nodes[1:]

    def kill_node(self, node: subprocess.Popen[bytes]) -> None:
        """Kill a node's raylet; what it has started ends with it, as where a machine is lost."""
        raylets = [one for one in psutil.Process(node.pid).children() if one.name() == "raylet"]
        assert len(raylets) == 1
        raylets[0].kill()
        node.wait(60)

    def nodes(self) -> list[str]:
        """List the ids of the nodes that are alive."""
        told = httpx.get(f"{self.url}/api/v0/nodes", params={"detail": "0"}, timeout=30).json()
        return [one["node_id"] for one in told["data"]["result"]["result"] if one["state"] == "ALIVE"]

    def _answers(self) -> bool:
        deadline = time.monotonic() + _RAY_STARTS_WITHIN_S
        while time.monotonic() < deadline and self._nodes[0].poll() is None:
            try:
                if httpx.get(f"{self.url}/api/jobs/", timeout=5).status_code == 200:
                    return True
            except httpx.HTTPError:
                pass
            time.sleep(0.2)
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
        home = str(self.home)
        roots = [
            one for one in psutil.process_iter(["cmdline"]) if home in " ".join(one.info["cmdline"] or [])
        ]
        roots += [psutil.Process(node.pid) for node in self._nodes if node.poll() is None]
        family = {
            one.pid: one
            for root in roots
            if root.is_running()
            for one in [root, *root.children(recursive=True)]
        }
        for process in family.values():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        for node in self._nodes:
            node.wait(20)
        psutil.wait_procs([*family.values()], timeout=20)
        shutil.rmtree(self.home, ignore_errors=True)


Cluster = StandIn | RealRay


def last_line(path: Path) -> str:
    """Return the last line of a file."""
    return path.read_text(errors="replace").strip().rpartition("\n")[2]


def job_of(run_dir: Path) -> str:
    """Return the submission id of a run, once it is submitted."""
    path = run_dir / "remote.json"
    until(path.exists, "the job")
    return str(json.loads(path.read_text())["submission_id"])
