"""What a session's code is given and gives in Decthings' tensors; and the stand-in for `decthings_model` beside its defects."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from jupyter_ext.ipc.decthings import codec as calls
from jupyter_ext.protocol.decthings.tensors import Media, Tensor, infer
from jupyter_ext.worker.decthings import stub as stand_in
from jupyter_ext.worker.decthings.executor import DataLoader, Outputs
from jupyter_ext.worker.session.runtime import arguments as session_arguments

BLOB = b"".join(infer(numpy.float32([n])).encode() for n in range(6))


def loader_of(blob: bytes) -> DataLoader:
    params = {"encoding": "decthings", "params": [{"name": "x"}]}
    return session_arguments.decode(params, [memoryview(blob)]).loaders()["x"]


def test_a_loader_gives_tensors_in_bytes_in_order_and_shuffled_with_others() -> None:
    loader = loader_of(BLOB)
    assert (loader.size(), loader.total_byte_size(), loader.remaining(), loader.has_next(7)) == (
        6,
        len(BLOB),
        6,
        False,
    )
    first = asyncio.run(loader.next(2))
    assert b"".join(first) == BLOB[: 2 * len(first[0])]
    assert (loader.position(), loader.remaining()) == (2, 4)
    loader.set_position(5)
    assert len(asyncio.run(loader.next(9))) == 1
    other = loader_of(BLOB)
    typed = stand_in.DataLoader(loader), stand_in.DataLoader(other)
    typed[0].shuffle_in_group([typed[1]])
    found = [[t.item() for t in asyncio.run(each.next(6))] for each in typed]
    assert found[0] == found[1]
    assert sorted(found[0]) == [0, 1, 2, 3, 4, 5]
    typed[0].shuffle()
    assert sorted(t.item() for t in asyncio.run(typed[0].next(6))) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(TypeError, match="list of DataLoaders"):
        typed[0].shuffle_in_group([loader])  # type: ignore[list-item]
    assert loader_of(b"").size() == 0


def test_plain_code_gets_a_value_or_all_of_them() -> None:
    def plain(*tensors: Tensor) -> Any:
        params = {"encoding": "decthings", "params": [{"name": "x"}]}
        blob = memoryview(b"".join(tensor.encode() for tensor in tensors))
        return session_arguments.decode(params, [blob]).keywords()["x"]

    assert plain(infer([1, 2])).tolist() == [1, 2]
    assert plain(infer("text")) == "text"
    assert [value.tolist() for value in plain(infer([1]), infer([2]))] == [[1], [2]]
    assert plain() == []
    assert plain(infer([1.0])).flags.writeable


@pytest.mark.parametrize(
    ("params", "blobs", "says"),
    [
        ([{"name": "x"}], [], "'x' has no data"),
        ([{"name": "x", "dataset": {"path": "/nowhere", "key": "k"}}], [], "'x': the dataset was deleted"),
        ([{"name": "x"}], [memoryview(b"\x63\x00")], "no type code"),
    ],
)
def test_parameters_that_are_not_there_are_named(params: Any, blobs: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        session_arguments.decode({"encoding": "decthings", "params": params}, blobs)


def test_media_reach_a_model_in_the_layout_that_its_tensors_know() -> None:
    for name, read in (("png", "png"), ("jpeg", "jpg"), ("webp", "webp")):
        raw = Tensor("image", [], [Media(name, b"x")]).encode("new")
        given = calls.as_model_reads(memoryview(raw))
        assert Tensor.decode(given)[0].item() == Media(read, b"x")
        assert (given == raw) == (name == "webp")


@pytest.mark.parametrize(
    ("value", "outputs"),
    [
        (numpy.float32(1), {"output": [1]}),
        ({"a": [1, 2], "b": "x"}, {"a": [[1, 2]], "b": ["x"]}),
        ([numpy.zeros(2), numpy.ones(2)], {"output": [[0, 0], [1, 1]]}),
        (Outputs(y=[infer(1).encode(), infer(2).encode()]), {"y": [1, 2]}),
        (Outputs(y=[]), {"y": []}),
    ],
)
def test_what_code_gives_becomes_outputs(value: Any, outputs: dict[str, list[Any]]) -> None:
    named, blobs = session_arguments.ENCODERS["decthings"](value)
    assert [one["name"] for one in named] == list(outputs)
    for blob, wanted in zip(blobs, outputs.values(), strict=True):
        assert [tensor.numpy().tolist() for tensor in Tensor.decode_many(blob)] == wanted


@pytest.mark.parametrize(
    "value",
    [Outputs(y=[b"\x01"]), Outputs(y=[infer(1).encode() * 2]), {"a": object()}, None],
    ids=["a torn tensor", "two in one", "an object", "nothing"],
)
def test_what_is_no_tensor_is_no_output(value: Any) -> None:
    with pytest.raises(calls.InvalidOutput, match="output"):
        session_arguments.ENCODERS["decthings"](value)


def test_a_metric_keeps_its_type() -> None:
    for tensor in (infer(numpy.float32(0.1)), infer(3), infer(True), infer("a"), infer(numpy.zeros((2, 0)))):
        value, type = calls.metric_value(tensor.encode())
        assert calls.encode_metric(value, type) == tensor.encode()
    assert calls.metric_value(0.5) == (0.5, None)
    assert Tensor.decode(calls.encode_metric(0.5, None))[0].type == "f64"
    odd = b"not a tensor"
    assert calls.metric_value(odd) == (odd, None)


def test_a_plain_state_goes_and_comes_as_tensors() -> None:
    state = {"w": numpy.float32([[1, 2]]), "raw": b"bytes", "n": 3}
    encoded = calls.encode_state(state)
    decoded = calls.decode_state(encoded)
    assert decoded["w"].tolist() == [[1, 2]]
    assert (decoded["raw"], int(decoded["n"])) == (b"bytes", 3)


def test_the_stand_ins_tensors_are_the_wires() -> None:
    tensor = stand_in.DecthingsTensor(numpy.float32([1, 2]), "f32", [numpy.int64(2)])
    assert (tensor.type(), tensor.shape(), tensor.serialized_byte_size()) == ("f32", [2], 11)
    assert tensor.serialize() == infer(numpy.float32([1, 2])).encode()
    many = stand_in.DecthingsTensor.deserialize_many(
        BLOB
    )  # the package's own fails with two tensors of numbers
    assert [each.item() for each in many] == [0, 1, 2, 3, 4, 5]
    binary = stand_in.DecthingsTensor([b"\0"], "binary", [1])  # and cannot make these
    assert stand_in.DecthingsTensor.deserialize(binary.serialize())[0].numpy().tolist() == [b"\0"]
    for kind, name in (
        (stand_in.DecthingsElementImage, "image"),
        (stand_in.DecthingsElementAudio, "audio"),
        (stand_in.DecthingsElementVideo, "video"),
    ):
        media = stand_in.DecthingsTensor([kind("png", b"x")], name, [1])
        back = stand_in.DecthingsTensor.deserialize(media.serialize())[0].item()
        assert (type(back), back.format(), back.data()) == (kind, "png", b"x")
    for arguments in (
        ([1], "f16", [1]),
        ([1, 2], "f32", [1]),
        (numpy.zeros(1), "f32", [1]),
        ([1], "f32", [-1]),
        (5, "f32", []),
    ):
        with pytest.raises((TypeError, ValueError)):
            stand_in.DecthingsTensor(*arguments)  # type: ignore[arg-type]


def test_the_stand_ins_model_speaks_bytes_and_disposes() -> None:
    told: list[Any] = []

    class Model:
        def train(self, options: Any) -> None:
            options.tracker.on_cancel(lambda: None)
            options.tracker.progress(0.5)
            options.tracker.metrics([("loss", stand_in.DecthingsTensor([1.0], "f32", []))])
            options.tracker.failed("no")

        async def evaluate(self, options: Any) -> Any:
            return [{"name": "y", "data": await options.params["x"].next(2)}]

        def dispose(self) -> None:
            told.append("disposed")

    executor = {"instantiateModel": lambda options: Model(), "createModelState": lambda options: None}
    made = stand_in.make_model(executor)
    assert stand_in.speaks_bytes(made)
    assert not stand_in.speaks_bytes(executor)
    assert not stand_in.speaks_bytes(Model())
    model = asyncio.run(made["instantiateModel"](SimpleNamespace(state={})))
    inner = SimpleNamespace(
        metrics=lambda metrics: told.append(metrics),
        progress=lambda value: told.append(value),
        on_cancel=lambda callback: told.append("on_cancel"),
        failed=lambda reason: told.append(reason),
    )
    model["train"](SimpleNamespace(params={}, tracker=inner))
    assert told == ["on_cancel", 0.5, [{"name": "loss", "value": infer(numpy.float32(1)).encode()}], "no"]
    output = asyncio.run(model["evaluate"](SimpleNamespace(params={"x": loader_of(BLOB)})))
    assert b"".join(output[0]["data"]) == BLOB[: 2 * len(output[0]["data"][0])]
    model["dispose"]()
    assert told[-1] == "disposed"
    with pytest.raises(ValueError, match='"getModelState" was missing'):
        model["getModelState"](SimpleNamespace())
