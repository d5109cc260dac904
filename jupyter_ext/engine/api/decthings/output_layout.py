"""What goes back to a client that cannot read everything: layouts of media, and the official client's one tensor an output."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jupyter_ext.engine.api.decthings.rpc.calls import Call, Refusal
from jupyter_ext.ipc.decthings.tensors import MEDIA
from jupyter_ext.protocol.decthings.tensors import ITEM_BYTES, Layout, Tensor, WireError, header, spans

_FIRST_PRINTABLE = 0x21


def client_layout(call: Call) -> Layout:
    """Return the layout of media that a client can read: the one that it writes, or else that of its generation.

    The official Python client knows the old one only; every other that is current writes and reads the new one.
    """
    written = layout_written(call.blobs)
    return written or ("old" if call.is_officials else "new")


def layout_written(blobs: Iterable[memoryview]) -> Layout | None:
    """Return the layout in which a client wrote media; `None` where it wrote none."""
    for blob in blobs:
        for begin, end in spans(blob):
            found = header(blob, begin)
            if found.type in MEDIA and found.num_elements:
                return "old" if _first_is_old(bytes(blob[begin:end]), found.start - begin) else "new"
    return None


def readable(
    call: Call, blobs: Sequence[memoryview | bytes], *, stacked: bool = False
) -> list[memoryview | bytes]:
    """Return blobs of tensors as the client of a call can read them; see `rewritten`."""
    return rewritten([memoryview(blob) for blob in blobs], client_layout(call), stacked=stacked)


def rewritten(blobs: Sequence[memoryview], layout: Layout, *, stacked: bool) -> list[memoryview | bytes]:
    """Return tensors as a client can read them.

    Args:
        blobs: Tensors one behind the other, in each.
        layout: How media are to be written.
        stacked: Whether several tensors of numbers, of one type and shape, are to be one with an axis more.

    Raises:
        Refusal: An image has a format that the layout has no room for.
    """
    return [_rewritten(blob, layout, stacked) for blob in blobs]


def _rewritten(blob: memoryview, layout: Layout, stacked: bool) -> memoryview | bytes:
    heads = [header(blob, begin) for begin, _ in spans(blob)]
    if any(head.type in MEDIA for head in heads):
        try:
            return b"".join(tensor.encode(layout) for tensor in Tensor.decode_many(blob))
        except WireError as error:
            raise Refusal(
                "exception", exceptionDetails=f"This client cannot read the output: {error}"
            ) from error
    alike = len({(head.type, head.shape) for head in heads}) == 1
    if stacked and len(heads) > 1 and alike and heads[0].type in ITEM_BYTES:
        elements = b"".join(blob[head.start : head.end] for head in heads)
        return Tensor(heads[0].type, (len(heads), *heads[0].shape), elements).encode()
    return blob


def _first_is_old(raw: bytes, position: int) -> bool:
    """Return whether the first element, whose length stands at `position`, is in the old layout."""
    mark = raw[position]
    begin = position + {0xFD: 3, 0xFE: 5, 0xFF: 9}.get(mark, 1)
    return begin < len(raw) and raw[begin] >= _FIRST_PRINTABLE
