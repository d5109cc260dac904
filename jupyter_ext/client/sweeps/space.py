"""What a sweep searches: ranges and choices, as a person writes them, as JSON, and as Optuna's distributions.

Rule: a range is refused before anything starts where the function would refuse its ends.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.counts import one
from jupyter_ext.protocol.schema.literals import parse_literal

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from jupyter_ext.bundles.bundle import Bundle

Plain = bool | int | float | str | None
KINDS = ("uniform", "loguniform", "integer", "logint", "choice")
_CALL = re.compile(rf"\s*({'|'.join(KINDS)})\s*\((.*)\)\s*", re.DOTALL)
_EXAMPLES = "loguniform(1e-4, 1e-1), uniform(0, 1), integer(1, 8), choice(64, 128)"


class DimensionJSON(TypedDict):
    """A dimension as it is stored."""

    kind: str
    low: float
    high: float
    options: list[Plain]


@dataclass(frozen=True)
class Dimension:
    """One input that a sweep varies.

    Attributes:
        kind: `uniform` or `loguniform` for floats, `integer` or `logint` for whole numbers, `choice` for one of `options`.
        low: Smallest value of a range.
        high: Largest value of a range.
        options: Of a choice.
    """

    kind: Literal["uniform", "loguniform", "integer", "logint", "choice"]
    low: float = 0.0
    high: float = 0.0
    options: tuple[Plain, ...] = ()

    def __repr__(self) -> str:
        """Return it as a person writes it."""
        inside = self.options if self.kind == "choice" else (self.low, self.high)
        return f"{self.kind}({', '.join(map(repr, inside))})"

    @property
    def ends(self) -> tuple[Plain, ...]:
        """Values that the function must accept: all of a choice, both ends of a range."""
        return self.options if self.kind == "choice" else (self.low, self.high)

    def as_json(self) -> DimensionJSON:
        """Return it as it is stored."""
        return {"kind": self.kind, "low": self.low, "high": self.high, "options": [*self.options]}

    @classmethod
    def from_json(cls, stored: DimensionJSON) -> Dimension:
        """Read what `as_json` gave."""
        return cls(cast("Any", stored["kind"]), stored["low"], stored["high"], tuple(stored["options"]))

    def distribution(self) -> BaseDistribution:
        """Return it as Optuna takes it."""
        from optuna import distributions

        if self.kind == "choice":
            return distributions.CategoricalDistribution(self.options)
        if self.kind in ("integer", "logint"):
            return distributions.IntDistribution(int(self.low), int(self.high), log=self.kind == "logint")
        return distributions.FloatDistribution(self.low, self.high, log=self.kind == "loguniform")


def uniform(low: float, high: float) -> Dimension:
    """Search floats from `low` to `high`."""
    return _range("uniform", low, high)


def loguniform(low: float, high: float) -> Dimension:
    """Search floats from `low` to `high`, each power of ten as often; `low` is above 0."""
    return _range("loguniform", low, high)


def integer(low: int, high: int) -> Dimension:
    """Search whole numbers from `low` to `high`, both included."""
    return _range("integer", low, high)


def logint(low: int, high: int) -> Dimension:
    """Search whole numbers from `low` to `high`, each power of ten as often; `low` is at least 1."""
    return _range("logint", low, high)


def choice(*options: Plain) -> Dimension:
    """Search one of the options: texts, numbers, truth values or `None`."""
    if not options:
        raise InvalidInput("choice() has no options; write it as choice(64, 128).")
    for option in options:
        if not isinstance(option, bool | int | float | str | None):
            kind = type(option).__name__
            raise InvalidInput(
                f"choice(): {option!r:.60} is {one(kind)}; options are texts, numbers, truth values or None."
            )
    return Dimension("choice", options=options)


def is_dimension(text: str) -> bool:
    """Tell whether a text is a range or a choice, such as `loguniform(1e-4, 1e-1)`."""
    return _CALL.fullmatch(text) is not None


def parse(text: str) -> Dimension:
    """Read a range or a choice.

    Raises:
        InvalidInput: It is none.
    """
    found = _CALL.fullmatch(text)
    if found is None:
        raise InvalidInput(f"{text[:80]!r} is no range to search; write it as one of {_EXAMPLES}.")
    kind, inside = found.groups()
    values = _arguments(inside)
    if kind == "choice":
        return choice(*values)
    if len(values) != 2 or not all(isinstance(value, int | float) for value in values):
        raise InvalidInput(f"{text[:80]}: give the smallest and the largest value, as in {_EXAMPLES}.")
    return _range(kind, *values)


def read_space(space: Mapping[str, object]) -> dict[str, Dimension]:
    """Read a space: each value is a dimension, its text, or a list of options.

    Raises:
        InvalidInput: One is none of these, or there is none at all.
    """
    if not space:
        raise InvalidInput(f"A sweep needs at least one input to vary, such as lr: one of {_EXAMPLES}.")
    found = {}
    for name, value in space.items():
        if isinstance(value, Dimension):
            found[name] = value
        elif isinstance(value, str):
            found[name] = parse(value)
        elif isinstance(value, Sequence):
            found[name] = choice(*value)
        else:
            kind = type(value).__name__
            raise InvalidInput(f"{name}={value!r:.60} is {one(kind)} and no range to search: {_EXAMPLES}.")
    return found


def check(bundle: Bundle, space: Mapping[str, Dimension], fixed: Mapping[str, object]) -> None:
    """Refuse a space whose ends the function would refuse.

    Raises:
        InvalidInput: An input is unknown, secret, mistyped or out of range, or is given twice.
    """
    for name in space:
        if name in fixed:
            raise InvalidInput(f"{name} is given both as a value and as {space[name]!r}.")
    declared = bundle.training_input
    if declared is None:
        return
    if secret := [one.name for one in declared.parameters if one.is_secret and one.name in {*fixed, *space}]:
        raise InvalidInput(
            f"{secret[0]} is secret, and a sweep keeps its inputs; read it from an environment variable instead."
        )
    for position in range(max(len(varied.ends) for varied in space.values())):
        ends = {name: varied.ends[min(position, len(varied.ends) - 1)] for name, varied in space.items()}
        _, wrong = declared.validate({**fixed, **ends})
        if wrong:
            raise InvalidInput("; ".join(one.description for one in wrong))


def _range(kind: str, low: Any, high: Any) -> Dimension:
    written = f"{kind}({low}, {high})"
    if not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise InvalidInput(f"{written}: the first must be smaller than the second.")
    if kind.startswith("log") and low <= 0:
        raise InvalidInput(f"{written}: a logarithmic range begins above 0.")
    if "int" in kind and (int(low) != low or int(high) != high):
        raise InvalidInput(f"{written}: give whole numbers, or use uniform or loguniform.")
    make = int if "int" in kind else float
    return Dimension(cast("Any", kind), make(low), make(high))


def _arguments(inside: str) -> tuple[Any, ...]:
    try:
        return tuple(ast.literal_eval(f"({inside},)")) if inside.strip() else ()
    except (ValueError, SyntaxError):
        return tuple(parse_literal(part.strip()) for part in inside.split(",") if part.strip())
