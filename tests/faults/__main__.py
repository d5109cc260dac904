"""`python -m tests.faults [--seed N] [--rounds N | --round N | --minutes N | --load SHARE]`: a campaign, a soak or a load."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "support"), str(Path(__file__).parents[2] / "notebooks")]

from tests.faults.campaign import Campaign
from tests.faults.load import Size, load
from tests.faults.scenes import SCENES
from tests.faults.soak import soak
from tests.faults.world import World


def main() -> int:
    """Run it in directories of its own; the exit code is 1 where something was violated."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--round", type=int, help="play this round alone")
    parser.add_argument("--scene", choices=[scene.name for scene in SCENES], help="play this scene alone")
    parser.add_argument("--minutes", type=float, help="no kills: work for so long and watch the engine grow")
    parser.add_argument(
        "--load", type=float, help="no kills: this share of the full load, and how long anybody waits"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the load lasts")
    given = parser.parse_args()
    home, began = Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp")), time.monotonic()
    try:
        with World(home).entered() as world:
            if given.load is not None:
                lines, violations = asyncio.run(load(world.engine, Size.scaled(given.load), given.seconds))
            elif given.minutes is not None:
                lines, violations = asyncio.run(soak(world.engine, given.minutes))
            else:
                scenes = [scene for scene in SCENES if given.scene in (None, scene.name)]
                rounds = range(given.rounds) if given.round is None else [given.round]
                lines, violations = asyncio.run(_campaign(Campaign(world, given.seed, scenes), rounds))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print("\n".join([f"seed                 {given.seed}", *lines]))
    print(f"took                 {time.monotonic() - began:.0f} s")
    return 1 if violations else 0


async def _campaign(campaign: Campaign, rounds: range | list[int]) -> tuple[list[str], list[str]]:
    report, told = campaign.world.report, 0
    for number in rounds:
        await campaign.round(number)
        for violation in report.violations[told:]:
            print(f"\n{violation}", end="", file=sys.stderr)
        told = len(report.violations)
        print(f"\rround {number}: {told} violations", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return report.lines(), report.violations


if __name__ == "__main__":
    sys.exit(main())
