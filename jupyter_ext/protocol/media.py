"""Media of a training as clients look at them.

Source: docs/architecture/02-wire.md, "Media"; 03-run-directory.md, "Media".
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from jupyter_ext.protocol.trainings import Resource


class MediaItem(Resource):
    """One picture, histogram, table or the like at one step. `time` is Unix seconds.

    `data` is what needs no file, as JSON; `file` names the bytes, which `/native/trainings/{id}/media/{file}` has. `index` is its
    place where several were logged together.
    """

    key: str
    kind: str
    step: float
    time: float
    rank: str = "0"
    index: int = 0
    caption: str | None = None
    file: str | None = None
    bytes: int = 0
    data: Any = None
    facts: dict[str, Any] = Field(default_factory=dict)


class MediaPage(Resource):
    """Items in the order in which they were stored; `next` is what the next page is asked with, `more` whether there is one now."""

    items: list[MediaItem]
    next: int
    more: bool
