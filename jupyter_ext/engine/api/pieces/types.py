"""Pieces' objects as they are sent: the fields that are filled here. Standard library only.

Source: Pieces' OpenAPI description.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Schema(TypedDict):
    """The version of the format that every object names."""

    migration: int
    semantic: str


class Time(TypedDict):
    """`GroupedTimestamp`; RFC 3339."""

    schema: Schema
    value: str


class Size(TypedDict):
    """`ByteDescriptor`; a whole number of bytes, and a text for people."""

    schema: NotRequired[Schema]
    value: int
    readable: str


class Said(TypedDict, total=False):
    """What a client may say of a custom model beside its name and description."""

    version: str
    type: str
    usage: str
    foundation: str
    provider: str
    quantization: str
    cpu: bool
    denied: bool
    parameters: float
    bytes: Size
    ram: Size
    maxTokens: dict[str, Any]
    capabilities: dict[str, Any]
    organization: dict[str, Any]


class PiecesModel(Said):
    """`Model`."""

    schema: Schema
    id: str
    name: str
    description: str
    created: Time
    cloud: bool
    custom: bool
    downloaded: bool
    downloading: bool
    loaded: bool
    unique: str
    score: NotRequired[dict[str, Any]]


class PiecesModels(TypedDict):
    """`Models`."""

    schema: Schema
    iterable: list[PiecesModel]


class Progress(TypedDict):
    """`ModelDownloadProgress`; `percentage` from 0 to 100."""

    schema: Schema
    status: str
    percentage: NotRequired[float]


class Reference(TypedDict):
    """A model by its id."""

    schema: Schema
    id: str


class Identifier(TypedDict):
    """`StreamedIdentifier`: a model that changed or was deleted."""

    model: Reference
    deleted: NotRequired[bool]
    updated: NotRequired[Time]


class Identifiers(TypedDict):
    """`StreamedIdentifiers`."""

    schema: Schema
    iterable: list[Identifier]
