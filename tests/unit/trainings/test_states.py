"""The table of states, read like a specification."""

from __future__ import annotations

from typing import get_args

import pytest

from jupyter_ext.engine.trainings.states import TRANSITIONS, path
from jupyter_ext.protocol.trainings import TERMINAL, Status


def test_every_status_is_in_the_table_and_the_terminal_ones_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(get_args(Status))
    assert {status for status, following in TRANSITIONS.items() if not following} == TERMINAL


def test_a_quick_run_passes_through_processing() -> None:
    assert path("starting", "succeeded") == ["processing", "succeeded"]
    assert path("starting", "failed") == ["failed"]
    assert path("processing", "processing") == []


@pytest.mark.parametrize("now", sorted(TERMINAL))
def test_what_is_over_stays_over(now: Status) -> None:
    with pytest.raises(ValueError, match=f"{now!r} cannot become 'processing'"):
        path(now, "processing")
