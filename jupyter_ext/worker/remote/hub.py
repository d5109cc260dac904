"""Where the ranks of a group on several nodes send their files to, and learn whether the group goes on. Standard library only.

It is an actor beside the group's driver and fills the driver's run directory, which then looks like that of a group on one machine.
When Ray starts the ranks anew, they begin with empty directories; what they send is put behind what those before them sent:

    logs.txt of a rank          ranks/<rank>/logs.txt, appended
    metrics-<stream>-<n>.jnl    the number counts on
    error.json of a rank        ranks/<rank>/error.json

Rule: a rank has failed only once every other was heard from after that. A lost node makes the code of the others fail, too, and Ray
has to be the one who says so: it starts the group anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypedDict

from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.journal_format import journal_name, parse_journal_name
from jupyter_ext.ipc.relay_frames import LineReader, Part
from jupyter_ext.ipc.run_files import ErrorFile, ExitFile

RANKS = "ranks"
_OF_RANK_0 = ("output.json", "output_files.json", "polls_stop", "stop")

Order = Literal["go_on", "stop", "kill", "leave", "fail"]
"""What a rank is to do: work, end by the ladder, end at once, return to Ray, or have Ray start all ranks again."""
_SILENT_S = 60.0
"""A rank that works and is not heard from for so long is lost, should Ray itself not find out sooner."""


class Joined(TypedDict):
    """What a rank begins with: the attempt, from 1, and the checkpoints that there are, by name."""

    attempt: int
    checkpoints: dict[str, bytes]


class State(NamedTuple):
    """How the group stands.

    Attributes:
        attempt: How often Ray has started it.
        ends: Of the ranks of this attempt that have ended.
        failed: The rank that failed first, if any.
        is_over: Whether there is nothing to wait for.
    """

    attempt: int
    ends: dict[int, ExitFile]
    failed: int | None
    is_over: bool


@dataclass
class _Rank:
    """One rank of one attempt; times are of this process's monotonic clock."""

    heard_at: float
    log_base: int
    journal_bases: dict[str, int]
    reader: LineReader = field(default_factory=LineReader)
    end: ExitFile | None = None
    failed_at: float | None = None


class Hub:
    """Fills the group's directory. One call at a time.

    Args:
        run_dir: The driver's directory.
        num_ranks: How many there are.
    """

    def __init__(self, run_dir: str, num_ranks: int) -> None:
        self._run_dir = Path(run_dir)
        self._num_ranks = num_ranks
        self._token = ""
        self._attempt = 0
        self._ranks: dict[int, _Rank] = {}
        self._is_stopping = False
        self._failed: int | None = None
        self._nodes: list[str] = []

    def join(self, rank: int, token: str, node: str) -> Joined:
        """Let a rank begin.

        Args:
            rank: Which one.
            token: The same for all ranks that Ray starts together.
            node: Where it runs.
        """
        if token != self._token:
            self._token, self._attempt, self._ranks, self._failed = token, self._attempt + 1, {}, None
        self._nodes.append(f"rank {rank} on {node}")
        self._ranks[rank] = _Rank(time.monotonic(), self._log_size(rank), self._next_journals())
        return {"attempt": self._attempt, "checkpoints": self._checkpoints()}

    def take(self, rank: int, token: str, text: str) -> Order:
        """Take what a rank has written, as lines of `relay_frames`; return what it is to do."""
        known = self._ranks.get(rank)
        if token != self._token or known is None:
            return "kill"
        known.heard_at = time.monotonic()
        for part in known.reader.feed(text):
            self._place(rank, known, part)
        return self._order(known)

    def ask_to_stop(self) -> None:
        """Have all ranks end."""
        self._is_stopping = True

    def state(self) -> State:
        """Return how the group stands."""
        ends = {rank: known.end for rank, known in self._ranks.items() if known.end is not None}
        return State(self._attempt, ends, self._failed, self._is_over())

    def news(self) -> list[str]:
        """Return where ranks have begun since this was asked last."""
        told, self._nodes = self._nodes, []
        return told

    # -- what a rank is to do -----------------------------------------------------------------------------------------

    def _order(self, asking: _Rank) -> Order:
        self._decide()
        if asking.end is not None:
            if self._is_over():
                return "leave"
            return "fail" if self._is_silent() else "go_on"
        if self._failed is not None:
            return "kill"
        return "stop" if self._is_stopping else "go_on"

    def _decide(self) -> None:
        failures = {rank: one.failed_at for rank, one in self._ranks.items() if one.failed_at is not None}
        if self._failed is not None or not failures or len(self._ranks) < self._num_ranks:
            return
        first = min(failures, key=lambda rank: failures[rank] or 0.0)
        since = failures[first] or 0.0
        if all(one.end is not None or one.heard_at > since for one in self._ranks.values()):
            self._failed = first

    def _is_silent(self) -> bool:
        now = time.monotonic()
        return any(one.end is None and now - one.heard_at > _SILENT_S for one in self._ranks.values())

    def _is_over(self) -> bool:
        return len(self._ranks) == self._num_ranks and all(
            one.end is not None for one in self._ranks.values()
        )

    # -- files --------------------------------------------------------------------------------------------------------

    def _place(self, rank: int, known: _Rank, part: Part) -> None:
        """Write a part where it belongs."""
        if part.name == run_files.EXIT:
            self._take_end(known, part)
            return
        place = self._place_of(rank, known, part)
        if place is None:
            return
        name, offset = place
        path = self._run_dir / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        target = path if part.is_whole is None else path.with_name(f".{path.name}.{rank}")
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(file, part.data, offset)
            if part.is_whole:
                os.ftruncate(file, offset + len(part.data))
                os.replace(target, path)
        finally:
            os.close(file)

    def _place_of(self, rank: int, known: _Rank, part: Part) -> tuple[str, int] | None:
        name = part.name
        if name in ("logs.txt", "stacks.txt"):
            base = known.log_base if name == "logs.txt" else 0
            return f"{RANKS}/{rank}/{name}", base + part.offset
        if name == "stderr.bin":
            return None  # where stderr stands in a log that only this rank has
        if name == run_files.ERROR:
            return f"{RANKS}/{rank}/{name}", part.offset
        if (journal := parse_journal_name(name)) is not None:
            stream, number = journal
            return journal_name(stream, number + known.journal_bases.get(stream, 0)), part.offset
        if rank and (name in _OF_RANK_0 or name.startswith("checkpoints/")):
            return None
        return name, part.offset

    def _take_end(self, known: _Rank, part: Part) -> None:
        with contextlib.suppress(ValueError):
            end: ExitFile = json.loads(part.data)
            known.end = end
            if end["code"] != 0 and not self._is_stopping:
                known.failed_at = time.monotonic()

    def _log_size(self, rank: int) -> int:
        try:
            return (self._run_dir / RANKS / str(rank) / "logs.txt").stat().st_size
        except FileNotFoundError:
            return 0

    def _next_journals(self) -> dict[str, int]:
        """Return the next number of each stream."""
        following: dict[str, int] = {}
        for path in self._run_dir.glob("metrics-*.jnl"):
            if (parsed := parse_journal_name(path.name)) is not None:
                following[parsed[0]] = max(following.get(parsed[0], 0), parsed[1] + 1)
        return following

    def _checkpoints(self) -> dict[str, bytes]:
        folder = self._run_dir / "checkpoints"
        return {path.name: path.read_bytes() for path in folder.glob("[!.]*") if path.is_file()}


def first_error(run_dir: Path, failed: int, ends: Mapping[int, ExitFile], num_ranks: int) -> ErrorFile:
    """Return what ended a group: the error of the rank that failed first."""
    directory = run_dir / RANKS / str(failed)
    found, end = run_files.read_error(directory), ends[failed]
    if found is not None:
        found["text"] = f"On rank {failed} of {num_ranks}:\n{found['text']}"
        found["summary"] = f"{found.get('summary', found['message'])} (on rank {failed})"
        return found
    number = end["signal"]
    if number is not None:
        text = f"Rank {failed} of {num_ranks} was killed by signal {number}; the others were ended with it."
        return {
            "kind": "signal",
            "signal": number,
            "rank": failed,
            "type": f"signal {number}",
            "message": text,
            "frames": [],
            "text": text,
        }
    text = f"rank {failed} ended its process with exit code {end['code']} before train() returned"
    return {"kind": "exit", "type": "SystemExit", "message": text, "frames": [], "text": text}
