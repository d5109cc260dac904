"""`python -m tests.fuzz [--inputs N] [--decoder NAME]`: feed every decoder, guided by coverage, and report.

Each runs in a process of its own with bounded memory; one that takes longer than `TIMEOUT_S` for an input is a fault too.
Corpora grow below `.cache/fuzz`; what made a decoder fail is kept there as `crash-…`, and named.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORPORA = ROOT / ".cache" / "fuzz"
TIMEOUT_S, MAX_INPUT_BYTES = 5, 4096
_SHARE = re.compile(rb"#(\d+)\s+(?:DONE|REDUCE|NEW|pulse|INITED)?.*?cov: (\d+)")


def main() -> int:
    """Feed all, or one; the exit code is 1 where a decoder did what it must not."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=2_000_000, help="of all decoders together")
    parser.add_argument("--decoder", help="this one alone")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "notebooks")]
    if given.here:
        from tests.fuzz.guided import feed

        return feed(given.decoder, given.inputs, CORPORA)
    from tests.fuzz.decoders import DECODERS

    names = [given.decoder] if given.decoder else list(DECODERS)
    num_faults, num_inputs, began = 0, 0, time.monotonic()
    for name in names:
        took, fed, coverage, fault = _feed_apart(name, given.inputs // len(names))
        num_inputs += fed
        num_faults += fault is not None
        print(
            f"{name:22} {fed:>9,} inputs, {coverage:>4} edges, {took:5.0f} s{f'  FAULT: {fault}' if fault else ''}",
            flush=True,
        )
    print(f"{'all':22} {num_inputs:>9,} inputs, {num_faults} faults, {time.monotonic() - began:.0f} s")
    return 1 if num_faults else 0


def _feed_apart(name: str, inputs: int) -> tuple[float, int, int, str | None]:
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz", "--here", "--decoder", name, "--inputs", str(inputs)]
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        environment = {**os.environ, "TMPDIR": folder}
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, env=environment)
    said = found.stdout + found.stderr
    numbers = [(int(runs), int(edges)) for runs, edges in _SHARE.findall(said)]
    fed, edges = (
        max((runs for runs, _ in numbers), default=0),
        max((edges for _, edges in numbers), default=0),
    )
    fault = None
    if found.returncode or not fed:
        text = said.decode(errors="replace")
        why = re.findall(r"^(?:\w+(?:\.\w+)*(?:Error|Exception)\b.*|==\d+== ?ERROR: .*)$", text, re.MULTILINE)
        kept = re.findall(r"Test unit written to (\S+)", text)
        fault = f"{why[-1] if why else text[-300:]} ({kept[-1] if kept else 'no input kept'})"
    return time.monotonic() - began, fed, edges, fault


if __name__ == "__main__":
    sys.exit(main())
