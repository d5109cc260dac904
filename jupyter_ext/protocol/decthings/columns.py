"""Columns of a notebook's data as entries of a dataset: one tensor a row, many rows at a time.

Rule: every entry of a key has one type; its type and shape are found out before anything is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_ext.ipc.decthings.dataset_reader import KeyDefinition
from jupyter_ext.protocol.decthings.tensors import ITEM_BYTES, Tensor, WireError, infer

BATCH_BYTES = 32 << 20
"""About how much goes into one request."""


@dataclass(frozen=True)
class Column:
    """One key's entries.

    Attributes:
        name: The key.
        type: Of every entry.
        shape: Of every entry; -1 where it differs.
        rows: An array whose rows they are, or a list of tensors.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    rows: Any

    def __len__(self) -> int:
        return len(self.rows)

    def definition(self) -> KeyDefinition:
        """Return the key's definition."""
        return {"name": self.name, "rules": {"shape": list(self.shape), "allowedTypes": [self.type]}}

    def encode(self, begin: int, end: int) -> bytes:
        """Return the tensors of some rows, one behind the other."""
        if isinstance(self.rows, list):
            return b"".join(tensor.encode_as_stored() for tensor in self.rows[begin:end])
        return _encode_rows(self.rows[begin:end], self.type)

    def row_bytes(self) -> float:
        """Return about how large a row is."""
        if isinstance(self.rows, list):
            sample = self.rows[:: max(1, len(self.rows) // 16)]
            return float(sum(tensor.nbytes for tensor in sample) / max(1, len(sample)) + 16)
        return float(self.rows.nbytes / max(1, len(self.rows)) + 16)


def column(name: str, value: Any) -> Column:
    """Read a column.

    Args:
        name: The key.
        value: An array, tensor or series, whose first axis are the entries; or a list of numbers, texts, bytes, images,
            arrays or tensors, one each.

    Raises:
        WireError: It has no entries, or no type of Decthings holds them.
    """
    what = f"column {name!r}"
    if isinstance(value, list | tuple):
        items = list(value)
        if not items or not all(isinstance(item, bool | int | float) for item in items):
            return _of_tensors(name, [infer(item, f"{what}, entry {n}") for n, item in enumerate(items)])
    whole = infer(value, what)
    if not whole.shape:
        raise WireError(f"{what} is a single value; give one entry per row.")
    if whole.type not in ITEM_BYTES:
        items = whole.numpy()
        return _of_tensors(name, [_object_row(whole.type, row) for row in items])
    return Column(name, whole.type, whole.shape[1:], whole.numpy())


def batches(columns: Sequence[Column]) -> Iterator[tuple[int, int]]:
    """Return ranges of rows that go into one request each.

    Raises:
        WireError: The columns differ in length.
    """
    counts = {each.name: len(each) for each in columns}
    if len(set(counts.values())) > 1:
        raise WireError(f"The columns differ in length: {counts}.")
    count = len(columns[0])
    step = max(1, int(BATCH_BYTES / sum(each.row_bytes() for each in columns)))
    for begin in range(0, count, step):
        yield begin, min(count, begin + step)


def _of_tensors(name: str, tensors: list[Tensor]) -> Column:
    if not tensors:
        raise WireError(f"column {name!r} has no entries.")
    types = sorted({tensor.type for tensor in tensors})
    if len(types) > 1:
        raise WireError(f"column {name!r} has entries of {' and '.join(types)}; give entries of one type.")
    dims = {len(tensor.shape) for tensor in tensors}
    if len(dims) > 1:
        raise WireError(
            f"column {name!r} has entries of {sorted(dims)} dimensions; give entries of one number."
        )
    sizes = zip(*(tensor.shape for tensor in tensors), strict=True)
    shape = tuple(size[0] if len(set(size)) == 1 else -1 for size in sizes)
    return Column(name, types[0], shape, tensors)


def _object_row(type: str, row: Any) -> Tensor:
    shape = getattr(row, "shape", ())
    return Tensor(type, shape, row.reshape(-1).tolist() if shape else [row])


def _encode_rows(rows: Any, type: str) -> bytes:
    """Return all rows at once: the same head before each row's elements."""
    import numpy

    if not len(rows):
        return b""
    first = Tensor.from_array(rows[0] if rows.ndim > 1 else numpy.asarray(rows[0]), type)
    head = first.parts()[0]
    flat = numpy.ascontiguousarray(rows).reshape(len(rows), -1).view("u1").reshape(len(rows), -1)
    encoded = numpy.empty((len(rows), len(head) + flat.shape[1]), "u1")
    encoded[:, : len(head)] = numpy.frombuffer(head, "u1")
    encoded[:, len(head) :] = flat
    return encoded.tobytes()
