"""What a sweep searches: ranges and choices, as a person writes them, as JSON, and as Optuna's distributions.

Rule: a range is refused before anything starts where the function would refuse its ends.
"""

from __future__ import annotations

import ast
import difflib
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
MAX_TRIALS = 100_000
KINDS = ("uniform", "loguniform", "integer", "logint", "choice")
_CALL = re.compile(rf"\s*({'|'.join(KINDS)})\s*\((.*)\)\s*", re.DOTALL)
_NAMED = re.compile(r"\s*([a-z_]+)\s*\(.*", re.DOTALL | re.IGNORECASE)
_EXAMPLES = "loguniform(1e-4, 1e-1), uniform(0, 1), integer(1, 8), choice(64, 128)"
_EXAMPLES_BY_KIND = (
    "uniform(0, 1)",
    "loguniform(1e-4, 1e-1)",
    "integer(1, 8)",
    "logint(1, 1000)",
    "choice(64, 128)",
)
_MAX_WHOLE = 1 << 53
"""Whole numbers beyond are no floats, by which Optuna computes."""


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
        """Values that the function must accept: all of a choice, both ends of a range, and of floats one within."""
        if self.kind == "choice":
            return self.options
        within = () if "int" in self.kind else (self.low + (self.high - self.low) / math.pi,)
        return (self.low, self.high, *within)

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
        if isinstance(option, float) and not math.isfinite(option):
            raise InvalidInput(f"choice(): {option!r} is no number to try; leave it out.")
    return Dimension("choice", options=options)


def is_dimension(text: str) -> bool:
    """Tell whether a text is a range or a choice, such as `loguniform(1e-4, 1e-1)`."""
    return _CALL.fullmatch(text) is not None


def misspelt(text: str) -> str | None:
    """Return the range or choice that a text is likely meant to be, where it is none: `log_uniform(1, 2)`, `choice(1`."""
    named = _NAMED.fullmatch(text)
    if named is None or is_dimension(text):
        return None
    written = named[1].lower()
    close = difflib.get_close_matches(written.replace("_", ""), KINDS, 1, 0.7)
    return next((example for example in _EXAMPLES_BY_KIND if close and example.startswith(close[0])), None)


def parse(text: str) -> Dimension:
    """Read a range or a choice.

    Raises:
        InvalidInput: It is none.
    """
    found = _CALL.fullmatch(text)
    if found is None:
        raise InvalidInput(f"{text[:80]!r} is no range to search; write it as one of {_EXAMPLES}.")
    kind, inside = found.groups()
    try:
        values = _arguments(inside)
    except InvalidInput as error:
        raise InvalidInput(f"{kind}{error}") from None
    if kind == "choice":
        return choice(*values)
    if len(values) != 2:
        raise InvalidInput(f"{text[:80]}: give the smallest and the largest value, as in {_EXAMPLES}.")
    return _range(kind, *values)


def read_space(space: Mapping[str, object]) -> dict[str, Dimension]:
    """Read a space: each value is a dimension, its text, or a list of options.

    Raises:
        InvalidInput: One is none of these, or there is none at all.
    """
    given: object = space
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise InvalidInput(
            f"{given!r:.60} is {one(kind)}; give ranges by name: jx.sweep(fn, {{'lr': [0.1, 1]}})."
        )
    if not space:
        raise InvalidInput(f"A sweep needs at least one input to vary, such as lr: one of {_EXAMPLES}.")
    return {name: _read_one(name, value) for name, value in space.items()}


def _read_one(name: object, value: object) -> Dimension:
    if isinstance(value, Dimension):
        return value
    try:
        if isinstance(value, str):
            return parse(value)
        if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
            return choice(*value)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from None
    kind = type(value).__name__
    raise InvalidInput(f"{name}={value!r:.60} is {one(kind)} and no range to search: {_EXAMPLES}.")


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


def is_whole(number: object, least: int, most: int) -> bool:
    """Tell whether something is a whole number from `least` to `most`, and no truth value."""
    return isinstance(number, int) and not isinstance(number, bool) and least <= number <= most


def _range(kind: str, low: Any, high: Any) -> Dimension:
    written = f"{kind}({low!r:.40}, {high!r:.40})"
    if not (_is_number(low) and _is_number(high)):
        raise InvalidInput(
            f"{written}: give the smallest and the largest value as numbers, as in {_EXAMPLES}."
        )
    if low >= high:
        raise InvalidInput(f"{written}: the first must be smaller than the second.")
    if kind.startswith("log") and low <= 0:
        raise InvalidInput(f"{written}: a logarithmic range begins above 0, such as at 1e-4 or 1.")
    if not math.isfinite(high - low):
        raise InvalidInput(f"{written}: the range is too wide to compute with; narrow it.")
    if "int" in kind and (int(low) != low or int(high) != high):
        raise InvalidInput(f"{written}: give whole numbers, or use uniform or loguniform.")
    if "int" in kind and max(abs(low), abs(high)) > _MAX_WHOLE:
        raise InvalidInput(f"{written}: whole numbers are searched up to {_MAX_WHOLE:,}; narrow it.")
    make = int if "int" in kind else float
    return Dimension(cast("Any", kind), make(low), make(high))


def _is_number(value: object) -> bool:
    """Tell whether a value is a finite number, and no truth value."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _arguments(inside: str) -> tuple[Any, ...]:
    try:
        return tuple(ast.literal_eval(f"({inside},)")) if inside.strip() else ()
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        if found := re.search(r"[()\[\]{}]", inside):
            raise InvalidInput(
                f"({inside[:60]}): {found[0]!r} is within; ranges and choices are not nested; if a text has brackets, write all texts in quotes."
            ) from None
        return tuple(parse_literal(part.strip()) for part in inside.split(",") if part.strip())
