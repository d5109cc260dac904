"""`python -m benchmarks.support.simulated_runs RUNS_DIR N RATE`: one process that stands for N trainings, each of which logs as real ones do.

To the engine each is a run whose shim and worker are this process: it has claim, start.json and a journal of its own, which the worker's
own writer writes. Each logs RATE times a second. Prints `ready` when the directories are there, streams from a line on stdin on, and ends with stdin.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from pathlib import Path

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.ids import new_training_id
from jupyter_ext.ipc import processes, run_files
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

CALLS_PER_S = 1.0
"""How often a real run logs: a step of a training that is worth a machine takes about a second, and so does its line in the log."""
KEYS = ("loss", "accuracy", "lr", "grad_norm", "seconds")


def make(runs_dir: Path) -> Path:
    """Make the directory of a run that goes on in this process."""
    now, id = time.time(), new_training_id()
    run_dir = runs_dir / id
    run_dir.mkdir(mode=0o700, parents=True)
    _write(
        run_dir / "spec.json",
        {
            "id": id,
            "kind": "training",
            "name": "simulated",
            "model": "local/simulated",
            "version": "0" * 64,
            "input": {},
            "given": {},
            "created_at": rfc3339(now),
            "created_unix": now,
            "python": sys.executable,
            "cwd": str(run_dir),
        },
    )
    (run_dir / "logs.txt").touch()
    run_files.claim(run_dir, "shim")
    me: run_files.ProcessId = {"pid": os.getpid(), "ticks": processes.start_ticks(os.getpid())}
    start: run_files.StartFile = {
        "shim": me,
        "worker": me,
        "control": str(run_dir / "control.sock"),
        "time": now,
        **run_files.here(),
    }
    _write(run_dir / run_files.START, start)
    return run_dir


def _write(path: Path, content: object) -> None:
    """Write a file of which nothing has to survive a power cut: 10,000 runs would wait for the disk for minutes."""
    path.write_text(json.dumps(content))


def main() -> None:
    """Stand for so many runs."""
    runs_dir, num_runs, rate = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    made = [make(runs_dir) for _ in range(num_runs)]
    print("ready", *(path.name for path in made[:100]), flush=True)
    sys.stdin.readline()
    journals = [JournalWriter(path, "0", keeps_room=False) for path in made]
    logs = [os.open(path / "logs.txt", os.O_WRONLY | os.O_APPEND) for path in made]
    began, num_calls = time.monotonic(), 0
    while True:
        # spread over the second, as they are where nobody starts them together
        due = int((time.monotonic() - began) * rate * num_runs)
        while num_calls < due:
            step, at = divmod(num_calls, num_runs)
            value = 1 / (step + 1)
            journals[at].points(dict.fromkeys(KEYS, value) | {"sent_at": time.time()}, step)
            os.write(logs[at], f"step {step}: loss {value:.4f}\n".encode())
            num_calls += 1
        if select.select([sys.stdin], [], [], 0.005)[0]:
            return


if __name__ == "__main__":
    main()
