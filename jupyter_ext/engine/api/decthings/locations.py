"""Where something runs: a persistent launcher, or one for the occasion. On this machine both are this machine."""

from __future__ import annotations

from typing import cast

import psutil

from jupyter_ext.engine.api.decthings.rpc.calls import Call, Invalid, Refusal
from jupyter_ext.engine.decthings.launchers import LauncherNotFound, Launchers
from jupyter_ext.engine.decthings.places import LauncherSpec, Location
from jupyter_ext.ipc.cores import usable_cores

LOCAL_SPEC: LauncherSpec = {
    "cpus": usable_cores(),
    "memoryMebibytes": psutil.virtual_memory().total >> 20,
}


class Locations:
    """Reads `executionLocation`."""

    def __init__(self, launchers: Launchers) -> None:
        self._launchers = launchers

    def of(self, call: Call) -> Location:
        """Return where a call's work is to run, with its spec.

        Raises:
            Refusal: There is no such launcher, or not as much memory as the spec wants.
        """
        location = call.object("executionLocation")
        kind = location.get("type")
        if kind == "persistentLauncher":
            launcher_id = location.get("persistentLauncherId")
            try:
                launcher = self._launchers.get(str(launcher_id))
            except LauncherNotFound:
                raise Refusal("persistent_launcher_not_found") from None
            return {"type": kind, "persistentLauncherId": launcher.id, "spec": launcher.spec}
        if kind == "temporaryLauncher":
            spec = read_spec(location.get("spec"), "executionLocation")
            if spec["memoryMebibytes"] > psutil.virtual_memory().available >> 20:
                raise Refusal("server_overloaded")
            return {"type": kind, "spec": spec}
        raise Invalid("executionLocation", 'must have the type "persistentLauncher" or "temporaryLauncher"')


def read_spec(spec: object, name: str) -> LauncherSpec:
    """Read a LauncherSpec."""
    if not isinstance(spec, dict):
        raise Invalid(name, "has no spec")
    for field in ("cpus", "memoryMebibytes"):
        value = spec.get(field)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e12:
            raise Invalid(name, f"must have {field}, a number above 0")
    return cast("LauncherSpec", spec)
