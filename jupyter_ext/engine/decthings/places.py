"""Where Decthings' work runs and what it uses there, as the wire and the files have it."""

from __future__ import annotations

from typing import NotRequired

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict


@with_config(ConfigDict(extra="allow"))
class LauncherSpec(TypedDict):
    """What a launcher's maker asked for; more of it is kept as it is."""

    cpus: float
    memoryMebibytes: float


class Location(TypedDict):
    """A persistent launcher, or one for the occasion."""

    type: str
    spec: LauncherSpec
    persistentLauncherId: NotRequired[str]


class Usage(TypedDict):
    """What processes use: CPUs and MiB, at a time in milliseconds since 1970."""

    timestamp: int
    cpus: float
    memory: float
