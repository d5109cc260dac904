"""Trainings on a Ray cluster: each a job, whose files are mirrored into a run directory of the usual form.

    remote.json     address and submission id, before the cluster is asked
    worker_start.json, logs.txt, metrics-*.jnl, …, exit.json      as the job sends them
    ended.json      how the cluster says that the job ended, where the job could not say it

Rule: only what the job or the cluster says of a training ends it. A cluster that cannot be reached is asked again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TypedDict

from websockets.exceptions import WebSocketException

from jupyter_ext.engine.processes.backend import Launch, StartError
from jupyter_ext.engine.processes.outcome import Outcome, outcome_of
from jupyter_ext.engine.services.ray.client import (
    MAX_PACKAGE_BYTES,
    TERMINAL,
    JobInfo,
    RayClient,
    RayError,
    RayUnreachable,
    find_token,
)
from jupyter_ext.engine.services.ray.mirror import ENDED, Mirror
from jupyter_ext.engine.services.ray.package import code_package, worker_package
from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.protocol.trainings import Cause

log = logging.getLogger(__name__)

POLL_S, MAX_POLL_S = 0.5, 10.0
_QUEUED_S = 5.0
"""A job that waits longer is said to wait."""
_MAX_UNKNOWN = 6
_STOP_WAIT_S = 15
"""So long Ray waits for a job that it has asked to end: more than the worker's own ladder takes."""
_ENTRY = "python -u -m jupyter_ext.worker.remote.main"


class Submission(TypedDict):
    """`remote.json`."""

    address: str
    submission_id: str


class RayBackend:
    """Runs trainings on Ray clusters. One task per training follows its job."""

    def __init__(self) -> None:
        self._tokens: dict[str, str] = {}
        self._tasks: dict[Path, asyncio.Task[None]] = {}
        self._stops: dict[Path, asyncio.Event] = {}

    async def start(self, launch: Launch) -> None:
        """Submit the job of a training; see `Backend.start`."""
        run_dir, spec = launch.run_dir, read_json(launch.run_dir / "spec.json")
        wanted = spec["ray"]
        if launch.secrets:
            raise StartError(
                f"{next(iter(launch.secrets))} is secret, and a Ray cluster shows what its jobs are given; read it there "
                "from an environment variable or a file instead."
            )
        address = wanted["address"]
        try:
            if token := find_token(launch.environ):
                self._tokens[address] = token
        except RayError as error:
            raise StartError(str(error)) from error
        stop = self._stops.setdefault(run_dir, asyncio.Event())
        submission: Submission = {"address": address, "submission_id": f"jupyter-ext-{spec['id']}"}
        job = {"spec": spec, "workers": launch.workers, "python": _version_of(launch.python)}
        client = self._client(address)
        try:
            if stop.is_set():
                Mirror(run_dir).end("STOPPED", "Canceled before the cluster was asked.")
                return
            await client.check()
            runtime_env = await self._runtime_env(client, run_dir, job)
            write_json(run_dir / "remote.json", submission)
            request = {
                "entrypoint": _ENTRY,
                "runtime_env": runtime_env,
                "metadata": {"name": spec["name"], "jupyter_ext": spec["id"]},
                # the entry of a group only waits for its ranks, which Ray Train reserves for
                "entrypoint_num_cpus": wanted["cpus"] if launch.workers == 1 else 0,
                "entrypoint_num_gpus": wanted["gpus"] if launch.workers == 1 else 0,
            }
            await client.submit(submission["submission_id"], request)
        except RayError as error:
            self._stops.pop(run_dir, None)
            raise StartError(str(error)) from error
        finally:
            await client.aclose()
        self.adopt(run_dir)

    async def _runtime_env(self, client: RayClient, run_dir: Path, job: object) -> dict[str, object]:
        code_name, code = await asyncio.to_thread(code_package, run_dir)
        if len(code) > MAX_PACKAGE_BYTES:
            raise RayError(
                f"Code and captured names take {len(code) >> 20} MiB; Ray takes {MAX_PACKAGE_BYTES >> 20} MiB. Load the data in train()."
            )
        worker_name, worker = await asyncio.to_thread(worker_package)
        described = base64.b64encode(json.dumps(job).encode()).decode()
        return {
            "working_dir": await client.put_package(code_name, code),
            "py_modules": [await client.put_package(worker_name, worker)],
            "env_vars": {"JUPYTER_EXT_JOB": described, "RAY_JOB_STOP_WAIT_TIME_S": str(_STOP_WAIT_S)},
        }

    def adopt(self, run_dir: Path) -> None:
        """Follow a job that was submitted, by this engine or by one before it."""
        if run_dir not in self._tasks:
            self._stops.setdefault(run_dir, asyncio.Event())
            task = asyncio.create_task(self._follow(run_dir), name=f"ray {run_dir.name}")
            self._tasks[run_dir] = task
            task.add_done_callback(lambda _: self._forget(run_dir))

    def stop(self, run_dir: Path) -> bool:
        """Have the cluster stop the job; tell whether somebody will."""
        stop = self._stops.get(run_dir)
        if stop is not None:
            stop.set()
        return stop is not None

    async def stacks(self, run_dir: Path) -> str | None:
        """Return `None`: a job is not asked for its stacks."""
        return None

    def started_at(self, run_dir: Path) -> float | None:
        """Return the Unix time at which the training began on the cluster, or `None`."""
        return Mirror(run_dir).started_at

    def outcome(self, run_dir: Path) -> Outcome | None:
        """Return how it ended, as the job says it, or else the cluster; `None` while it goes on."""
        if (end := run_files.read_exit(run_dir)) is not None:
            return outcome_of(run_dir, end)
        ended = read_json(run_dir / ENDED)
        if ended is None:
            return None
        if ended["status"] == "STOPPED":
            hint = "The cluster ended the job before it could say more."
            return Outcome(
                "canceled", ended["ended_at"], Cause(kind="canceled", message="Canceled.", hint=hint)
            )
        message = f"Ray ended the job without a word of its own: {ended['message'] or ended['status']}"
        hint = "Run it again, or resume it from its last checkpoint; what it logged is kept."
        return Outcome("failed", ended["ended_at"], Cause(kind="lost", message=message, hint=hint))

    async def close(self) -> None:
        """Stop following; the jobs go on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _client(self, address: str) -> RayClient:
        return RayClient(address, self._tokens.get(address) or find_token(None))

    def _forget(self, run_dir: Path) -> None:
        self._tasks.pop(run_dir, None)
        self._stops.pop(run_dir, None)

    # -- one job ------------------------------------------------------------------------------------------------------

    async def _follow(self, run_dir: Path) -> None:
        submission: Submission | None = read_json(run_dir / "remote.json")
        mirror = Mirror(run_dir)
        try:
            if submission is None:
                mirror.end("FAILED", "the engine ended before the cluster was asked")
                return
            client = self._client(submission["address"])
            try:
                await _Job(client, submission["submission_id"], mirror, self._stops[run_dir]).follow()
            finally:
                await client.aclose()
        except asyncio.CancelledError:
            raise
        except Exception:  # the edge of a background task: the job is none the worse for it
            log.exception("following the job of %s failed", run_dir.name)
            mirror.notice("The engine had trouble following the job; `%engine log` says why.")
        finally:
            mirror.close()


class _Job:
    """One job, followed to its end."""

    def __init__(self, client: RayClient, id: str, mirror: Mirror, stop: asyncio.Event) -> None:
        self._client = client
        self._id = id
        self._mirror = mirror
        self._stop = stop
        self._began = time.monotonic()
        self._asked_to_stop = False
        self._num_unknown = 0
        self._told_node = False

    async def follow(self) -> None:
        """Mirror its log until it is over."""
        pause_s = POLL_S
        while True:
            try:
                if self._stop.is_set() and not self._asked_to_stop:
                    await self._client.stop(self._id)
                    self._asked_to_stop = True
                info = await self._client.info(self._id)
                if info is None:
                    if self._is_gone():
                        return
                elif info["status"] == "PENDING":
                    self._tell_wait(info)
                else:
                    self._tell_node(info)
                    await self._tail()
                    if self._mirror.has_end or await self._is_over():
                        return
                pause_s = POLL_S
            except (RayError, OSError, WebSocketException) as error:
                pause_s = self._tell_trouble(error, pause_s)
            await self._pause(pause_s)

    def _tell_trouble(self, error: Exception, pause_s: float) -> float:
        """Say in the run why its cluster gave no answer, or no good one; return the seconds until it is asked again."""
        if isinstance(error, RayError) and not isinstance(error, RayUnreachable):
            self._mirror.notice(str(error))
            return MAX_POLL_S
        self._mirror.notice(
            f"The Ray cluster cannot be reached now ({type(error).__name__}); the job goes on there."
        )
        return min(MAX_POLL_S, 2 * pause_s)

    async def _tail(self) -> None:
        """Mirror the log as it grows, until it ends or a stop is wanted for the first time."""
        self._mirror.begin_again()
        reading = asyncio.create_task(self._read_log())
        waits = [] if self._asked_to_stop else [asyncio.create_task(self._stop.wait())]
        try:
            await asyncio.wait([reading, *waits], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            for task in (reading, *waits):
                task.cancel()
            await asyncio.gather(reading, *waits, return_exceptions=True)

    async def _read_log(self) -> None:
        async with contextlib.aclosing(self._client.tail(self._id)) as pieces:
            async for piece in pieces:
                self._mirror.take(piece)
                if self._mirror.has_end:
                    return
                await asyncio.sleep(0)

    async def _is_over(self) -> bool:
        """Tell whether the job is over; where the tail has missed its end, the whole log is read once."""
        info = await self._client.info(self._id)
        if info is None or info["status"] not in TERMINAL:
            return False
        with contextlib.suppress(RayError):
            self._mirror.begin_again()
            self._mirror.take(await self._client.logs(self._id))
        if not self._mirror.has_end:
            code = "" if info["exit_code"] is None else f" (exit code {info['exit_code']})"
            said = " ".join(info["message"].split())[:500]
            if (last := self._mirror.last_words) and last not in said:
                said = f"{last} {said}"
            self._mirror.end(info["status"], f"{said}{code}")
        return True

    def _is_gone(self) -> bool:
        self._num_unknown += 1
        if self._num_unknown < _MAX_UNKNOWN:
            return False
        self._mirror.end(
            "FAILED", "the cluster knows no such job any more; it was deleted there, or the cluster restarted"
        )
        return True

    def _tell_wait(self, info: JobInfo) -> None:
        if time.monotonic() - self._began > _QUEUED_S:
            why = " ".join(info["message"].split())[:200]
            self._mirror.notice(f"The job waits in Ray's queue. {why}".strip())

    def _tell_node(self, info: JobInfo) -> None:
        if not self._told_node and info["node"]:
            self._told_node = True
            waited = time.monotonic() - self._began
            self._mirror.notice(
                f"Ray job {self._id} runs on {info['node']}, after {waited:.1f} s in the queue."
            )

    async def _pause(self, pause_s: float) -> None:
        if self._asked_to_stop:
            await asyncio.sleep(POLL_S)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._stop.wait()


def _version_of(python: str) -> str | None:
    """Return major and minor version of an interpreter, where that is known: it is the engine's own."""
    if os.path.realpath(python) != os.path.realpath(sys.executable):
        return None
    return f"{sys.version_info[0]}.{sys.version_info[1]}"
