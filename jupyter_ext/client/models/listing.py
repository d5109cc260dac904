"""A list of models that displays as the live view where there is one, and as a table everywhere else."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.client import display_hook
from jupyter_ext.protocol.models import LocalModel, ModelPage

if TYPE_CHECKING:
    import pandas as pd

MODELS_MIME_TYPE = "application/vnd.jupyter-ext.models+json"
_COLUMNS = ("model", "state", "size", "memory", "used by", "revision")


class KnownModel(Protocol):
    """A handle of a model, as far as a list looks at it."""

    @property
    def known(self) -> LocalModel:
        """What was last heard of it."""


M = TypeVar("M", bound=KnownModel)


class ModelList(list[M], Generic[M]):
    """Handles of models.

    Args:
        models: The handles.
        page: What the engine said of all of them.
        model_id: The only one to show, where one is.
    """

    def __init__(self, models: Iterable[M], page: ModelPage, model_id: str | None = None) -> None:
        super().__init__(models)
        self.page = page
        self.model_id = model_id

    def __repr__(self) -> str:
        """Return the table as text."""
        if not self:
            return "No models yet. `%model org/name download` fetches one."
        rows = [[*_COLUMNS], *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        return "\n".join([*lines, *self._notes()])

    def rows(self) -> list[list[str]]:
        """Return the table's cells as text."""
        return [_row(model.known) for model in self]

    def dataframe(self) -> pd.DataFrame:
        """Return a DataFrame, one row a model; sizes in bytes."""
        import pandas as pd

        records = []
        for model in self:
            known = model.known
            record = known.model_dump(exclude={"files", "transfer", "host", "unloaded", "meta", "notices"})
            host = known.host
            record["loaded_bytes"] = host.memory_bytes if host else None
            record["device"] = host.device if host else None
            record["users"] = ", ".join(user.name for user in host.users) if host else ""
            records.append(record)
        return pd.DataFrame(records)

    @property
    def mime_content(self) -> dict[str, Any]:
        """What JupyterLab draws the live view from."""
        page = self.page.model_dump(mode="json")
        if self.model_id is not None:
            page["models"] = [model for model in page["models"] if model["id"] == self.model_id]
        return {"version": 1, "model": self.model_id, "page": page}

    def _repr_html_(self) -> str:
        if not self:
            return f"<p>{html.escape(repr(self))}</p>"
        body = "".join(_html_row("td", row) for row in self.rows())
        notes = "".join(f"<div>{html.escape(line)}</div>" for line in self._notes())
        return f"<table><thead>{_html_row('th', _COLUMNS)}</thead><tbody>{body}</tbody></table>{notes}"

    def _notes(self) -> list[str]:
        return [f"{model.known.id}: {model.known.error}" for model in self if model.known.error]

    def _ipython_display_(self) -> None:
        self.show()

    def show(self) -> None:
        """Display the list: live where the magics are loaded, and as a table everywhere else."""
        display_hook.show(
            "models", self, lambda: {MODELS_MIME_TYPE: self.mime_content, **self.static_bundle()}
        )

    def static_bundle(self) -> dict[str, str]:
        """Return what shows the list where nothing of ours draws it."""
        return {"text/html": self._repr_html_(), "text/plain": repr(self)}


def describe(model: LocalModel) -> str:
    """Say in one line what a model is and how it stands."""
    return " ".join(part for part in (model.id, _state(model), _size(model.bytes)) if part)


def _row(model: LocalModel) -> list[str]:
    host = model.host
    memory = (
        _size(host.memory_bytes) if host else (_size(model.memory_bytes) and f"~{_size(model.memory_bytes)}")
    )
    users = ", ".join(user.name for user in host.users) if host else ""
    revision = (model.revision or "")[:8] + (" (newer exists)" if model.newer_revision else "")
    return [_called(model), _state(model), _size(model.bytes), memory, users, revision]


def _called(model: LocalModel) -> str:
    """Return what a model is told from others by: its id, of a service's model its name and where that is."""
    base_url = model.id.removeprefix("service:").partition("#")[0]
    return f"{model.name} on {base_url}" if model.source == "service" and "#" in model.id else model.id


def _state(model: LocalModel) -> str:
    transfer = model.transfer
    if transfer is None or transfer.status != "running":
        return (
            f"{model.state} on {model.host.device}" if model.host and model.state == "loaded" else model.state
        )
    text = f"{model.state}, updating" if model.state in ("downloaded", "loaded") else model.state
    if transfer.bytes_total:
        text += f" {100 * transfer.bytes_done / transfer.bytes_total:.0f} %"
    if transfer.bytes_per_s:
        text += f", {format_bytes(transfer.bytes_per_s)}/s"
    if transfer.eta_s is not None:
        text += f", {transfer.eta_s:.0f} s left"
    return text


def _size(size: int | None) -> str:
    return "" if size is None else format_bytes(size)


def _html_row(tag: str, cells: Iterable[str]) -> str:
    inner = "".join(f'<{tag} style="text-align:left">{html.escape(cell)}</{tag}>' for cell in cells)
    return f"<tr>{inner}</tr>"
