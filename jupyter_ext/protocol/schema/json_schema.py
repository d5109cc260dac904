"""The JSON schema of an input, as far as it is looked into here.

Source: JSON Schema 2020-12 as pydantic writes it.
"""

from __future__ import annotations

from typing import TypedDict

from jupyter_ext.ipc.json_types import JsonValue


class PropertySchema(TypedDict, total=False):
    """One input of a schema's `properties`, or what its items are."""

    type: str
    title: str
    description: str
    default: JsonValue
    format: str
    enum: list[JsonValue]
    const: JsonValue
    minimum: float
    exclusiveMinimum: float
    maximum: float
    exclusiveMaximum: float
    items: PropertySchema
    anyOf: list[PropertySchema]
