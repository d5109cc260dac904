"""One call: its parameters, read with the errors that Decthings names, and the exceptions that are errors on the wire.

Rule: a call is answered with exactly one of `result` and `error`; a value that is wrong is `invalid_parameter` with its name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_ext.engine.api.decthings.rpc.connection import Connection
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.decthings.tensors import Header, WireError, check_whole

Blobs = Sequence[bytes | memoryview]
Answer = tuple[Mapping[str, object], Blobs]
"""The result, and the blobs that belong to it."""


class Refusal(Exception):
    """A call is answered with an error.

    Attributes:
        error: What goes on the wire: `code`, and what belongs to it.
    """

    def __init__(self, code: str, **more: Any) -> None:
        self.error = {"code": code, **{name: value for name, value in more.items() if value is not None}}
        super().__init__(str(self.error))


class Invalid(Refusal):
    """A parameter is missing, mistyped or out of range."""

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__("invalid_parameter", parameterName=parameter, reason=reason)


@dataclass(frozen=True)
class Provider:
    """Where a parameter of a model's function comes from: a blob with the tensors of `headers`, or a key of a dataset."""

    name: str
    blob: memoryview | None = None
    headers: tuple[Header, ...] = ()
    dataset_id: str | None = None
    dataset_key: str | None = None


@dataclass(frozen=True)
class Call:
    """A call as a method sees it.

    Attributes:
        params: Its JSON.
        blobs: What came with it.
        connection: The WebSocket that it came over, or `None` for HTTP.
        client: The User-Agent of a call over HTTP.
        replied: Set once its answer was sent over the WebSocket.
    """

    method: str
    params: JsonObject
    blobs: list[memoryview]
    connection: Connection | None = field(default=None, repr=False)
    client: str = ""
    replied: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def is_officials(self) -> bool:
        """Whether it comes from the official Python client, by the libraries that it asks with.

        That one cannot read two tensors of numbers in one output.
        """
        return self.client.startswith(("Python/", "python-requests/"))

    def text(self, name: str, *others: str) -> str:
        """Return a text that must be there, under one of its names."""
        found = self.optional_text(name, *others)
        if found is None:
            raise Invalid(name, "is missing; it must be a text")
        return found

    def optional_text(self, name: str, *others: str) -> str | None:
        """Return a text, or `None`."""
        for each in (name, *others):
            value = self.params.get(each)
            if isinstance(value, str):
                return value
            if value is not None:
                raise Invalid(each, f"must be a text, not {_kind(value)}")
        return None

    def integer(self, name: str, default: int | None = None, at_least: int = 0) -> int:
        """Return a whole number."""
        return integer(self.params.get(name, default), name, at_least)

    def object(self, name: str) -> JsonObject:
        """Return an object, empty where there is none."""
        value = self.params.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Invalid(name, f"must be an object, not {_kind(value)}")
        return value

    def array(self, name: str, default: list[Any] | None = None) -> list[Any]:
        """Return a list."""
        value = self.params.get(name, default)
        if not isinstance(value, list):
            raise Invalid(
                name,
                "is missing; it must be a list" if value is None else f"must be a list, not {_kind(value)}",
            )
        return value

    def texts(self, name: str, default: list[str] | None = None) -> list[str]:
        """Return a list of texts."""
        value = self.array(name, default)
        for item in value:
            if not isinstance(item, str):
                raise Invalid(name, f"must be a list of texts; one is {_kind(item)}")
        return value

    def integers(self, name: str) -> list[int]:
        """Return a list of indexes."""
        return [integer(item, name, 0) for item in self.array(name)]

    def providers(self) -> list[Provider]:
        """Return where the parameters come from; the k-th one with data has the k-th blob."""
        return providers(self.array("params"), self.blobs)


def providers(entries: list[Any], blobs: list[memoryview]) -> list[Provider]:
    """Read parameter providers.

    Raises:
        Invalid: One is none, two have one name, or there are more or fewer blobs than they need.
    """
    found: list[Provider] = []
    seen: set[str] = set()
    left = list(blobs)
    for n, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            raise Invalid("params", f"entry {n} must be an object with a name, not {_kind(entry)}")
        name, data = entry["name"], entry.get("data")
        if name in seen:
            raise Invalid(name, "is there twice")
        seen.add(name)
        if isinstance(data, dict) and data.get("type") == "dataset":
            dataset = data.get("datasetId", data.get("dataset_id"))
            key = data.get("datasetKey", data.get("dataset_key"))
            if not isinstance(dataset, str) or not isinstance(key, str):
                raise Invalid(name, "needs a datasetId and a datasetKey")
            found.append(Provider(name, dataset_id=dataset, dataset_key=key))
            continue
        if data is not None:
            raise Invalid(name, "has data of no known form; leave it out and send a blob, or name a dataset")
        if not left:
            raise Invalid(name, f"has no data: the request carries {len(blobs)} blobs")
        blob = left.pop(0)
        try:
            headers = tuple(check_whole(blob))
        except WireError as error:
            raise Invalid(name, f"is no list of tensors: {error}") from error
        found.append(Provider(name, blob=blob, headers=headers))
    if left:
        raise Invalid("params", f"the request carries {len(left)} more blobs than parameters with data")
    return found


def integer(value: Any, name: str, at_least: int = 0) -> int:
    """Read a whole number; 3.0 is one, as JavaScript has no other."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        reason = f"must be a whole number, not {_kind(value)}"
        raise Invalid(name, "is missing; it must be a whole number" if value is None else reason)
    if value < at_least:
        raise Invalid(name, f"is {value}, but must be at least {at_least}")
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
