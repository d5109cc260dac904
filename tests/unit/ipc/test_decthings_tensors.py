"""Decthings' tensors: byte vectors, every type and kind of array, bytes that lie, and what values become."""

from __future__ import annotations

import random
from datetime import datetime
from typing import Any

import numpy
import pandas
import pytest
import torch
from PIL import Image

from jupyter_ext.protocol.decthings.tensors import (
    CODES,
    ITEM_BYTES,
    Media,
    Tensor,
    WireError,
    check_whole,
    header,
    infer,
    spans,
)

VECTORS: list[tuple[Any, str]] = [
    (Tensor.from_array(numpy.array(1, "f4"), "f32"), "01 00 0000803f"),
    (Tensor.from_array(numpy.array([1, 2, 3], "f4"), "f32"), "01 01 03 0000803f 00000040 00004040"),
    (Tensor.from_array(numpy.array([True, False]), "boolean"), "0d 01 02 01 00"),
    (Tensor("string", [2], ["a", "b"]), "0b 01 02 04 01 61 01 62"),
    (Tensor("binary", [1], [b"ab"]), "0c 01 01 03 02 6162"),
    (Tensor("image", [1], [Media("png", b"xy")]), "0e 01 01 06 05 706e67 7879"),
]


@pytest.mark.parametrize(
    ("tensor", "data"), VECTORS, ids=lambda value: None if isinstance(value, str) else value.type
)
def test_a_tensor_is_these_bytes(tensor: Tensor, data: str) -> None:
    raw = bytes.fromhex(data)
    assert tensor.encode() == raw
    back, end = Tensor.decode(raw)
    assert (back.type, back.shape, back.items(), end) == (tensor.type, tensor.shape, tensor.items(), len(raw))


@pytest.mark.parametrize("type", ["image", "audio", "video"])
def test_both_layouts_of_media_are_read(type: str) -> None:
    tensor = Tensor(type, [1], [Media("png", b"xy")])
    assert tensor.encode("new").hex() == f"{CODES[type]:02x}0101070603706e677879"
    for layout in ("old", "new"):
        assert Tensor.decode(tensor.encode(layout))[0].items() == [Media("png", b"xy")]
    longer = Tensor(type, [], [Media("jpeg", b"")])
    assert Tensor.decode(longer.encode("new"))[0].item() == Media("jpeg", b"")
    assert Tensor.decode(longer.encode("old"))[0].item() == Media("jpg", b"")
    assert longer.encode_as_stored() == longer.encode("new")
    assert tensor.encode_as_stored() == tensor.encode("old")
    with pytest.raises(WireError, match="'webp' is not of three bytes"):
        Tensor(type, [], [Media("webp", b"")]).encode("old")
    with pytest.raises(WireError, match="at most 32 can be sent"):
        Tensor(type, [], [Media("x" * 33, b"")]).encode("new")


@pytest.mark.parametrize("type", ["string", "binary", "image"])
def test_lengths_inside_of_a_tensor_are_checked(type: str) -> None:
    """A tensor of two elements whose first one says that it ends behind the tensor, or whose last one ends before it."""
    items = {
        "string": ["ab", "cd"],
        "binary": [b"ab", b"cd"],
        "image": [Media("png", b"a"), Media("jpeg", b"b")],
    }
    whole = Tensor(type, [2], items[type]).encode("new")
    assert [(head.type, head.shape) for head in check_whole(whole * 2)] == [(type, (2,))] * 2
    for damaged, says in [
        (whole[:4] + bytes([whole[4] + 100]) + whole[5:], "says it is"),
        (whole[:3] + bytes([whole[3] + 1]) + whole[4:] + b"\0", "bytes before that"),
    ]:
        assert header(damaged).end == len(damaged), "only its elements are wrong"
        with pytest.raises(WireError, match=says):
            check_whole(damaged)
    with pytest.raises(WireError, match="not UTF-8"):
        check_whole(Tensor("binary", [1], [b"\xff"]).encode().replace(b"\x0c", b"\x0b", 1))


def arrays_of(type: str) -> list[numpy.ndarray]:
    """Return arrays of every shape and layout in memory, with the smallest, largest and strange values of the type."""
    dtype = numpy.dtype(
        {"f32": "f4", "f64": "f8", "boolean": "?"}.get(
            type, f"{type[0]}{int(type[1:] or 8) // 8}" if type[1:].isdigit() else "O"
        )
    )
    if dtype.kind == "f":
        info: Any = numpy.finfo(dtype)
        values = [
            0.0,
            -0.0,
            float("nan"),
            float("inf"),
            -float("inf"),
            info.max,
            info.min,
            info.tiny,
            1 / 3,
            0.1,
            1e-20,
            7,
        ]
    elif dtype.kind == "b":
        values = [True, False] * 6
    else:
        info = numpy.iinfo(dtype)
        values = [info.min, info.max, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    base = numpy.array(values, dtype)
    grid = base.reshape(3, 4)
    return [
        base,
        grid,
        grid.T,
        grid[:, ::2],
        grid[::-1],
        numpy.asfortranarray(grid),
        base.reshape(2, 1, 3, 2),
        base[0].reshape(()),
        base[:0],
        numpy.empty((0, 3), dtype),
        numpy.empty((2, 0, 65536), dtype),
        numpy.broadcast_to(base[1], (3, 2)),
        base.astype(dtype.newbyteorder(">")),
        grid.astype(dtype.newbyteorder(">")).T,
    ]


@pytest.mark.parametrize("type", sorted(ITEM_BYTES))
def test_arrays_come_back_bit_for_bit(type: str) -> None:
    for array in arrays_of(type):
        tensor = infer(array)
        assert (tensor.type, tensor.shape) == (type, array.shape)
        back, _ = Tensor.decode(tensor.encode())
        found = back.numpy()
        assert found.shape == array.shape
        little = array.astype(array.dtype.newbyteorder("<"))
        assert numpy.ascontiguousarray(found).tobytes() == numpy.ascontiguousarray(little).tobytes()
        assert numpy.array_equal(
            numpy.array(back.items()).reshape(-1), array.reshape(-1), equal_nan=array.dtype.kind == "f"
        )


@pytest.mark.parametrize("size", [252, 253, 65535, 65536])
def test_sizes_where_the_length_of_a_length_changes(size: int) -> None:
    for tensor in (infer(numpy.zeros(size, "u1")), infer(b"x" * size), infer("y" * size)):
        assert Tensor.decode(tensor.encode())[0].items() == tensor.items()


def test_many_tensors_stand_one_behind_the_other() -> None:
    tensors = [infer(numpy.arange(3.0)), infer("text"), infer(numpy.float32(1)), infer(numpy.empty((0, 2)))]
    data = b"".join(tensor.encode() for tensor in tensors)
    assert [tensor.items() for tensor in Tensor.decode_many(data)] == [tensor.items() for tensor in tensors]
    assert [data[begin:end] for begin, end in spans(data)] == [tensor.encode() for tensor in tensors]
    assert Tensor.decode_many(b"") == spans(b"") == []


def test_an_array_is_not_copied_on_receipt() -> None:
    raw = infer(numpy.arange(1000, dtype="f4")).encode()
    array = Tensor.decode(raw)[0].numpy()
    assert not array.flags.owndata
    assert not array.flags.writeable


def test_any_non_zero_byte_is_true() -> None:
    assert Tensor.decode(bytes.fromhex("0d0103000102"))[0].numpy().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "first two bytes"),
        ("01", "first two bytes"),
        ("00 00", "Byte 0 is 0, which is no type code"),
        ("11 00", "Byte 0 is 17, which is no type code"),
        ("01 02 03", "dimension 1 of 2"),
        ("01 01 fe0001", "dimension 0 of 1"),
        ("01 01 03 0000803f", r"f32 tensor of shape \[3\] needs 12 bytes, but 4 are left"),
        ("02 02 ffffffffffffffffff ffffffffffffffffff", "needs .* bytes, but 0 are left"),
        ("0b 01 02", "the length of a string tensor"),
        ("0b 01 02 ff0000ffffffffffff 0161", "needs .* bytes, but 2 are left"),
        ("0b 01 ffffffffffffffffff 02 0161", "18446744073709551615 elements, but says it is 2 bytes long"),
        ("0b 01 02 04 0161 05 62", "Element 1 of a string tensor says it is 5 bytes long, but 1 are left"),
        ("0b 01 01 04 0161 0162", "its 1 elements end 2 bytes before that"),
        ("0b 01 01 02 01ff", "Element 0 of a string tensor is not UTF-8"),
        ("0e 01 01 03 02 706e", "Element 0 of a image tensor is 2 bytes long"),
        ("0e 01 01 01 00", "Element 0 of a image tensor is 0 bytes long"),
        ("0e 01 01 03 02 0978", "Element 0 of a image tensor is 2 bytes long"),
    ],
)
def test_bytes_that_lie_are_named(data: str, says: str) -> None:
    with pytest.raises(WireError, match=says):
        Tensor.decode(bytes.fromhex(data))


def test_any_broken_byte_is_understood_or_refused() -> None:
    rng = random.Random(2)
    good = [tensor.encode() for tensor, _ in VECTORS]
    for _ in range(5000):
        broken = bytearray(rng.choice(good) + rng.choice(good))
        for _ in range(rng.randrange(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        del broken[rng.randrange(len(broken) + 1) :]
        try:
            for tensor in Tensor.decode_many(bytes(broken)):
                tensor.numpy()
                assert Tensor.decode(tensor.encode("new"))[0].shape == tensor.shape
        except WireError:
            continue


def test_a_tensor_that_does_not_fit_its_shape_is_refused() -> None:
    for type, shape, data in [
        ("f32", [2], b"1234"),
        ("string", [2], ["a"]),
        ("string", [1], [b"a"]),
        ("i8", [-1], b""),
    ]:
        with pytest.raises(WireError):
            Tensor(type, shape, data)
    with pytest.raises(WireError, match="'f16' is no type"):
        Tensor("f16", [], b"")
    with pytest.raises(WireError, match="has no UTF-8 form"):
        Tensor("string", [], ["\ud800"]).encode()
    with pytest.raises(WireError, match="has 2 elements, not one"):
        infer([1, 2]).item()


IMAGE = Image.new("RGB", (2, 2), "red")


@pytest.mark.parametrize(
    ("value", "type", "shape"),
    [
        (1.5, "f64", ()),
        (3, "i64", ()),
        (True, "boolean", ()),
        ("text", "string", ()),
        (b"raw", "binary", ()),
        (bytearray(b"raw"), "binary", ()),
        ([[1, 2], [3, 4]], "i64", (2, 2)),
        ([1, 2.5], "f64", (2,)),
        (["a", "b"], "string", (2,)),
        ([b"a\x00", b"b"], "binary", (2,)),
        (numpy.array([b"ab", b"c"]), "binary", (2,)),
        (numpy.array(["ab", "c"], object), "string", (2,)),
        (numpy.float16([1, 2]), "f32", (2,)),
        (torch.tensor([1.0, 2.0]), "f32", (2,)),
        (torch.tensor([1.0, 2.0], requires_grad=True), "f32", (2,)),
        (torch.tensor([[1, 2], [3, 4]]).T, "i64", (2, 2)),
        (torch.tensor([1.5], dtype=torch.bfloat16), "f32", (1,)),
        (torch.tensor(True), "boolean", ()),
        (pandas.Series([1.0, 2.0]), "f64", (2,)),
        (pandas.Series(["a", "b"]), "string", (2,)),
        (pandas.Series([1, 2], dtype="int16"), "i16", (2,)),
        (pandas.DataFrame({"a": [1, 2], "b": [3, 4]}), "i64", (2, 2)),
        (IMAGE, "image", ()),
        ([IMAGE, IMAGE], "image", (2,)),
        (Media("jpg", b"x"), "image", ()),
        ([], "f64", (0,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_gets_the_type_that_holds_it_exactly(value: Any, type: str, shape: tuple[int, ...]) -> None:
    tensor = infer(value)
    assert (tensor.type, tensor.shape) == (type, shape)
    assert Tensor.decode(tensor.encode())[0].items() == tensor.items()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (
            numpy.array(["2020-01-01"], "M8[s]"),
            r"parameter x has dtype datetime64\[s\].*no type there; send .astype\('int64'\)",
        ),
        (pandas.Series(pandas.to_datetime(["2020-01-01"])), "a time has no type there"),
        (numpy.array([1], "m8[s]"), "a duration has no type there"),
        (numpy.array([1j]), "complex number has no type"),
        (numpy.array([1], numpy.longdouble), "long double has no type"),
        (numpy.array([(1, 2)], "i4,i4"), "a record has no type"),
        (pandas.Series(["a", None]), "fill the missing values"),
        ([1, "a", None], "parameter x"),
        ([1, "a"], "texts beside int"),
        ([2**63 + 1, -1], "would round"),
        ([2**60 + 1, 0.5], "would round"),
        ([[1, 2], [3]], "parameter x: a list is no tensor"),
        ([["a"], ["b", "c"]], "parameter x"),
        (datetime(2020, 1, 1), "parameter x"),
        (object(), "objects of object"),
        (2**70, "parameter x"),
        (pandas.DataFrame({"a": [1], "b": ["x"]}), "send columns one by one"),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_no_type_holds_is_refused_with_the_reason(value: Any, says: str) -> None:
    with pytest.raises(WireError, match=says):
        infer(value, "parameter x")
