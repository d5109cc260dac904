"""Persistent launchers: on this machine a name to run sessions under, and what those sessions use of it.

Rule: a launcher limits nothing here; its `spec` is what its maker asked for, and `sysinfo` is what is measured.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from jupyter_ext.engine.common import records
from jupyter_ext.engine.decthings.places import LauncherSpec
from jupyter_ext.ids import new_training_id


class LauncherNotFound(LookupError):
    """No launcher has this id."""


@dataclass(frozen=True)
class Launcher:
    """One launcher."""

    id: str
    name: str
    spec: LauncherSpec
    created_at: float


class Launchers:
    """All launchers.

    Args:
        path: The file that holds them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._launchers: dict[str, Launcher] = {}

    def open(self) -> None:
        """Read them."""
        found = records.read_record(self._path, list[Launcher]) or []
        self._launchers = {launcher.id: launcher for launcher in found}

    def create(self, name: str, spec: LauncherSpec) -> Launcher:
        """Make one."""
        launcher = Launcher(str(new_training_id()), name, spec, time.time())
        self._launchers[launcher.id] = launcher
        self._write()
        return launcher

    def get(self, launcher_id: str) -> Launcher:
        """Return one.

        Raises:
            LauncherNotFound: None has this id.
        """
        found = self._launchers.get(launcher_id)
        if found is None:
            raise LauncherNotFound(launcher_id)
        return found

    def all(self) -> list[Launcher]:
        """List them, oldest first."""
        return list(self._launchers.values())

    def delete(self, launcher_id: str) -> None:
        """Delete one.

        Raises:
            LauncherNotFound: None has this id.
        """
        self.get(launcher_id)
        del self._launchers[launcher_id]
        self._write()

    def _write(self) -> None:
        records.replace(self._path, [asdict(launcher) for launcher in self._launchers.values()])
