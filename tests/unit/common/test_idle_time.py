"""How long an engine stays: set, kept for the next one, and never by a value that is none."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from jupyter_ext.engine.common.idle_time import MAX_IDLE_S, IdleTime
from jupyter_ext.errors import InvalidInput


def read(path: Path) -> IdleTime:
    found = IdleTime(path, 600.0)
    found.read()
    return found


def test_what_is_set_holds_for_the_next_engine_until_it_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "engine_settings.json"
    idle = read(path)
    assert (idle.seconds, idle.set_s) == (600.0, None)
    idle.set(None)
    assert not path.exists(), "nothing was set"
    idle.set(90)
    assert (idle.seconds, read(path).seconds) == (90.0, 90.0)
    idle.set(None)
    assert (idle.seconds, read(path).seconds) == (600.0, 600.0)


@pytest.mark.parametrize("value", [0, -1, 9.9, MAX_IDLE_S + 1, math.nan, math.inf, "600", True, [], {}])
def test_what_is_no_time_is_refused_and_changes_nothing(tmp_path: Path, value: object) -> None:
    path = tmp_path / "engine_settings.json"
    idle = read(path)
    idle.set(90)
    with pytest.raises(InvalidInput, match="no number of seconds from 10"):
        idle.set(value)
    assert (idle.seconds, read(path).seconds) == (90.0, 90.0)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps({"idle_s": 1}), json.dumps({"idle_s": "x"})]
)
def test_a_file_that_says_none_is_left_out_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "engine_settings.json"
    path.write_text(text)
    idle = read(path)
    assert idle.seconds == 600.0
    idle.set(90)
    assert read(path).seconds == 90.0
    assert path.with_name("engine_settings.json.unreadable").read_text() == text
