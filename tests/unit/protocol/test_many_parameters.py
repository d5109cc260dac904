"""Checking for names that are there twice takes time in proportion to their number, whichever list they are in."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ext.engine.api.decthings.rpc.calls import Invalid, providers
from jupyter_ext.protocol.decthings.definitions import DefinitionError, parse_keys


class Counted(str):
    """A name that counts how often it is compared."""

    num_compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.num_compared += 1
        return str.__eq__(self, other)


def entry(name: str) -> dict[str, Any]:
    return {"name": name, "data": {"type": "dataset", "datasetId": "d", "datasetKey": "k"}}


def test_thousands_of_providers_are_not_compared_with_one_another() -> None:
    Counted.num_compared = 0
    assert len(providers([entry(Counted(f"p{n}")) for n in range(8000)], [])) == 8000
    assert Counted.num_compared < 8000
    with pytest.raises(Invalid, match="twice"):
        providers([entry("a"), entry("b"), entry("a")], [])


def test_keys_of_a_dataset_that_are_there_twice_are_named() -> None:
    key = {"name": "x", "required": True, "rules": {"shape": [2], "allowedTypes": ["f32"]}}
    with pytest.raises(DefinitionError, match="'x' twice"):
        parse_keys([key, key])
