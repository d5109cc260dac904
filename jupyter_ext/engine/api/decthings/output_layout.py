"""What goes back to a client that cannot read everything: layouts of media, and the official client's one tensor an output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jupyter_ext.ipc.decthings_tensors import MEDIA
from jupyter_ext.protocol.decthings.tensors import ITEM_BYTES, Layout, Tensor, header, spans

_FIRST_PRINTABLE = 0x21


def layout_of(blobs: Iterable[memoryview]) -> Layout:
    """Tell in which layout a client writes media: `new` where one of its elements is in that one."""
    for blob in blobs:
        for begin, end in spans(blob):
            found = header(blob, begin)
            if found.type in MEDIA and found.num_elements:
                raw = Tensor("binary", [], [bytes(blob[begin:end])])  # one element is enough to tell
                return "old" if _first_is_old(bytes(raw.item()), found.start - begin) else "new"
    return "old"


def rewritten(blobs: Sequence[memoryview], layout: Layout, *, stacked: bool) -> list[memoryview | bytes]:
    """Give outputs as a client can read them.

    Args:
        blobs: One per output, its tensors one behind the other.
        layout: How media are to be written.
        stacked: Whether several tensors of numbers, of one type and shape, are to be one with an axis more.
    """
    return [_rewritten(blob, layout, stacked) for blob in blobs]


def _rewritten(blob: memoryview, layout: Layout, stacked: bool) -> memoryview | bytes:
    heads = [header(blob, begin) for begin, _ in spans(blob)]
    if layout == "new" and any(head.type in MEDIA for head in heads):
        return b"".join(tensor.encode("new") for tensor in Tensor.decode_many(blob))
    alike = len({(head.type, head.shape) for head in heads}) == 1
    if stacked and len(heads) > 1 and alike and heads[0].type in ITEM_BYTES:
        elements = b"".join(blob[head.start : head.end] for head in heads)
        return Tensor(heads[0].type, (len(heads), *heads[0].shape), elements).encode()
    return blob


def _first_is_old(raw: bytes, position: int) -> bool:
    """Tell the layout of the first element, whose length stands at `position`."""
    mark = raw[position]
    begin = position + {0xFD: 3, 0xFE: 5, 0xFF: 9}.get(mark, 1)
    return begin < len(raw) and raw[begin] >= _FIRST_PRINTABLE
