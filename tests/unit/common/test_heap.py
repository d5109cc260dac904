"""What a burst leaves free is given back, once, and never by way of the environment."""

from __future__ import annotations

import subprocess
import sys

from jupyter_ext.engine.common.heap import Trimmer

BURST = """
import os, threading
from jupyter_ext.engine.common import heap

heap.limit_arenas()
assert not any(name.startswith("MALLOC_") for name in os.environ), "zygotes and workers would inherit it"

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

trimmer = heap.Trimmer(resident)
trimmer.look()
pieces = [bytes(bytearray(1000)) * 50 for _ in range(2000)]
keep = [pieces[number] for number in range(0, 2000, 400)]
grown = resident()
del pieces
print(trimmer.look(), grown - resident(), trimmer.look())
"""


def test_what_a_burst_left_is_given_back_and_the_heap_then_left_alone() -> None:
    done = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, check=True)
    _, given_back, again = map(int, done.stdout.split())
    assert given_back > 50 << 20
    assert again == 0


def test_a_heap_that_has_not_grown_is_not_looked_through() -> None:
    told = iter([100 << 20, 90 << 20, 91 << 20])
    trimmer = Trimmer(lambda: next(told))
    assert trimmer.look() == 10 << 20
    assert trimmer.look() == 0
    assert next(told, None) is None, "the second look asked for nothing more"
