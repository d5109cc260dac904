"""Which one a name or an id means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from jupyter_ext.client.requests.resolve import check_text, choose
from jupyter_ext.errors import UnknownId


@dataclass(frozen=True)
class _One:
    id: str
    name: str


KNOWN = [
    _One("01kc8zz", "resnet50-imagenet-lr0.001-bs256"),
    _One("01kc8yy", "digits"),
    _One("02aaaag", "other"),
    _One("02aaaah", "digits"),
    _One("digits", "a training whose id is another's name"),
    _One("acme/llama-8b-instruct", "acme/llama-8b-instruct"),
]


def _choose(text: str, known: Any = KNOWN, **options: Any) -> str:
    return choose(text, known, kind="training", list_with="%trainings", **options).id


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("other", "02aaaag"),
        ("02aaaag", "02aaaag"),
        ("01kc8z", "01kc8zz"),
        ("resnet50-imagenet-lr0.001-bs256", "01kc8zz"),
        ("digits", "01kc8yy"),  # the newest of the name; a name goes before an id
        ("acme/llama-8b-instruct", "acme/llama-8b-instruct"),
    ],
)
def test_exact_names_and_ids_and_unique_beginnings_are_found(text: str, id: str) -> None:
    assert _choose(text, names_repeat=True) == id


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("g", "There is no training 'g'"),  # an id that ends so
        ("aaaag", "Close to it: other (02aaaag)"),
        ("02aaa", "Of an id, write at least 6 characters: other (02aaaag), digits (02aaaah)"),
        ("02aaaa", "fits 2 trainings: other (02aaaag), digits (02aaaah). Write more of the id."),
        ("digit", "digits (01kc8yy)"),
        ("digts", "Close to it: digits"),
        ("acme/llama-70b", "There is no training"),
        ("zzz", "`%trainings` lists those there are."),
    ],
)
def test_everything_else_is_refused_with_what_comes_close(text: str, says: str) -> None:
    with pytest.raises(UnknownId) as refused:
        _choose(text, names_repeat=True)
    assert says in str(refused.value)


def test_a_name_that_several_have_is_ambiguous_where_names_do_not_repeat() -> None:
    with pytest.raises(UnknownId, match="fits 2 trainings"):
        _choose("digits")


@pytest.mark.parametrize("text", ["acme/llama-8b", "hub:acme/llama-8b", "acme/llama-8b-instruct@v2"])
def test_a_full_reference_is_never_the_beginning_of_another(text: str) -> None:
    with pytest.raises(UnknownId, match="There is no training"):
        _choose(text)
    with pytest.raises(UnknownId, match="There is no training"):
        _choose(text, id_of=lambda one: "hub:" + one.id)


def test_an_exact_name_ends_the_search() -> None:
    def endless() -> Any:
        yield KNOWN[2]
        raise AssertionError("asked for more than needed")

    assert _choose("other", endless(), names_repeat=True) == "02aaaag"


@pytest.mark.parametrize("text", ["", None, 5, "caf\udce9", "two\nlines", ["digits"]])
def test_what_can_be_neither_name_nor_id_is_refused(text: Any) -> None:
    with pytest.raises(UnknownId, match="There is no training"):
        check_text(text, "training", "%trainings")
