"""Trainings on a service that speaks Replicate's API, shown here like any other.

The engine asks the service and writes what it says into a run directory of the usual form, so that the panel, the
store and a restart of the engine work as for a run on this machine:

    asking.json     when the service was first asked to start the training
    remote.json     base URL and id, once the service has taken the training
    started.json    when the service began it
    exit.json       how the service says it ended, last

Rule: only what the service says of a training ends it here. One that cannot be asked about goes on, with a line that says so.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from weakref import WeakValueDictionary

from jupyter_ext.engine.processes.backend import Launch, StartError
from jupyter_ext.engine.processes.outcome import Outcome
from jupyter_ext.engine.services.credentials import Tokens, how_to_set
from jupyter_ext.engine.services.replicate.client import (
    TERMINAL,
    CreateUnclear,
    ReplicateClient,
    ServiceUnreachable,
    Stopped,
    TokenRefused,
)
from jupyter_ext.engine.services.replicate.create_recovery import Wanted
from jupyter_ext.engine.services.replicate.mirror import Mirror
from jupyter_ext.errors import JupyterExtError, UnknownId
from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.protocol.trainings import Cause

log = logging.getLogger(__name__)

FIRST_POLL_S = 1.0
MAX_POLL_S = 10.0
_MAX_UNKNOWN = 6
"""So many times in turn a service may say that it knows no such training: its lists may lag behind its answers."""

MakeClient = Callable[[str, str], ReplicateClient]


class ReplicateBackend:
    """Runs trainings on services. One task per training asks how it stands.

    Args:
        make_client: Makes a client from base URL and token.
        first_poll_s: Pause after an answer with news, seconds; without news it grows to `MAX_POLL_S`.
    """

    def __init__(self, make_client: MakeClient = ReplicateClient, first_poll_s: float = FIRST_POLL_S) -> None:
        self._make_client = make_client
        self._first_poll_s = first_poll_s
        self._tokens = Tokens()
        self._tasks: dict[Path, asyncio.Task[None]] = {}
        self._stops: dict[Path, asyncio.Event] = {}
        self._same: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, launch: Launch) -> None:
        """Have the service start the training of `spec.json`; see `Backend.start`."""
        run_dir = launch.run_dir
        spec = read_json(run_dir / "spec.json")
        base_url = spec["remote"]["base_url"]
        self._tokens.remember(base_url, launch.environ)
        stop = self._stops.setdefault(run_dir, asyncio.Event())
        try:
            token = await self._tokens.find(base_url)
            if token is None:
                raise StartError(
                    f"There is no token for {base_url}; {how_to_set(base_url)}, and run it again."
                )
            client = self._make_client(base_url, token)
            wanted = _wanted(spec, time.time())
            try:
                async with self._one_at_a_time(wanted, base_url):
                    write_json(run_dir / "asking.json", {"asked_at": wanted.asked_at})
                    remote_id = await client.create(wanted, lambda: _claimed(run_dir), stop)
                    write_json(run_dir / "remote.json", {"base_url": base_url, "id": remote_id})
            finally:
                await client.aclose()
        except Stopped:
            self._stops.pop(run_dir, None)
            write_json(
                run_dir / "exit.json",
                {"status": "canceled", "kind": "start", "ended_at": time.time(), "output": None},
            )
            return
        except JupyterExtError as error:
            self._stops.pop(run_dir, None)
            raise StartError(str(error)) from error
        except StartError:
            self._stops.pop(run_dir, None)
            raise
        self.adopt(run_dir)

    def adopt(self, run_dir: Path) -> None:
        """Go on asking about a training that the service has taken, or may have taken when the engine ended."""
        if run_dir not in self._tasks:
            self._stops.setdefault(run_dir, asyncio.Event())
            task = asyncio.create_task(self._ask(run_dir), name=f"remote {run_dir.name}")
            self._tasks[run_dir] = task
            task.add_done_callback(lambda _: self._forget(run_dir))

    def stop(self, run_dir: Path) -> bool:
        """Have the service cancel the training; tell whether somebody will."""
        stop = self._stops.get(run_dir)
        if stop is None:
            return False
        stop.set()
        return True

    async def stacks(self, run_dir: Path) -> str | None:
        """Return `None`: a service shows no stacks."""
        return None

    def started_at(self, run_dir: Path) -> float | None:
        """Return the Unix time at which the service began the training, or `None`."""
        started = read_json(run_dir / "started.json")
        return None if started is None else float(started["time"])

    def outcome(self, run_dir: Path) -> Outcome | None:
        """Return how the service says it ended, or `None` while it goes on."""
        ended = read_json(run_dir / "exit.json")
        if ended is None:
            return None
        at, metrics = ended["ended_at"], ended.get("metrics") or {}
        if ended.get("code") is not None:  # the service never took it
            told = read_json(run_dir / "error.json") or {"message": "unknown"}
            return Outcome("failed", at, Cause(kind="start", message=told["message"]))
        if ended["status"] == "succeeded":
            return Outcome("succeeded", at, output=ended["output"], metrics=metrics)
        if ended["status"] == "failed":
            message = ended["error"] or "The service says that it failed, and not why."
            return Outcome("failed", at, Cause(kind=_kind(ended), message=message), metrics=metrics)
        return Outcome("canceled", at, _canceled(run_dir, ended), output=ended["output"], metrics=metrics)

    async def find_token(self, base_url: str) -> str | None:
        """Return the token for a service, or `None`."""
        return await self._tokens.find(base_url)

    async def close(self) -> None:
        """Stop asking; the service goes on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _one_at_a_time(self, wanted: Wanted, base_url: str) -> asyncio.Lock:
        """Return the lock for creates that a service's list could not tell apart."""
        key = json.dumps([base_url, wanted.model, wanted.version, wanted.inputs], sort_keys=True, default=str)
        return self._same.setdefault(key, asyncio.Lock())

    def _forget(self, run_dir: Path) -> None:
        self._tasks.pop(run_dir, None)
        self._stops.pop(run_dir, None)

    async def _ask(self, run_dir: Path) -> None:
        mirror = await asyncio.to_thread(Mirror, run_dir)
        while True:
            try:
                await self._ask_to_the_end(run_dir, mirror)
                break
            except asyncio.CancelledError:
                mirror.close()
                raise
            except Exception:  # the edge of a background task: what the service does is none the worse for it
                log.exception("asking about %s failed; trying again", run_dir.name)
                mirror.notice(
                    "The engine had trouble asking the service; `%engine log` says why. It goes on."
                )
                await asyncio.sleep(MAX_POLL_S)
        mirror.close()

    async def _ask_to_the_end(self, run_dir: Path, mirror: Mirror) -> None:
        spec = read_json(run_dir / "spec.json")
        base_url = spec["remote"]["base_url"]
        refused: str | None = None
        while True:
            token = await self._tokens.find(base_url, refused)
            if token is None or token == refused:
                what = "There is no token" if token is None else "The token is refused"
                mirror.notice(
                    f"{what} for {base_url}, so nothing is heard of the training, which goes on there; "
                    f"{how_to_set(base_url)}, then `%engine restart`."
                )
                await asyncio.sleep(MAX_POLL_S)
                refused = None  # so that it is tried now and then: the service may have erred
                continue
            client = self._make_client(base_url, token)
            try:
                remote_id = await self._remote_id(run_dir, spec, client, mirror)
                if remote_id is None or await self._poll(client, remote_id, mirror, self._stops[run_dir]):
                    return
            except TokenRefused:
                log.info("%s refuses the token", base_url)
            finally:
                await client.aclose()
            refused = token

    async def _remote_id(
        self, run_dir: Path, spec: dict[str, Any], client: ReplicateClient, mirror: Mirror
    ) -> str | None:
        """Return the service's id of a training; look for that of one which an engine asked for before it was killed."""
        remote, asking = read_json(run_dir / "remote.json"), read_json(run_dir / "asking.json")
        if remote is not None:
            return str(remote["id"])
        told = "The engine ended before it had asked the service. Nothing was started; run it again."
        if asking is not None:
            told = "The engine ended while it asked the service, which has no such training; run it again."
            try:
                found = await self._found(client, _wanted(spec, asking["asked_at"]), run_dir, mirror)
            except CreateUnclear as error:
                found, told = None, f"The engine ended while it asked the service. {error}"
            if found is not None:
                write_json(run_dir / "remote.json", {"base_url": spec["remote"]["base_url"], "id": found})
                return found
        mirror.end({"status": "failed", "kind": "start", "error": told})
        return None

    async def _found(
        self, client: ReplicateClient, wanted: Wanted, run_dir: Path, mirror: Mirror
    ) -> str | None:
        """Look for a training that may have been taken, for as long as the service cannot be asked."""
        while True:
            try:
                return await client.find(wanted, lambda: _claimed(run_dir))
            except (CreateUnclear, TokenRefused):
                raise
            except JupyterExtError as error:
                mirror.notice(str(error))
                await asyncio.sleep(MAX_POLL_S)

    async def _poll(
        self, client: ReplicateClient, remote_id: str, mirror: Mirror, stop: asyncio.Event
    ) -> bool:
        """Ask until the training is over.

        Returns:
            True once it is over, false if the token is refused.
        """
        pause_s, num_unknown = self._first_poll_s, 0
        wants_cancel = True
        while True:
            try:
                if stop.is_set() and wants_cancel:
                    wants_cancel = not await self._cancel(client, remote_id, mirror)
                record = await client.get(remote_id, None if stop.is_set() else stop)
            except Stopped:
                continue
            except TokenRefused:
                return False
            except UnknownId as error:
                num_unknown += 1
                if num_unknown >= _MAX_UNKNOWN:
                    text = f"{error}. How it ended cannot be found out."
                    mirror.end({"status": "failed", "kind": "lost", "error": text})
                    return True
                pause_s = min(MAX_POLL_S, 1.5 * pause_s)
            except JupyterExtError as error:
                # it may come back; the training there is none the worse for it
                goes_on = (
                    ""
                    if isinstance(error, ServiceUnreachable)
                    else " The training goes on there and is asked about again."
                )
                mirror.notice(f"{error}{goes_on}")
                pause_s = MAX_POLL_S
            else:
                num_unknown = 0
                news, is_over = await _take(mirror, record, client.ahead_s or 0.0)
                if is_over:
                    return True
                pause_s = self._first_poll_s if news else min(MAX_POLL_S, 1.5 * pause_s)
            await self._pause(pause_s, stop)

    async def _pause(self, pause_s: float, stop: asyncio.Event) -> None:
        """Wait until it is time to ask again, or a stop is wanted."""
        if stop.is_set():
            await asyncio.sleep(self._first_poll_s)
            return
        try:
            async with asyncio.timeout(pause_s):
                await stop.wait()
        except TimeoutError:
            return

    async def _cancel(self, client: ReplicateClient, remote_id: str, mirror: Mirror) -> bool:
        """Have the service cancel a training; tell whether it will."""
        mirror.stopping()
        try:
            await client.cancel(remote_id)
        except TokenRefused:
            raise
        except JupyterExtError as error:
            mirror.notice(f"It could not be canceled: {error} The service is asked again.")
            return False
        return True


def _wanted(spec: dict[str, Any], asked_at: float) -> Wanted:
    remote = spec["remote"]
    return Wanted(remote["model"], remote["version"], remote.get("destination"), spec["input"], asked_at)


def _claimed(run_dir: Path) -> set[str]:
    """List the service's ids of all other runs of this engine."""
    found = (read_json(path) for path in run_dir.parent.glob("*/remote.json") if path.parent != run_dir)
    return {told["id"] for told in found if told is not None}


def _kind(ended: dict[str, Any]) -> Literal["start", "lost", "exception"]:
    kind = ended.get("kind")
    return "start" if kind == "start" else "lost" if kind == "lost" else "exception"


def _canceled(run_dir: Path, ended: dict[str, Any]) -> Cause:
    if ended.get("kind") == "start":
        return Cause(kind="canceled", message="Canceled before the service had taken it.")
    if ended["status"] == "aborted":
        return Cause(
            kind="canceled", message="The service ended it before it began (aborted).", hint=ended["error"]
        )
    if not (run_dir / "stop").exists():
        return Cause(kind="canceled", message="Canceled at the service, not from here.", hint=ended["error"])
    return Cause(kind="canceled", message="Canceled.")


async def _take(mirror: Mirror, record: dict[str, Any], ahead_s: float) -> tuple[bool, bool]:
    """Hand what the service said to the mirror; return whether there was news, and whether the training is over."""
    news = await asyncio.to_thread(mirror.take, record, ahead_s)
    status = record.get("status")
    is_over = isinstance(status, str) and status in TERMINAL
    if is_over:
        mirror.end(record, ahead_s)
    return bool(news), is_over
