"""Problems: what a refused request is answered with.

Source: RFC 7807 in the subset that Replicate's API uses; the words of `type` in `invalid_fields` are Replicate's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class InvalidField:
    """One thing wrong with one field, such as `input.lr`."""

    type: str
    field: str
    description: str


class ProblemBody(BaseModel):
    """What a refused request is answered with, `application/problem+json`; `retry_after` in seconds."""

    title: str
    detail: str
    status: int
    invalid_fields: list[InvalidField] | None = None
    retry_after: int | None = None


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
        body = ProblemBody(
            title=self.title,
            detail=self.detail,
            status=self.status,
            invalid_fields=self.invalid_fields or None,
            retry_after=self.retry_after_s,
        )
        return body.model_dump(exclude_none=True)


def not_found(what: str, name: str, next_step: str) -> Problem:
    """Make the problem for an id or name that nothing has."""
    return Problem(404, "Not found", f"There is no {what} {name!r}. {next_step}")


def invalid_input(fields: list[InvalidField]) -> Problem:
    """Make the problem for a training's bad input, one `- ` line per field."""
    lines = "\n".join(f"- {item.field}: {item.description}" for item in fields)
    return Problem(422, "Input validation failed", lines, fields)
