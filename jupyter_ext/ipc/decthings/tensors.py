"""Decthings' tensors, byte for byte. Standard library only; numpy is imported when an array is made or taken.

    byte 0            type code
    byte 1            number of dimensions, 0 for a scalar
    per dimension     varint (big-endian)
    fixed types       elements, row-major, little-endian; boolean is one byte
    others            varint with the number of bytes that follow, then per element a varint with its bytes, and its bytes

A tensor says where it ends, so a list of tensors is their bytes one behind the other.

Rule: what is decoded was checked to its last byte; a length that lies is an error that names it, never a large allocation.

Source: the reference implementations of Decthings' client for Python 0.0.4, JavaScript and Rust.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from jupyter_ext.ipc.decthings import varint
from jupyter_ext.ipc.decthings.varint import WireError as WireError

CODES = {
    "f32": 1, "f64": 2, "i8": 3, "i16": 4, "i32": 5, "i64": 6, "u8": 7, "u16": 8, "u32": 9, "u64": 10,
    "string": 11, "binary": 12, "boolean": 13, "image": 14, "audio": 15, "video": 16,
}  # fmt: skip
NAMES = {code: name for name, code in CODES.items()}
ITEM_BYTES = {
    "f32": 4, "f64": 8, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "u8": 1, "u16": 2, "u32": 4, "u64": 8, "boolean": 1,
}  # fmt: skip
MEDIA = frozenset({"image", "audio", "video"})

DTYPES = {
    "f32": "<f4", "f64": "<f8", "i8": "i1", "i16": "<i2", "i32": "<i4", "i64": "<i8",
    "u8": "u1", "u16": "<u2", "u32": "<u4", "u64": "<u8", "boolean": "?",
}  # fmt: skip
_CASTS = {
    "f32": "f", "f64": "d", "i8": "b", "i16": "h", "i32": "i", "i64": "q",
    "u8": "B", "u16": "H", "u32": "I", "u64": "Q", "boolean": "B",
}  # fmt: skip
_MAX_DIMS = 255
_OLD_FORMAT_BYTES = 3
_FIRST_PRINTABLE = 0x21
"""In the old layout of media the first byte is a letter of the format, in the new one the length of the format."""

_MAX_FORMAT_BYTES = _FIRST_PRINTABLE - 1
"""A longer format's length would read as the old layout's first letter."""
_SHORT_FORMATS = {"jpeg": "jpg", "tiff": "tif", "mpeg": "mpg", "aiff": "aif", "midi": "mid"}
"""Formats that the old layout has no room for, by their usual name of three letters."""

Layout = Literal["old", "new"]
"""How an image, sound or video is written: `old` (until October 2024) has a format of exactly three bytes, `new` a counted one."""


@dataclass(frozen=True)
class Media:
    """An image, sound or video: its format, such as `png`, and the bytes of its file."""

    format: str
    data: bytes


@dataclass(frozen=True)
class Header:
    """What a tensor's first bytes say, checked against the bytes that are there.

    Attributes:
        type: Name of the element type.
        shape: Dimensions.
        start: Where the first element begins.
        end: Where the tensor ends.
    """

    type: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def num_elements(self) -> int:
        """Count the elements."""
        return prod(self.shape)


def header(data: Any, position: int = 0) -> Header:
    """Read where a tensor begins and ends, and make sure that all of it is there.

    Raises:
        WireError: It is not; the text says what is wrong.
    """
    view = _bytes(data)
    if len(view) < position + 2:
        raise WireError(f"The data ends at byte {len(view)}, within a tensor's first two bytes.")
    code, num_dims = view[position], view[position + 1]
    name = NAMES.get(code)
    if name is None:
        raise WireError(f"Byte {position} is {code}, which is no type code; those are 1 (f32) to 16 (video).")
    position += 2
    shape = []
    for n in range(num_dims):
        size, position = varint.decode(view, position, f"dimension {n} of {num_dims}")
        shape.append(size)
    count, left = prod(shape), len(view) - position
    if name in ITEM_BYTES:
        needed = count * ITEM_BYTES[name]
    else:
        needed, position = varint.decode(view, position, f"the length of a {name} tensor")
        left = len(view) - position
        if count > needed:
            raise WireError(
                f"A {name} tensor of shape {shape} has {count} elements, but says it is {needed} bytes long."
            )
    if needed > left:
        raise WireError(f"A {name} tensor of shape {shape} needs {needed} bytes, but {left} are left.")
    return Header(name, tuple(shape), position, position + needed)


def spans(data: Any) -> list[tuple[int, int]]:
    """Return where each of the tensors that stand one behind the other begins and ends."""
    view, found, position = _bytes(data), list[tuple[int, int]](), 0
    while position < len(view):
        end = header(view, position).end
        found.append((position, end))
        position = end
    return found


def check_whole(data: Any) -> list[Header]:
    """Check tensors that stand one behind the other to their last byte, the lengths and texts of their elements included.

    Returns:
        What each of them is.

    Raises:
        WireError: Something does not fit; the text says which tensor and what.
    """
    view, found = _bytes(data), list[Header]()
    position = 0
    while position < len(view):
        head = header(view, position)
        if head.type not in ITEM_BYTES:
            for _ in _elements(view, head):
                continue
        found.append(head)
        position = head.end
    return found


class Tensor:
    """A tensor of one of Decthings' types.

    Args:
        type: Name of the element type, such as `f32`.
        shape: Dimensions, none for a scalar.
        data: Little-endian bytes in C order of a fixed type, or a list of `str`, `bytes` or `Media`, flat, for the others.

    Raises:
        WireError: Type, shape and data do not fit together.
    """

    def __init__(self, type: str, shape: Sequence[int], data: Any) -> None:
        if type not in CODES:
            raise WireError(f"{type!r} is no type; those are {', '.join(CODES)}.")
        if len(shape) > _MAX_DIMS or any(size < 0 for size in shape):
            raise WireError(f"Shape {list(shape)} cannot be sent; at most {_MAX_DIMS} sizes, none negative.")
        self.type = type
        self.shape = tuple(int(size) for size in shape)
        count = prod(self.shape)
        if type in ITEM_BYTES:
            self._bytes: memoryview | None = _bytes(data)
            self._items: list[Any] = []
            if len(self._bytes) != count * ITEM_BYTES[type]:
                raise WireError(
                    f"{type} of shape {list(self.shape)} has {count * ITEM_BYTES[type]} bytes, not {len(self._bytes)}."
                )
        else:
            self._bytes, self._items = None, list(data)
            if len(self._items) != count:
                raise WireError(
                    f"{type} of shape {list(self.shape)} has {count} elements, not {len(self._items)}."
                )
            wanted = str if type == "string" else bytes if type == "binary" else Media
            for index, item in enumerate(self._items):
                if not isinstance(item, wanted):
                    raise WireError(
                        f"Element {index} of a {type} tensor is a {item.__class__.__name__}, not {wanted.__name__}."
                    )

    @classmethod
    def decode(cls, data: Any, position: int = 0) -> tuple[Tensor, int]:
        """Read one tensor; give it and where it ends. Elements of a fixed type are not copied.

        Raises:
            WireError: The bytes are not a tensor, or only the beginning of one.
        """
        view = _bytes(data)
        found = header(view, position)
        if found.type in ITEM_BYTES:
            return cls(found.type, found.shape, view[found.start : found.end]), found.end
        return cls(found.type, found.shape, list(_elements(view, found))), found.end

    @classmethod
    def decode_many(cls, data: Any) -> list[Tensor]:
        """Read all tensors of a buffer."""
        view, tensors, position = _bytes(data), list[Tensor](), 0
        while position < len(view):
            tensor, position = cls.decode(view, position)
            tensors.append(tensor)
        return tensors

    @classmethod
    def from_array(cls, array: Any, type: str) -> Tensor:
        """Take a numpy array whose values `type` holds; byte order and strides do not matter.

        A fixed type takes any array that can be cast to it without loss; the others take one of objects.
        """
        import numpy

        if type in DTYPES:
            shape = array.shape  # ascontiguousarray makes a scalar one-dimensional
            flat = numpy.ascontiguousarray(array.astype(DTYPES[type], casting="safe", copy=False))
            return cls(type, shape, flat.reshape(-1).view("u1").data if flat.size else b"")
        return cls(type, array.shape, array.reshape(-1).tolist())

    def numpy(self) -> Any:
        """Return a numpy array: without a copy, read-only, for a fixed type; of objects for the others.

        Raises:
            WireError: numpy cannot have this shape.
        """
        import numpy

        try:
            if self._bytes is None:
                array = numpy.empty(len(self._items), dtype=object)
                array[:] = self._items
                return array.reshape(self.shape)
            if self.type == "boolean":
                return (numpy.frombuffer(self._bytes, "u1") != 0).reshape(self.shape)
            return numpy.frombuffer(self._bytes, DTYPES[self.type]).reshape(self.shape)
        except ValueError as error:
            raise WireError(f"numpy has no array of shape {list(self.shape)}: {error}.") from error

    def items(self) -> list[Any]:
        """Return the elements as a flat list, in C order, without numpy."""
        if self._bytes is None:
            return list(self._items)
        size = ITEM_BYTES[self.type]
        raw = bytes(self._bytes)
        if sys.byteorder == "big" and size > 1:
            raw = b"".join(raw[n : n + size][::-1] for n in range(0, len(raw), size))
        flat = memoryview(raw).cast(_CASTS[self.type]).tolist()  # type: ignore[call-overload]
        return [item != 0 for item in flat] if self.type == "boolean" else flat

    def item(self) -> Any:
        """Return the only element.

        Raises:
            WireError: There is none, or more than one.
        """
        found = self.items()
        if len(found) != 1:
            raise WireError(f"A tensor of shape {list(self.shape)} has {len(found)} elements, not one.")
        return found[0]

    @property
    def nbytes(self) -> int:
        """Count the bytes of the elements."""
        if self._bytes is not None:
            return len(self._bytes)
        return sum(len(_element(item, "new")) for item in self._items)

    def parts(self, layout: Layout = "old") -> list[Any]:
        """Return the bytes as a list of buffers, the elements of a fixed type without a copy.

        Raises:
            WireError: A string has no UTF-8 form, or a format is not of three bytes in the old layout.
        """
        head = bytes((CODES[self.type], len(self.shape)))
        head += b"".join(varint.encode(size) for size in self.shape)
        if self._bytes is not None:
            return [head, self._bytes]
        body: list[bytes] = []
        for item in self._items:
            element = _element(item, layout)
            body += (varint.encode(len(element)), element)
        return [head, varint.encode(sum(map(len, body))), *body]

    def encode(self, layout: Layout = "old") -> bytes:
        """Return the bytes; see `parts`."""
        return b"".join(self.parts(layout))

    def encode_as_stored(self) -> bytes:
        """Return the bytes, media in the old layout wherever that has room for their formats as they are."""
        fits = all(
            len(item.format.encode()) == _OLD_FORMAT_BYTES for item in self._items if isinstance(item, Media)
        )
        return self.encode("old" if fits else "new")

    def __repr__(self) -> str:
        size = self.nbytes
        return f"Tensor({self.type}, {list(self.shape)}, {size} byte{'s' * (size != 1)})"


def _bytes(data: Any) -> memoryview:
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def _element(item: Any, layout: Layout) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, Media):
        if layout == "old":
            name = _SHORT_FORMATS.get(item.format, item.format).encode()
            if len(name) != _OLD_FORMAT_BYTES:
                raise WireError(
                    f"Format {item.format!r} is not of three bytes, as the old layout of media wants; "
                    "write it as one of three letters such as 'png' or 'jpg'."
                )
            return name + item.data
        name = item.format.encode()
        if len(name) > _MAX_FORMAT_BYTES:
            raise WireError(
                f"Format {item.format[:20]!r}… has {len(name)} bytes; at most {_MAX_FORMAT_BYTES} can be sent."
            )
        return bytes((len(name),)) + name + item.data
    try:
        return str(item).encode()
    except UnicodeEncodeError as error:
        raise WireError(f"{item[:40]!r} has no UTF-8 form: {error.reason}.") from error


def _elements(view: memoryview, found: Header) -> Iterator[Any]:
    position = found.start
    for index in range(found.num_elements):
        size, position = varint.decode(view[: found.end], position, f"the length of element {index}")
        if position + size > found.end:
            raise WireError(
                f"Element {index} of a {found.type} tensor says it is {size} bytes long, "
                f"but {found.end - position} are left in the tensor."
            )
        yield _read(found.type, bytes(view[position : position + size]), index)
        position += size
    if position != found.end:
        raise WireError(
            f"A {found.type} tensor says it is {found.end - found.start} bytes long, "
            f"but its {found.num_elements} elements end {found.end - position} bytes before that."
        )


def _read(type: str, raw: bytes, index: int) -> Any:
    if type == "binary":
        return raw
    try:
        if type == "string":
            return raw.decode()
        old = bool(raw) and raw[0] >= _FIRST_PRINTABLE
        begin, size = (0, _OLD_FORMAT_BYTES) if old else (1, raw[0] if raw else 0)
        if len(raw) < max(1, begin + size):
            raise WireError(
                f"Element {index} of a {type} tensor is {len(raw)} bytes long, too short for its format."
            )
        return Media(raw[begin : begin + size].decode(), raw[begin + size :])
    except UnicodeDecodeError as error:
        raise WireError(f"Element {index} of a {type} tensor is not UTF-8: {error.reason}.") from error
