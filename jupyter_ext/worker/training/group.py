"""Run a training as a group of processes on this machine, under torch's own elastic agent. Standard library and torch only.

The process that the shim has forked becomes the agent: it never computes, so the ranks are forked from it as warm as it is. Each
rank has a directory of its own:

    ranks/<rank>/logs.txt      what it printed; the agent folds all of them into the run's logs.txt
    ranks/<rank>/stacks.txt    where it stands or crashed
    ranks/<rank>/error.json    what it raised; that of the rank that failed first becomes the run's

Rule: the group ends as a whole. Whatever ends one rank ends the others, and what is left the shim sweeps.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.payloads.worker_specs import TrainingWorkerSpec
from jupyter_ext.ipc.run_files import ErrorFile
from jupyter_ext.worker.runtime.process_setup import (
    prepare_process,
    reseed,
    set_threads,
    write_stacks_to,
)
from jupyter_ext.worker.runtime.stream_marks import MARKS
from jupyter_ext.worker.training import main
from jupyter_ext.worker.training.log_folding import LogFolder
from jupyter_ext.worker.training.plain_process import forget_notebook

if TYPE_CHECKING:
    from jupyter_ext.worker.training.group_agent import GroupAgent

RANKS = "ranks"
STACKS = "stacks.txt"
_STACKS_WAIT_S, _STACKS_SETTLE_S = 1.0, 0.02


def run(spec: TrainingWorkerSpec) -> int:
    """Run one training as a group; return the exit code for the process.

    Args:
        spec: As of `main.run`; `workers` says how many ranks.
    """
    run_dir, num_ranks = Path(spec["run_dir"]), int(spec["workers"])
    write_stacks_to(run_dir / STACKS)
    forget_notebook()
    alone = spec.copy()
    alone["threads"] = None
    prepare_process(alone)
    os.environ.setdefault(
        "GLOO_SOCKET_IFNAME", "lo"
    )  # else gloo looks the host's name up, which may have none
    for rank in range(num_ranks):
        _rank_dir(run_dir, rank).mkdir(mode=0o700, parents=True, exist_ok=True)
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # what it tells we tell better
    agent = _make_agent(spec, num_ranks)
    signal.signal(signal.SIGUSR1, lambda *_: _show_stacks(run_dir, agent.rank_pids()))
    try:
        is_done = agent.run_to_the_end()
    except BaseException as error:  # noqa: BLE001  the edge: whatever torch's agent raises, the group is over
        if (run_dir / run_files.STOP).exists():
            return main.EXIT_INTERRUPTED
        _write_error(run_dir, _agent_failed(error))
        return main.EXIT_EXCEPTION
    finally:
        agent.folder.close()
    if is_done:
        return main.EXIT_OK
    if not (run_dir / run_files.STOP).exists():
        _write_error(run_dir, _first_failure(run_dir, agent.exit_codes, num_ranks))
    return main.EXIT_EXCEPTION


def _rank_main(spec: TrainingWorkerSpec) -> None:
    """Be one rank: torch's agent has set its variables, `RANK` among them."""
    rank, run_dir = int(os.environ["RANK"]), Path(spec["run_dir"])
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    write_stacks_to(_rank_dir(run_dir, rank) / STACKS)
    _print_to(_rank_dir(run_dir, rank) / "logs.txt")
    reseed()
    set_threads(max(1, int(spec.get("threads") or 1) // int(spec["workers"])))
    files = main.ResultFiles(run_dir) if rank == 0 else _OtherRanksFiles(run_dir, rank)
    files.error_path = _rank_dir(run_dir, rank) / run_files.ERROR
    if code := main.train(spec, files, str(rank)):
        raise SystemExit(code)


def _make_agent(spec: TrainingWorkerSpec, num_ranks: int) -> GroupAgent:
    from jupyter_ext.worker.training import group_agent

    directories = {rank: _rank_dir(Path(spec["run_dir"]), rank) for rank in range(num_ranks)}
    folder = LogFolder({rank: path / "logs.txt" for rank, path in directories.items()}, out=1, errors=2)
    return group_agent.make(_rank_main, spec, directories, folder)


class _OtherRanksFiles(main.ResultFiles):
    """Of a rank that is not the first: what its `train()` returns is not the run's result."""

    def __init__(self, run_dir: Path, rank: int) -> None:
        self.run_dir = run_dir
        self.rank = rank

    def write_output(self, content: Any) -> None:
        """Leave the result to rank 0."""

    def write_places(self, places: Any) -> None:
        """Leave the result to rank 0."""


# -- how a group failed -----------------------------------------------------------------------------------------------


def _first_failure(run_dir: Path, exit_codes: Mapping[int, int], num_ranks: int) -> ErrorFile:
    """Return what ended the group: a kill before an exception, which it may have caused in the others; then the earliest."""
    for rank, code in exit_codes.items():
        if code < 0:
            return _killed(rank, -code, num_ranks)
    raised = {
        rank: (path.stat().st_mtime_ns, error)
        for rank in range(num_ranks)
        if (error := run_files.read_error((path := _rank_dir(run_dir, rank) / run_files.ERROR).parent))
    }
    if raised:
        rank = min(raised, key=lambda one: raised[one][0])
        error = raised[rank][1]
        error["text"] = f"On rank {rank} of {num_ranks}:\n{error['text']}"
        error["summary"] = f"{error.get('summary', error['message'])} (on rank {rank})"
        return error
    rank, code = next(iter(exit_codes.items()), (0, 1))
    text = f"rank {rank} ended its process with exit code {code} before train() returned"
    return {"kind": "exit", "type": "SystemExit", "message": text, "frames": [], "text": text}


def _killed(rank: int, number: int, num_ranks: int) -> ErrorFile:
    name = signal.Signals(number).name if number in {*signal.Signals} else f"signal {number}"
    text = (
        f"Rank {rank} of {num_ranks} was killed by signal {number} ({name}); the others were ended with it."
    )
    return {
        "kind": "signal",
        "signal": number,
        "rank": rank,
        "type": name,
        "message": text,
        "frames": [],
        "text": text,
    }


def _agent_failed(error: BaseException) -> ErrorFile:
    text = f"torch's elastic agent could not run the group: {type(error).__name__}: {error}"
    return {"kind": "start", "type": type(error).__name__, "message": text, "frames": [], "text": text}


def _write_error(run_dir: Path, error: ErrorFile) -> None:
    with contextlib.suppress(OSError):
        write_json(run_dir / run_files.ERROR, error)


# -- small things -----------------------------------------------------------------------------------------------------


def _rank_dir(run_dir: Path, rank: int) -> Path:
    return run_dir / RANKS / str(rank)


def _print_to(path: Path) -> None:
    """Have this process, and what it starts, print to a file, by descriptor."""
    for descriptor in (1, 2):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    MARKS.begin(path.parent)


def _show_stacks(run_dir: Path, pids: list[int]) -> None:
    """Have every rank write where it stands, and put all of it into the run's stacks.txt at once."""
    paths = [_rank_dir(run_dir, rank) / STACKS for rank in range(len(pids))]
    before = [_size(path) for path in paths]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
    _wait_until(
        lambda: all(_size(path) > size for path, size in zip(paths, before, strict=True)), _STACKS_WAIT_S
    )
    time.sleep(_STACKS_SETTLE_S)
    parts = [
        f"Rank {rank}:\n{path.read_bytes()[size:].decode(errors='replace')}"
        for rank, (path, size) in enumerate(zip(paths, before, strict=True))
    ]
    with contextlib.suppress(OSError), open(run_dir / STACKS, "a") as file:
        file.write("\n".join(parts))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _wait_until(is_so: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.005)
