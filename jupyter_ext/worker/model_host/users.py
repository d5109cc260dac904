"""Who uses a loaded model: kernels by pid, gone when their process is. Standard library only."""

from __future__ import annotations

import time
from dataclasses import dataclass

from jupyter_ext.ipc import processes
from jupyter_ext.worker.model_host.messages import UserState


@dataclass
class _User:
    name: str
    pid: int | None
    ticks: int | None
    since: float


class Users:
    """The users of one model."""

    def __init__(self) -> None:
        self._users: dict[str, _User] = {}

    def add(self, user_id: str, name: str, pid: int | None) -> None:
        """Note a user; a known one keeps its time, and one process is one user."""
        known = [key for key, user in self._users.items() if key == user_id or (pid and user.pid == pid)]
        since = min((self._users.pop(key).since for key in known), default=time.time())
        ticks = None if pid is None else processes.start_ticks(pid)
        if pid is None or ticks is not None:
            self._users[user_id] = _User(name, pid, ticks, since)

    def seen(self, pid: int | None) -> None:
        """Note the process that has just called, unless it is known."""
        if pid is not None and all(user.pid != pid for user in self._users.values()):
            self.add(f"pid-{pid}", f"process {pid}", pid)

    def remove(self, user_id: str) -> None:
        """Forget a user."""
        self._users.pop(user_id, None)

    def drop_gone(self) -> None:
        """Forget users whose process has ended."""
        for user_id, user in list(self._users.items()):
            if user.pid is not None and not processes.is_alive(user.pid, user.ticks):
                del self._users[user_id]

    def all(self) -> list[UserState]:
        """List the users; `since` is Unix time in seconds."""
        return [
            {"id": user_id, "name": user.name, "pid": user.pid, "since": user.since}
            for user_id, user in self._users.items()
        ]
