"""`Input(...)`: constraints on an input of `train()`, in Cog's words. Standard library only.

Source: Cog's Python reference, "Input(**kwargs)".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

MISSING: Any = type("Missing", (), {"__repr__": lambda self: "MISSING"})()
"""Stands for "no default": the input is required."""


@dataclass(frozen=True)
class InputSpec:
    """The constraints and default that `Input()` was given."""

    default: Any = MISSING
    description: str | None = None
    ge: float | None = None
    le: float | None = None
    gt: float | None = None
    lt: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    regex: str | None = None
    choices: tuple[Any, ...] | None = None

    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        """Be pickled as the call of `Input()` that made it."""
        given = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) is not field.default
        }
        return partial(Input, **given), ()


def Input(  # noqa: N802  Cog's name
    default: Any = MISSING,
    *,
    description: str | None = None,
    ge: float | None = None,
    le: float | None = None,
    gt: float | None = None,
    lt: float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    regex: str | None = None,
    choices: list[Any] | tuple[Any, ...] | None = None,
) -> Any:
    """Describe an input of a training, as in `def train(lr: float = Input(1e-3, gt=0, le=1)): ...`.

    Args:
        default: Value where none is given; without it the input is required.
        description: One line for people.
        ge: Smallest value allowed.
        le: Largest value allowed.
        gt: Value must be above this.
        lt: Value must be below this.
        min_length: Fewest characters of a string.
        max_length: Most characters of a string.
        regex: Pattern that a string must match anywhere.
        choices: The only values allowed.
    """
    return InputSpec(
        default,
        description,
        ge,
        le,
        gt,
        lt,
        min_length,
        max_length,
        regex,
        tuple(choices) if choices else None,
    )


Input.__module__ = "jupyter_ext"  # stored bundles name it by this, so it must outlive this module's path
