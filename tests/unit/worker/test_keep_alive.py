"""When a loaded model is unloaded by itself: never by a step of the clock on the wall."""

from __future__ import annotations

import time

import pytest

from jupyter_ext.client.models.keep_alive import FOREVER, seconds
from jupyter_ext.errors import InvalidInput
from jupyter_ext.worker.model_host.keep_alive import DEFAULT_S, KeepAlive


class Clock:
    """A clock that goes when it is told."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_it_is_over_after_its_time_without_a_call() -> None:
    clock = Clock()
    alive = KeepAlive(10, False, clock)
    clock.now += 9
    assert (alive.left_s, alive.is_over) == (1.0, False)
    alive.touch()
    clock.now += 9
    assert not alive.is_over
    clock.now += 1
    assert alive.is_over


def test_it_never_is_within_a_call_pinned_or_for_ever() -> None:
    clock = Clock()
    alive = KeepAlive(10, False, clock)
    alive.begin_call()
    clock.now += 1e6
    assert alive.left_s is None
    alive.end_call()
    assert alive.left_s == 10.0
    alive.pinned = True
    clock.now += 1e6
    assert not alive.is_over
    alive.pinned, alive.seconds = False, FOREVER
    assert not alive.is_over
    assert KeepAlive(None, False, clock).left_s == DEFAULT_S


@pytest.mark.parametrize("step_s", [-1e9, -3600.0, 3600.0, 1e9])
def test_a_step_of_the_time_of_day_changes_nothing(monkeypatch: pytest.MonkeyPatch, step_s: float) -> None:
    alive = KeepAlive(60, False)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + step_s)
    assert not alive.is_over
    assert 59 < (alive.left_s or 0) <= 60


@pytest.mark.parametrize(
    ("given", "meant"), [(float("inf"), FOREVER), (5, 5.0), ("10m", 600.0), ("forever", FOREVER)]
)
def test_times_without_end_are_for_ever(given: float | str, meant: float) -> None:
    assert seconds(given) == meant


@pytest.mark.parametrize("given", [float("nan"), "soon", True, ""])
def test_what_is_no_time_is_refused(given: float | str) -> None:
    with pytest.raises(InvalidInput, match="is no time"):
        seconds(given)
