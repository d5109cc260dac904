"""How a list of trainings is asked for: said once, taken by the client's and the notebook's `list` alike."""

from __future__ import annotations

from typing import TypedDict


class ListQuery(TypedDict, total=False):
    """What narrows and orders a list of trainings; what is left out is as the engine has it.

    q: Only those with this text in their name, id or tags.
    sort: `created_at`, `name`, `id`, `status`, `duration`, `input:NAME`, `last:METRIC`, `min:METRIC` or `max:METRIC`, with
        `-` before it for the largest first; `-created_at` by default.
    offset: Leave out so many; 0 by default.
    """

    q: str
    sort: str
    offset: int
