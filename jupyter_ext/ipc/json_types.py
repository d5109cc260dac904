"""What JSON of any shape is: users' inputs, outputs and values, JSON schemas, and what nobody has looked at yet.

Rule: a payload whose keys are known has a type of its own, at the module that says what is in it; this is for the rest.
Standard library only.
"""

from __future__ import annotations

from typing import TypeAlias

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = dict[str, JsonValue]
