"""CPU and memory of a run: measured while it lives, and not one point of what is left when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from integration_tools import until

from jupyter_ext.engine.store.run_store import RunStore
from jupyter_ext.engine.trainings.system_metrics import SystemSampler


def test_an_ended_process_is_not_measured(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    sampler = SystemSampler(tmp_path, process.pid)
    sampler.sample()
    process.stdin.close()
    until(lambda: os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT), "a zombie")
    sampler.sample()
    process.stdout.close()
    process.wait()
    sampler.sample()
    sampler.close()
    store = RunStore(tmp_path)
    store.open()
    while store.ingest() is not None:
        pass
    points = store.last_points("system")
    store.close()
    assert points["system/memory_mib"][1] > 1
    assert "system/cpu_percent" not in points
