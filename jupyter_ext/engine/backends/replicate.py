"""Trainings on a service that speaks Replicate's API, shown here like any other.

The engine asks the service and writes what it says into a run directory of the usual form, so that the panel, the
store and a restart of the engine work as for a run on this machine:

    remote.json     base URL and id, once the service has taken the training
    started.json    when the service began it
    exit.json       how the service says it ended, last

Rules: the token is held in memory only; after a restart it comes from the engine's own environment. The log is the service's whole text each time; only what is new is appended.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_ext.engine.backends.base import Launch, StartError
from jupyter_ext.engine.backends.log_metrics import read_line
from jupyter_ext.engine.backends.replicate_http import (
    TERMINAL,
    ReplicateClient,
    ServiceUnreachable,
    parse_time,
)
from jupyter_ext.engine.workers.exit import Outcome
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.resources import Cause
from jupyter_ext.worker.files import read_json, write_json
from jupyter_ext.worker.journal import JournalWriter

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "REPLICATE_API_TOKEN"
FIRST_POLL_S = 1.0
MAX_POLL_S = 10.0
_OVERLAP = 2000
"""So many last characters are looked for in a log that no longer begins as it did."""

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
        self._tokens: dict[str, str] = {}
        self._tasks: dict[Path, asyncio.Task[None]] = {}
        self._stops: dict[Path, asyncio.Event] = {}

    async def start(self, launch: Launch) -> None:
        """Have the service start the training of `spec.json`; see `Backend.start`."""
        spec = read_json(launch.run_dir / "spec.json")
        remote = spec["remote"]
        token = (launch.environ or {}).get(TOKEN_VARIABLE) or self._tokens.get(remote["base_url"])
        if not token:
            raise StartError(
                f"There is no token for {remote['base_url']}; set {TOKEN_VARIABLE} and run it again."
            )
        self._tokens[remote["base_url"]] = token
        client = self._make_client(remote["base_url"], token)
        try:
            made = await client.create(
                remote["model"], remote["version"], remote.get("destination"), spec["input"]
            )
        except JupyterExtError as error:
            raise StartError(str(error)) from error
        finally:
            await client.aclose()
        if not isinstance(made.get("id"), str):
            raise StartError(f"{remote['base_url']} started a training but gave no id; look at its own list.")
        write_json(launch.run_dir / "remote.json", {"base_url": remote["base_url"], "id": made["id"]})
        self.adopt(launch.run_dir)

    def adopt(self, run_dir: Path) -> None:
        """Go on asking about a training that the service has taken."""
        if not (run_dir / "remote.json").exists():
            write_json(
                run_dir / "error.json",
                {"message": "The engine ended while it asked the service; look at its own list."},
            )
            write_json(run_dir / "exit.json", {"code": 1, "ended_at": time.time()})
        elif run_dir not in self._tasks:
            self._stops[run_dir] = asyncio.Event()
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

    def stacks(self, run_dir: Path) -> bool:
        """Tell that a service shows no stacks."""
        return False

    def started_at(self, run_dir: Path) -> float | None:
        """Give the Unix time at which the service began the training, or `None`."""
        started = read_json(run_dir / "started.json")
        return None if started is None else float(started["time"])

    def outcome(self, run_dir: Path, now: float) -> Outcome | None:
        """Tell how the service says it ended, or `None` while it goes on."""
        ended = read_json(run_dir / "exit.json")
        if ended is None:
            return None
        if ended.get("code") is not None:  # the service never took it
            told = read_json(run_dir / "error.json") or {"message": "unknown"}
            return Outcome("failed", ended["ended_at"], Cause(kind="start", message=told["message"]))
        if ended["status"] == "succeeded":
            return Outcome("succeeded", ended["ended_at"], output=ended["output"])
        if ended["status"] == "failed":
            message = str(ended["error"] or "The service says that it failed, and not why.")
            return Outcome("failed", ended["ended_at"], Cause(kind="exception", message=message))
        return Outcome("canceled", ended["ended_at"], Cause(kind="canceled", message="Canceled."))

    async def close(self) -> None:
        """Stop asking; the service goes on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, run_dir: Path) -> None:
        self._tasks.pop(run_dir, None)
        self._stops.pop(run_dir, None)

    async def _ask(self, run_dir: Path) -> None:
        remote = read_json(run_dir / "remote.json")
        mirror = Mirror(run_dir)
        try:
            while not (token := self._tokens.get(remote["base_url"]) or os.environ.get(TOKEN_VARIABLE)):
                mirror.notice(
                    f"Waiting for a token: set {TOKEN_VARIABLE} in a notebook and run `%engine restart`."
                )
                await asyncio.sleep(MAX_POLL_S)
            client = self._make_client(remote["base_url"], token)
            try:
                await self._poll(client, remote["id"], mirror, self._stops[run_dir])
            finally:
                await client.aclose()
        except JupyterExtError as error:
            log.warning("giving up %s: %s", run_dir.name, error)
            mirror.end({"status": "failed", "error": str(error)})
        except Exception:
            log.exception("asking about %s failed", run_dir.name)
            mirror.end(
                {"status": "failed", "error": "The engine failed at asking the service; see `%engine log`."}
            )
        finally:
            mirror.close()

    async def _poll(
        self, client: ReplicateClient, remote_id: str, mirror: Mirror, stop: asyncio.Event
    ) -> None:
        pause_s, canceled = self._first_poll_s, False
        while True:
            try:
                if stop.is_set() and not canceled:
                    canceled = True
                    mirror.stopping()
                    await client.cancel(remote_id)
                told = await client.get(remote_id)
            except (
                ServiceUnreachable
            ) as error:  # it may come back; the training there is none the worse for it
                mirror.notice(f"{error}")
                pause_s = MAX_POLL_S
            else:
                news = mirror.take(told)
                if told.get("status") in TERMINAL:
                    mirror.end(told)
                    return
                pause_s = self._first_poll_s if news else min(MAX_POLL_S, 1.5 * pause_s)
            if canceled:
                await asyncio.sleep(min(pause_s, self._first_poll_s))
                continue
            try:
                async with asyncio.timeout(pause_s):
                    await stop.wait()
            except TimeoutError:
                continue


class Mirror:
    """Writes what a service says of one training into its run directory."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._logs = run_dir / "logs.txt"
        self._seen = self._logs.read_text(encoding="utf-8") if self._logs.exists() else ""
        self._line = self._seen.rpartition("\n")[2]
        self._journal = JournalWriter(run_dir, "0")
        self._noticed: set[str] = set()

    def take(self, told: dict[str, Any]) -> bool:
        """Write what is new in the service's answer; tell whether anything was."""
        if told.get("status") != "starting" and not (self._run_dir / "started.json").exists():
            started = _unix(told.get("started_at")) or time.time()
            write_json(self._run_dir / "started.json", {"time": started})
            self._journal.mark("started")
        text = told.get("logs")
        new = self._new_part(text) if isinstance(text, str) else ""
        if new:
            with open(self._logs, "a", encoding="utf-8") as file:
                file.write(new)
            self._read(new)
        return bool(new)

    def end(self, told: dict[str, Any]) -> None:
        """Write how it ended."""
        ended_at = _unix(told.get("completed_at")) or time.time()
        content = {name: told.get(name) for name in ("status", "error", "output")}
        write_json(self._run_dir / "exit.json", {**content, "ended_at": ended_at})

    def stopping(self) -> None:
        """Say that the service was asked to cancel."""
        write_json(self._run_dir / "stop", {"stage": "flag", "requested_at": time.time()})

    def notice(self, text: str) -> None:
        """Tell the user something, once."""
        if text not in self._noticed:
            self._noticed.add(text)
            self._journal.mark("notice", text=text)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _new_part(self, text: str) -> str:
        """Give what a whole log says beyond what was seen; one that begins anew is searched for the last seen."""
        if text.startswith(self._seen):
            new = text[len(self._seen) :]
        else:
            tail = self._seen[-_OVERLAP:]
            place = text.rfind(tail) if tail else -1
            if place < 0 and len(text) <= len(self._seen):
                return ""  # a shorter text without anything known: the service is catching up with itself
            new = text[place + len(tail) :] if place >= 0 else text
        self._seen += new
        return new

    def _read(self, new: str) -> None:
        """Take metrics and progress out of whole lines, and progress out of the one that is being written."""
        *lines, self._line = (self._line + new).split("\n")
        for line in [*lines, ""]:
            news = read_line(line)
            if news.metrics:
                self._journal.points(news.metrics, news.step)
            if news.progress is not None:
                self._journal.mark("progress", current=news.progress[0], total=news.progress[1])
        unfinished = read_line(self._line).progress
        if unfinished is not None:
            self._journal.mark("progress", current=unfinished[0], total=unfinished[1])


def _unix(text: Any) -> float | None:
    return parse_time(text).timestamp() if text and parse_time(text).year > 1 else None
