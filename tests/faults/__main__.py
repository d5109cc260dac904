"""`python -m tests.faults [--seed N] [--rounds N | --round N | --minutes N]`: a campaign, or with `--minutes` a soak."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from integration_tools import EngineUnderTest

from jupyter_ext.config import Locations
from tests.faults.campaign import Campaign
from tests.faults.soak import soak


def main() -> int:
    """Run it in directories of its own; the exit code is 1 where something was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--round", type=int, help="play this round alone")
    parser.add_argument("--minutes", type=float, help="no kills: work for so long and watch the engine grow")
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp"))
    where = Locations(home / "data", home / "run")
    for name, path in (("DATA", where.data_dir), ("RUNTIME", where.runtime_dir)):
        path.mkdir(mode=0o700)
        os.environ[f"JUPYTER_EXT_{name}_DIR"] = str(path)
    engine, began = EngineUnderTest(where), time.monotonic()
    try:
        if given.minutes is not None:
            lines, violations = asyncio.run(soak(engine, given.minutes))
        else:
            rounds = range(given.rounds) if given.round is None else [given.round]
            lines, violations = asyncio.run(_campaign(Campaign(engine, given.seed, home), rounds))
    finally:
        engine.close()
        shutil.rmtree(home, ignore_errors=True)
    print("\n".join([f"seed                 {given.seed}", *lines]))
    print(f"took                 {time.monotonic() - began:.0f} s")
    return 1 if violations else 0


async def _campaign(campaign: Campaign, rounds: range | list[int]) -> tuple[list[str], list[str]]:
    told = 0
    for number in rounds:
        await campaign.round(number)
        for violation in campaign.report.violations[told:]:
            print(f"\n{violation}", end="", file=sys.stderr)
        told = len(campaign.report.violations)
        print(
            f"\rround {number}: {len(campaign.report.violations)} violations",
            end="",
            file=sys.stderr,
            flush=True,
        )
    print(file=sys.stderr)
    return campaign.report.lines(), campaign.report.violations


if __name__ == "__main__":
    sys.exit(main())
