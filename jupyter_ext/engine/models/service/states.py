"""States of a model as pure tables: what is on the disk, what is in memory, and what may be asked when.

Rule: nothing here does I/O. A model has two states at once, because a newer revision can be on its way while the
older one is loaded; people see one of them.
"""

from __future__ import annotations

from typing import Literal

from jupyter_ext.protocol.models import ModelState

Disk = Literal["absent", "partial", "downloading", "downloaded", "updating"]
Memory = Literal["free", "loading", "loaded", "unloading"]
Action = Literal["download", "load", "unload", "update", "delete"]
Answer = Literal["begin", "join", "nothing", "first", "refuse"]
"""Begin it, join what runs, nothing to do, do something else first, or refuse."""

DISK: dict[Disk, frozenset[Disk]] = {
    "absent": frozenset({"downloading", "downloaded", "partial"}),
    "partial": frozenset({"downloading", "downloaded", "absent"}),
    "downloading": frozenset({"downloaded", "partial", "absent"}),
    "downloaded": frozenset({"updating", "absent"}),
    "updating": frozenset({"downloaded"}),
}
"""From where to where: files are adopted, fetched, cut, deleted. An update that fails leaves what was there."""

MEMORY: dict[Memory, frozenset[Memory]] = {
    "free": frozenset({"loading", "loaded"}),
    "loading": frozenset({"loaded", "unloading", "free"}),
    "loaded": frozenset({"unloading", "free"}),
    "unloading": frozenset({"free"}),
}
"""From where to where: a host that an earlier engine started is adopted as loaded; one that dies is free at once."""

ANSWERS: dict[Action, dict[ModelState, Answer]] = {
    "download": {
        "absent": "begin", "partial": "begin", "downloading": "join", "downloaded": "nothing",
        "loading": "nothing", "loaded": "nothing", "unloading": "nothing",
    },
    "load": {
        "absent": "first", "partial": "first", "downloading": "first", "downloaded": "begin",
        "loading": "join", "loaded": "nothing", "unloading": "first",
    },
    "unload": {
        "absent": "nothing", "partial": "nothing", "downloading": "nothing", "downloaded": "nothing",
        "loading": "begin", "loaded": "begin", "unloading": "join",
    },
    "update": {
        "absent": "begin", "partial": "begin", "downloading": "join", "downloaded": "begin",
        "loading": "begin", "loaded": "begin", "unloading": "begin",
    },
    "delete": {
        "absent": "begin", "partial": "begin", "downloading": "first", "downloaded": "begin",
        "loading": "refuse", "loaded": "refuse", "unloading": "refuse",
    },
}  # fmt: skip
"""What an action does in each state. A load waits for the download, or begins it; it also waits for an unload.
A download is canceled before its files are deleted; a model in memory is not deleted, unless the asker says to unload
it first: somebody else may be computing with it."""


def answer(action: Action, state: ModelState) -> Answer:
    """Tell what an action does to a model in this state."""
    return ANSWERS[action][state]


def move_disk(now: Disk, then: Disk) -> Disk:
    """Check one step of the disk's state.

    Raises:
        ValueError: The table has no such step.
    """
    if then != now and then not in DISK[now]:
        raise ValueError(f"a model's files do not go from {now} to {then}")
    return then


def move_memory(now: Memory, then: Memory) -> Memory:
    """Check one step of the memory's state.

    Raises:
        ValueError: The table has no such step.
    """
    if then != now and then not in MEMORY[now]:
        raise ValueError(f"a model's memory does not go from {now} to {then}")
    return then


def shown(disk: Disk, memory: Memory) -> ModelState:
    """Return the one state that people see: memory first, and an update does not hide that the model is here."""
    if memory != "free":
        return memory
    return "downloaded" if disk == "updating" else disk
