"""PersistentLauncher: create, get, sysinfo, delete."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import TypedDict

import psutil

from jupyter_ext.engine.api.decthings.listing import ListItem, page
from jupyter_ext.engine.api.decthings.locations import read_spec
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Refusal
from jupyter_ext.engine.api.decthings.rpc.dispatch import Methods
from jupyter_ext.engine.api.decthings.sessions import milliseconds
from jupyter_ext.engine.decthings.launchers import Launcher, LauncherNotFound, Launchers
from jupyter_ext.engine.decthings.places import LauncherSpec, Usage
from jupyter_ext.engine.sessions.service import DebugSessionService

MAX_SAMPLES = 600


class ShownLauncher(ListItem, TypedDict):
    """A launcher as the wire has it."""

    spec: LauncherSpec
    state: Mapping[str, str]
    running: list[Mapping[str, str]]


class LauncherRpc:
    """Methods of the API PersistentLauncher."""

    def __init__(self, launchers: Launchers, sessions: DebugSessionService) -> None:
        self._launchers = launchers
        self._sessions = sessions
        self._samples: dict[str, deque[Usage]] = {}

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "createPersistentLauncher": self.create,
            "getPersistentLaunchers": self.get,
            "getSysinfo": self.sysinfo,
            "deletePersistentLauncher": self.delete,
        }

    async def create(self, call: Call) -> Answer:
        """Make a launcher."""
        name, spec = call.text("name"), read_spec(call.object("spec"), "spec")
        launcher = await asyncio.to_thread(self._launchers.create, name, spec)
        return {"persistentLauncherId": launcher.id}, ()

    async def get(self, call: Call) -> Answer:
        """List launchers, and what runs under each."""
        return page(call, self._launchers.all(), self._show, "persistentLaunchers"), ()

    async def sysinfo(self, call: Call) -> Answer:
        """Return what the launcher's sessions use now, and what earlier calls found: CPUs and MiB."""
        launcher = self._launcher(call)
        begin = call.integer("fromTimestamp", 0)
        samples = self._samples.setdefault(launcher.id, deque(maxlen=MAX_SAMPLES))
        samples.append(await asyncio.to_thread(usage_of, self._pids(launcher)))
        return {"sysinfo": [sample for sample in samples if sample["timestamp"] >= begin]}, ()

    async def delete(self, call: Call) -> Answer:
        """Delete a launcher, and end what runs under it."""
        launcher = self._launcher(call)
        await asyncio.to_thread(self._launchers.delete, launcher.id)
        self._samples.pop(launcher.id, None)
        for session_id in self._running(launcher):
            self._sessions.record(session_id).meta["launcherTerminated"] = True
            await self._sessions.terminate(session_id)
        return {}, ()

    def _launcher(self, call: Call) -> Launcher:
        try:
            return self._launchers.get(call.text("persistentLauncherId"))
        except LauncherNotFound:
            raise Refusal("persistent_launcher_not_found") from None

    def _running(self, launcher: Launcher) -> list[str]:
        found = []
        for session in self._sessions.list(ended=False):
            location = self._sessions.record(session.id).meta.get("executionLocation")
            if location is not None and location.get("persistentLauncherId") == launcher.id:
                found.append(session.id)
        return found

    def _pids(self, launcher: Launcher) -> list[int]:
        pids = (self._sessions.get(session_id).pid for session_id in self._running(launcher))
        return [pid for pid in pids if pid is not None]

    def _show(self, launcher: Launcher) -> ShownLauncher:
        return {
            "id": launcher.id,
            "name": launcher.name,
            "createdAt": milliseconds(launcher.created_at),
            "spec": launcher.spec,
            "state": {"type": "active"},
            "running": [{"id": session_id, "type": "debug"} for session_id in self._running(launcher)],
        }


def usage_of(pids: list[int], over_s: float = 0.1) -> Usage:
    """Measure processes for a moment: CPUs in use, and MiB of memory."""
    processes = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            process.cpu_percent()
            processes.append(process)
        except psutil.Error:
            continue
    if processes:
        time.sleep(over_s)
    cpus, memory = 0.0, 0.0
    for process in processes:
        try:
            cpus += process.cpu_percent() / 100
            memory += process.memory_info().rss / 2**20
        except psutil.Error:
            continue
    return {"timestamp": milliseconds(time.time()), "cpus": cpus, "memory": memory}
