"""When a session ends that nobody uses: never by a step of a clock, never without its warning."""

from __future__ import annotations

import time

from jupyter_ext.worker.session.runtime.inactivity import WARN_BEFORE_S, Inactivity


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_warns_two_minutes_before_and_ends() -> None:
    clock = Clock()
    inactivity = Inactivity(1800, clock)
    verdicts = []
    while not verdicts or verdicts[-1] != "end":
        verdicts.append(inactivity.look())
        clock.now += 1
    assert verdicts.count("active") == 1800 - WARN_BEFORE_S
    assert verdicts.count("warn") == WARN_BEFORE_S
    assert inactivity.left_s() == -1


def test_a_process_that_was_stopped_for_hours_warns_first() -> None:
    for stopped_s in (1700, 1800, 10_000):
        clock = Clock()
        inactivity = Inactivity(1800, clock)
        clock.now += stopped_s
        assert inactivity.look() == "warn"
        assert inactivity.left_s() == WARN_BEFORE_S
        clock.now += WARN_BEFORE_S - 0.5
        assert inactivity.look() == "warn"
        inactivity.touch()
        assert (inactivity.look(), inactivity.left_s()) == ("active", 1800)
        clock.now += 1800
        inactivity.look()
        clock.now += WARN_BEFORE_S
        assert inactivity.look() == "end"


def test_steps_of_the_wall_clock_are_not_seen() -> None:
    assert Inactivity.__init__.__defaults__ == (time.monotonic,)
    info = time.get_clock_info("monotonic")
    assert (info.monotonic, info.adjustable) == (True, False)
    assert info.implementation == "clock_gettime(CLOCK_MONOTONIC)", "the one that stands still in suspend"


def test_one_that_never_ends_never_warns() -> None:
    clock = Clock()
    inactivity = Inactivity(None, clock)
    clock.now += 1e9
    assert (inactivity.look(), inactivity.left_s()) == ("active", None)


def test_a_short_time_has_a_short_warning() -> None:
    clock = Clock()
    inactivity = Inactivity(2.0, clock)
    clock.now += 1.6
    assert (inactivity.look(), inactivity.warn_s) == ("warn", 0.5)
    clock.now += 0.5
    assert inactivity.look() == "end"
