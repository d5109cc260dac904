"""One benchmark in a process of its own: a crash costs only its rows, and what it leaves behind is ended and removed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.support.results import Ended
from benchmarks.support.rows import Row

LIMIT_S = 1800.0
"""Seconds after which a benchmark counts as hung; the longest takes a few minutes."""
_KEPT_CHARS = 6000


def measure(ended: Ended, on_row: Callable[[Row], None], limit_s: float = LIMIT_S) -> None:
    """Run a benchmark and note in `ended` what becomes of it.

    Args:
        ended: Has the name of its module in `benchmarks`, and gets the rest.
        on_row: Called in another thread with each row when it comes.
        limit_s: When to end it, seconds.
    """
    began = time.monotonic()

    def read(rows_fd: int) -> None:
        with open(rows_fd) as lines:
            for line in lines:
                row = Row.from_json(json.loads(line))
                ended.rows.append(row)
                on_row(row)

    # short, because sockets lie below it, whose paths may have about 100 characters
    with (
        tempfile.TemporaryDirectory(prefix="jxb-", ignore_cleanup_errors=True) as directory,
        tempfile.TemporaryFile() as output,
    ):
        rows_fd, child_fd = os.pipe()
        reader = threading.Thread(target=read, args=(rows_fd,), name=f"rows of {ended.name}")
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.support.child", ended.name, str(child_fd)],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **_surroundings(directory)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(child_fd,),
        )
        os.close(child_fd)
        reader.start()
        try:
            ended.failure = _reason(child.wait(limit_s))
        except subprocess.TimeoutExpired:
            ended.failure = f"It was ended after {limit_s:g} s."
        except KeyboardInterrupt:
            ended.failure = "It was interrupted."
            raise
        finally:
            child.kill()
            child.wait()
            _end_all_of(directory)
            reader.join()
            ended.took_s = round(time.monotonic() - began, 1)
        if ended.failure is None and not ended.rows:
            ended.failure = "It gave no row."
        if ended.failure is not None:
            output.seek(0)
            ended.output = output.read().decode(errors="replace")[-_KEPT_CHARS:]


def _surroundings(directory: str) -> dict[str, str]:
    """Return the variables by which everything that it starts lives in its directory, never in the user's engine."""
    return {
        "TMPDIR": directory,
        "JUPYTER_EXT_DATA_DIR": f"{directory}/data",
        "JUPYTER_EXT_RUNTIME_DIR": f"{directory}/run",
    }


def _reason(code: int) -> str | None:
    if code == 0:
        return None
    return (
        f"It was ended by {signal.Signals(-code).name}." if code < 0 else f"It ended with exit code {code}."
    )


def _end_all_of(directory: str) -> None:
    """Kill every process that has the directory in its environment: engines and workers outlive who started them."""
    left = []
    for process in psutil.process_iter(["environ"]):
        if any(directory in value for value in (process.info["environ"] or {}).values()):
            left.append(process)
            process.kill()
    psutil.wait_procs(left, timeout=10)
