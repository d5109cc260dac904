"""Problems: what a refused request is answered with.

Source: RFC 7807 in the subset that Replicate's API uses; the words of `type` in `invalid_fields` are Replicate's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class InvalidField:
    """One thing wrong with one field, such as `input.lr`."""

    type: str
    field: str
    description: str


@dataclass
class Problem(Exception):
    """A refused request. `detail` names the value and the next step in one line."""

    status: int
    title: str
    detail: str
    invalid_fields: list[InvalidField] = field(default_factory=list)
    retry_after_s: int | None = None
    """After how many seconds the same request may be sent again."""

    def body(self) -> dict[str, Any]:
        """Return the JSON body of the answer."""
        body: dict[str, Any] = {"title": self.title, "detail": self.detail, "status": self.status}
        if self.invalid_fields:
            body["invalid_fields"] = [vars(item) for item in self.invalid_fields]
        if self.retry_after_s is not None:
            body["retry_after"] = self.retry_after_s
        return body


def not_found(what: str, name: str, next_step: str) -> Problem:
    """Make the problem for an id or name that nothing has."""
    return Problem(404, "Not found", f"There is no {what} {name!r}. {next_step}")


def invalid_input(fields: list[InvalidField]) -> Problem:
    """Make the problem for a training's bad input, one `- ` line per field."""
    lines = "\n".join(f"- {item.field}: {item.description}" for item in fields)
    return Problem(422, "Input validation failed", lines, fields)
