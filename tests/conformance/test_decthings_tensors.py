"""What goes through a model and what is checked before it: tensors, media in both layouts, weights and their keys."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from conformance_tools import Opened
from decthings_tools import ECHO, LINEAR, evaluate, instantiated, post

from jupyter_ext.protocol.decthings.tensors import Media, Tensor, infer

pytestmark = pytest.mark.slow


def test_the_vocabulary_of_weights(opened: Opened, make_model: Any, launch: Any) -> None:
    session = launch(make_model(LINEAR))
    made, _ = post(opened.http, "Debug/callInitializeWeights", {**session, "params": []})
    assert made["weights"] == [{"key": "weights", "byteSize": 10}]
    assert "state" not in made
    both, _ = post(opened.http, "Debug/callCreateModelState", {**session, "params": []})
    assert (
        both["state"] == both["weights"] == made["weights"]
    )  # one client asks in one word and reads the other
    data = {"type": "dataId", "dataId": made["dataId"]}
    model, _ = post(opened.http, "Debug/callInstantiateModel", {**session, "weights": data})
    taken, _ = post(opened.http, "Debug/callGetWeights", {**session, **model})
    assert taken["weights"] == made["weights"]
    wanted = {**session, "dataId": taken["dataId"]}
    assert post(opened.http, "Debug/downloadWeightData", wanted) == (
        {"weightKeyNames": ["weights"]},
        [b"[0.0, 0.0]"],
    )
    assert post(opened.http, "Debug/downloadStateData", wanted) == (
        {"stateKeyNames": ["weights"]},
        [b"[0.0, 0.0]"],
    )
    none = {**session, "dataId": "none"}
    assert post(opened.http, "Debug/downloadWeightData", none)[0] == {"code": "weight_data_not_found"}
    assert post(opened.http, "Debug/downloadWeightData", {**wanted, "keys": ["z"]})[0] == {
        "code": "weight_key_not_found"
    }
    unknown = {**session, "weights": {"type": "dataId", "dataId": "none"}}
    assert post(opened.http, "Debug/callInstantiateModel", unknown)[0] == {"code": "weight_data_not_found"}


@pytest.mark.parametrize("place", ["in stateData", "beside it", "of weights", "nowhere"])
def test_key_names_may_stand_where_each_client_puts_them(
    opened: Opened, make_model: Any, launch: Any, place: str
) -> None:
    session = launch(make_model(LINEAR))
    post(opened.http, "Debug/callCreateModelState", {**session, "params": []})
    data: dict[str, Any] = {"type": "data"}
    params = {
        "in stateData": {"stateData": {**data, "stateKeyNames": ["weights"]}},
        "beside it": {"stateData": data, "stateKeyNames": ["weights"]},
        "of weights": {"weights": data, "weightKeyNames": ["weights"]},
        "nowhere": {"stateData": data},
    }[place]
    made, _ = post(opened.http, "Debug/callInstantiateModel", {**session, **params}, [b"[2.0, 3.0]"])
    _, blobs = post(
        opened.http,
        "Debug/callEvaluate",
        {**session, **made, "params": [{"name": "x"}]},
        [infer(numpy.float32([1, 1])).encode()],
    )
    assert Tensor.decode(blobs[0])[0].item() == 5


def test_every_type_goes_through_a_model_and_both_layouts_of_media(
    opened: Opened, make_model: Any, launch: Any
) -> None:
    model = instantiated(opened.http, launch(make_model(ECHO)))
    arrays = [
        numpy.arange(4).astype(dtype).reshape(2, 2)
        for dtype in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
    ]
    arrays += [numpy.float32([numpy.nan, -0.0, numpy.inf]), numpy.float32(1), numpy.empty((0, 3), "f8")]
    tensors = [infer(array) for array in arrays] + [infer("ä"), infer(b"\0\1"), infer(["a", ""])]
    found = evaluate(opened.http, model, *tensors)
    assert [tensor.encode() for tensor in found] == [tensor.encode() for tensor in tensors]
    for type in ("image", "audio", "video"):
        media = Tensor(type, [1], [Media("png", b"xy")])
        for layout in ("old", "new"):
            blob = media.encode(layout)
            _, blobs = post(opened.http, "Debug/callEvaluate", {**model, "params": [{"name": "x"}]}, [blob])
            assert blobs == [blob], "answered in the layout that it was asked in"
    many = evaluate(opened.http, model, *[infer(numpy.float32(n)) for n in range(3)])
    assert [tensor.item() for tensor in many] == [0, 1, 2]
    assert post(opened.http, "Debug/callEvaluate", {**model, "params": [{"name": "x", "data": None}]}, [b""])[
        1
    ] == [b""]
    large = infer(numpy.arange(5_000_000, dtype="f4"))
    assert evaluate(opened.http, model, large)[0].encode() == large.encode()


@pytest.mark.parametrize(
    ("params", "blobs", "name", "says"),
    [
        ([{"name": "x"}], [], "x", "has no data: the request carries 0 blobs"),
        ([{"name": "x"}], [b"", b""], "params", "1 more blobs than parameters with data"),
        ([{"name": "x"}, {"name": "x"}], [b"", b""], "x", "is there twice"),
        (
            [{"name": "x"}],
            [b"\x01\x01\x09abc"],
            "x",
            "is no list of tensors: A f32 tensor of shape [9] needs 36 bytes",
        ),
        ([{"name": "x"}], [b"\x63\x00"], "x", "Byte 0 is 99, which is no type code"),
        (
            [{"name": "x"}],
            [b"\x0b\x01\x02\x04\x7fa\x01b"],
            "x",
            "Element 0 of a string tensor says it is 127 bytes",
        ),
        ([{"name": "x"}], [b"\x0b\x01\x02\x05\x01a\x01bc"], "x", "its 2 elements end 1 bytes before that"),
        ([{"name": "x", "data": []}], [b""], "x", "has data of no known form"),
        ([{"name": "x", "data": {"type": "dataset"}}], [], "x", "needs a datasetId and a datasetKey"),
        (["x"], [], "params", "entry 0 must be an object with a name, not a text"),
        (None, [], "params", "is missing; it must be a list"),
    ],
)
def test_parameters_that_lie_never_reach_the_session(
    opened: Opened, make_model: Any, launch: Any, params: Any, blobs: list[bytes], name: str, says: str
) -> None:
    session = launch(make_model(ECHO))
    asked = {**session, "instantiatedModelId": "m", "params": params}
    error, _ = post(opened.http, "Debug/callEvaluate", asked, blobs)
    assert (error["code"], error["parameterName"]) == ("invalid_parameter", name)
    assert says in error["reason"]


def test_a_dataset_is_checked_against_what_the_function_takes(
    opened: Opened, make_model: Any, launch: Any
) -> None:
    keys = [
        {"name": "any", "rules": {"shape": [-1], "allowedTypes": []}},
        {"name": "fits", "rules": {"shape": [2], "allowedTypes": ["f32"]}},
    ]
    made, _ = post(opened.http, "Dataset/createDataset", {"name": "d", "description": "", "keys": keys})
    dataset = made["datasetId"]
    two, three = infer(numpy.ones(2, "f4")).encode(), infer(numpy.ones(3, "f4")).encode()
    for entry in (two, three):
        add = {"datasetId": dataset, "keys": ["any", "fits"]}
        assert "newDatasetVersionId" in post(opened.http, "Dataset/addEntries", add, [entry, two])[0]
    rules = {"shape": [2], "allowedTypes": ["f32"]}
    session = launch(make_model(ECHO, {"evaluateInput": [{"name": "x", "rules": rules}]}))
    state, _ = post(opened.http, "Debug/callCreateModelState", {**session, "params": []})
    data = {"type": "dataId", "dataId": state["dataId"]}
    model, _ = post(opened.http, "Debug/callInstantiateModel", {**session, "stateData": data})

    def evaluate(key: str) -> Any:
        where = {"type": "dataset", "datasetId": dataset, "datasetKey": key}
        return post(
            opened.http, "Debug/callEvaluate", {**session, **model, "params": [{"name": "x", "data": where}]}
        )[0]

    assert evaluate("any") == {
        "code": "invalid_parameter",
        "parameterName": "x",
        "reason": "has shape [3], but [2] is expected (tensor 1)",
    }
    assert evaluate("fits")["output"] == [{"name": "x"}]
    assert evaluate("none")["code"] == "dataset_key_not_found"


PICTURES = b"""
from jupyter_ext.ipc.decthings.tensors import Media, Tensor

class Pictures:
    def createModelState(self, options):
        options.state_provider.provide("k", b"1")
    def instantiateModel(self, options):
        return self
    def evaluate(self, options):
        images = [Tensor("image", [], [Media(name, b"data")]) for name in ("png", "jpeg")]
        return [{"name": "y", "data": [image.encode("new") for image in images]}]

model = Pictures()
"""


@pytest.mark.parametrize(
    ("client", "written", "layout", "formats"),
    [
        ("node", None, "new", ["png", "jpeg"]),
        ("node", "new", "new", ["png", "jpeg"]),
        ("node", "old", "old", ["png", "jpg"]),
        ("Python/3.11 aiohttp/3.9", None, "old", ["png", "jpg"]),
        ("python-requests/2.31", None, "old", ["png", "jpg"]),
        ("python-requests/2.31", "new", "new", ["png", "jpeg"]),
    ],
)
def test_pictures_come_in_the_layout_that_the_client_reads(
    opened: Opened,
    make_model: Any,
    launch: Any,
    client: str,
    written: Any,
    layout: Any,
    formats: list[str],
) -> None:
    session = launch(make_model(PICTURES))
    state, _ = post(opened.http, "Debug/callCreateModelState", {**session, "params": []})
    data = {"type": "dataId", "dataId": state["dataId"]}
    model, _ = post(opened.http, "Debug/callInstantiateModel", {**session, "stateData": data})
    sent = [] if written is None else [Tensor("image", [], [Media("png", b"x")]).encode(written)]
    asked = {**session, **model, "params": [{"name": "x"}][: len(sent)]}
    opened.http.headers["user-agent"] = client
    try:
        answer, blobs = post(opened.http, "Debug/callEvaluate", asked, sent)
    finally:
        del opened.http.headers["user-agent"]
    assert "output" in answer, answer
    expected = [Tensor("image", [], [Media(name, b"data")]).encode(layout) for name in formats]
    assert blobs == [b"".join(expected)]
