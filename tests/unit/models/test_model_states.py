"""The tables of a model's states, read like a specification."""

from __future__ import annotations

from typing import get_args

import pytest

from jupyter_ext.engine.models.reference import parse_ref
from jupyter_ext.engine.models.service import states as state
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.model_refs import full_id
from jupyter_ext.protocol.models import ModelState


def test_each_action_has_an_answer_in_each_state() -> None:
    for action in get_args(state.Action):
        assert set(state.ANSWERS[action]) == set(get_args(ModelState))


def test_what_is_asked_twice_is_joined_and_what_is_done_is_nothing() -> None:
    assert state.answer("download", "downloading") == "join"
    assert state.answer("download", "loaded") == "nothing"
    assert state.answer("load", "loading") == "join"
    assert state.answer("unload", "absent") == "nothing"
    assert state.answer("unload", "loading") == "begin"


def test_a_model_in_memory_is_not_deleted() -> None:
    assert {s for s in get_args(ModelState) if state.answer("delete", s) == "refuse"} == {
        "loading",
        "loaded",
        "unloading",
    }


def test_memory_is_seen_before_the_disk_and_an_update_hides_nothing() -> None:
    assert state.shown("updating", "free") == "downloaded"
    assert state.shown("updating", "loaded") == "loaded"
    assert state.shown("partial", "free") == "partial"


def test_steps_that_the_tables_do_not_have_are_refused() -> None:
    with pytest.raises(ValueError, match="absent to updating"):
        state.move_disk("absent", "updating")
    with pytest.raises(ValueError, match="unloading to loaded"):
        state.move_memory("unloading", "loaded")
    assert state.move_disk("downloading", "partial") == "partial"
    assert state.move_memory("loaded", "loaded") == "loaded"


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("org/name", "hub:org/name"),
        ("gpt2", "hub:gpt2"),
        ("hub:org/name@v1.0", "hub:org/name@v1.0"),
        ("/tmp/x/../m", "file:/tmp/m"),
        ("https://host/m.safetensors", "url:https://host/m.safetensors"),
        ("training:06gvvb5omvj6li477pfb7skg94", "training:06gvvb5omvj6li477pfb7skg94"),
    ],
)
def test_short_forms_become_ids_and_ids_stay(text: str, id: str) -> None:
    assert str(parse_ref(full_id(text))) == id
    assert str(parse_ref(full_id(id))) == id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../x/../../y\0",
        "hub:../../etc/passwd",
        "hub:a/b/c",
        "a b",
        "ftp:x",
        "file:rel",
        "hub:a/b@../c",
        "x" * 2000,
    ],
)
def test_what_is_no_id_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput) as told:
        parse_ref(full_id(text))
    assert "\n" not in str(told.value)
    assert "write " in str(told.value)
