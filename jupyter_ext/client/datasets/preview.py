"""How a dataset looks in a notebook: what it holds, and its first entries."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from html import escape
from typing import Any, Protocol

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.ipc.decthings.dataset_reader import KeyDefinition
from jupyter_ext.protocol.decthings.tensors import Media

NUM_SHOWN = 5
MAX_IMAGE_BYTES = 64 << 10
_SHOWN_FORMATS = {"png": "png", "jpg": "jpeg", "gif": "gif", "webp": "webp", "bmp": "bmp"}
_MAX_CHARACTERS = 60


class PreviewedDataset(Protocol):
    """What a preview needs of a dataset."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def keys(self) -> Any:
        """The names of its columns."""

    @property
    def definitions(self) -> Any:
        """Its columns."""

    @property
    def nbytes(self) -> int:
        """Its size on disk, bytes."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: slice) -> Any: ...


def line(dataset: PreviewedDataset) -> str:
    """Return a line about a dataset."""
    keys = ", ".join(_definition(key) for key in dataset.definitions)
    return (
        f"{dataset.name}: {len(dataset):,} entries of {keys}; {format_bytes(dataset.nbytes)} ({dataset.id})"
    )


def text(dataset: PreviewedDataset) -> str:
    """Return a dataset as text, its first entries with it."""
    rows = [
        "  ".join(f"{key}={cell(value)}" for key, value in entry.items()) for entry in dataset[:NUM_SHOWN]
    ]
    more = [f"… {len(dataset) - NUM_SHOWN:,} more"] if len(dataset) > NUM_SHOWN else []
    return "\n".join([line(dataset), *(f"  {row}" for row in [*rows, *more])])


def html(dataset: PreviewedDataset) -> str:
    """Return a dataset as HTML, small images drawn."""
    heads = "".join(f"<th>{escape(_definition(key))}</th>" for key in dataset.definitions)
    rows = "".join(
        f"<tr><th>{n}</th>" + "".join(f"<td>{_cell_html(entry[key])}</td>" for key in dataset.keys) + "</tr>"
        for n, entry in enumerate(dataset[:NUM_SHOWN])
    )
    more = f"<p>… {len(dataset) - NUM_SHOWN:,} more</p>" if len(dataset) > NUM_SHOWN else ""
    about = f"{escape(dataset.name)}: {len(dataset):,} entries, {format_bytes(dataset.nbytes)}"
    return f"<div><p><b>{about}</b></p><table><tr><th></th>{heads}</tr>{rows}</table>{more}</div>"


def table(datasets: Iterable[PreviewedDataset]) -> str:
    """Return a list of datasets as HTML."""
    rows = "".join(
        f"<tr><td>{escape(each.name)}</td><td>{len(each):,}</td><td>{format_bytes(each.nbytes)}</td>"
        f"<td>{escape(', '.join(_definition(key) for key in each.definitions))}</td><td>{escape(each.id)}</td></tr>"
        for each in datasets
    )
    if not rows:
        return "<p>No datasets yet. <code>jx.datasets.create(name, x=array)</code> makes one.</p>"
    return f"<table><tr><th>name</th><th>entries</th><th>size</th><th>keys</th><th>id</th></tr>{rows}</table>"


def cell(value: Any) -> str:
    """Return a value in a few words."""
    if isinstance(value, Media):
        return f"<{value.format}, {format_bytes(len(value.data))}>"
    if isinstance(value, bytes):
        return f"<{format_bytes(len(value))}>"
    shape = getattr(value, "shape", None)
    if shape is None:
        shown = repr(value)
    elif shape == () or value.size <= 6:
        shown = repr(value.tolist())
    elif value.dtype.kind in "fiub":
        low, high = value.min(), value.max()
        return f"{value.dtype}{list(shape)} {low:.4g} … {high:.4g}"
    else:
        return f"{value.dtype}{list(shape)}"
    return shown if len(shown) <= _MAX_CHARACTERS else f"{shown[: _MAX_CHARACTERS - 1]}…"


def _cell_html(value: Any) -> str:
    if isinstance(value, Media) and value.format in _SHOWN_FORMATS and len(value.data) <= MAX_IMAGE_BYTES:
        data = base64.b64encode(value.data).decode()
        return f'<img style="max-height:64px" src="data:image/{_SHOWN_FORMATS[value.format]};base64,{data}">'
    return escape(cell(value))


def _definition(key: KeyDefinition) -> str:
    rules = key["rules"]
    shape = "×".join("?" if size == -1 else str(size) for size in rules["shape"])
    return f"{key['name']}: {'|'.join(rules['allowedTypes'])}{f'[{shape}]' if shape else ''}"
