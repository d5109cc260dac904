"""How much is measured: all, or with `--smoke` as little as shows that each benchmark still runs to its end.

Figures of a smoke run say nothing, so none is judged or saved.
"""

from __future__ import annotations

import os
from typing import TypeVar

VARIABLE = "BENCH_SMOKE"
IS_SMOKE = os.environ.get(VARIABLE) == "1"

T = TypeVar("T")


def scaled(whole: T, smoke: T) -> T:
    """Return how much to do: `whole` where it is measured, `smoke` where it only has to run."""
    return smoke if IS_SMOKE else whole
