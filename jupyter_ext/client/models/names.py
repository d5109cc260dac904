"""Which model of the list a person means by a name or the beginning of an id; see `client.requests.resolve`."""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_ext.client.requests.resolve import choose
from jupyter_ext.errors import UnknownId
from jupyter_ext.protocol.model_refs import short_id
from jupyter_ext.protocol.models import LocalModel


def chosen(text: str, known: Sequence[LocalModel]) -> LocalModel | None:
    """Return the model of the list that a text means, or `None` where nothing comes close.

    Args:
        text: A name, the last part of a repository's name, or the beginning of an id; no full reference.
        known: The list.

    Raises:
        UnknownId: Several fit, or none and others come close.
    """

    def name_of(model: LocalModel) -> str:
        short = short_id(model.id)
        name = (
            short if short.startswith(f"{model.name}@") else model.name
        )  # of two revisions, neither is the name
        return text if text in (name, short.rpartition("/")[2]) else name

    def id_of(model: LocalModel) -> str:
        return short_id(model.id)

    try:
        return choose(text, known, kind="model", list_with="%models", name_of=name_of, id_of=id_of)
    except UnknownId as error:
        if not error.has_candidates:
            return None
        raise UnknownId(f"{error} The hub's own model of that name is hub:{text}.") from None
