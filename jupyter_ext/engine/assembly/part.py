"""What the engine asks of each of its parts: routes, opening and closing, and how much there is to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

from starlette.routing import BaseRoute


@dataclass(frozen=True)
class Work:
    """What keeps an engine from ending by itself, counted."""

    trainings: int = 0
    """Trainings that are starting or running."""
    sessions: int = 0
    """Debug sessions that are starting or running."""
    fetching: int = 0
    """Models that are on their way."""
    loaded: int = 0
    """Models in memory."""
    viewers: int = 0
    """Whoever follows something."""
    pending: int = 0
    """What else is to be finished: webhooks to deliver, downloads of services to follow."""

    def __add__(self, other: Work) -> Work:
        """Add counts."""
        return Work(*(one + more for one, more in zip(astuple(self), astuple(other), strict=True)))

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return any(astuple(self))


class API(Protocol):
    """Some routes that belong together."""

    def routes(self) -> Sequence[BaseRoute]:
        """List the routes."""


class Part(Protocol):
    """One of the engine's jobs with all that it takes.

    Parts are opened in order and closed in reverse, so that one may use those before it from its opening to its end.
    """

    @property
    def apis(self) -> Sequence[API]:
        """The routes over which the part is asked."""

    @property
    def work(self) -> Work:
        """What it has to do now."""

    async def open(self) -> None:
        """Read what is there, adopt what runs, begin to work."""

    async def close(self) -> None:
        """Stop working; what runs in processes of its own goes on."""
