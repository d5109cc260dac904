"""What the official client does not show of itself: broken bodies, keys, the WebSocket's frames, large requests."""

from __future__ import annotations

from typing import Any

import httpx
import numpy
import pytest
from conformance_tools import Opened
from decthings_tools import Socket, post
from websockets.exceptions import ConnectionClosed

from jupyter_ext.protocol.decthings import framing
from jupyter_ext.protocol.decthings.framing import Reply
from jupyter_ext.protocol.decthings.tensors import Tensor, infer

KEYS = [{"name": "x", "rules": {"shape": [-1], "allowedTypes": ["f32"]}}]


@pytest.fixture
def dataset(opened: Opened) -> Any:
    made, _ = post(opened.http, "Dataset/createDataset", {"name": "raw", "description": "", "keys": KEYS})
    yield made["datasetId"]
    post(opened.http, "Dataset/deleteDataset", {"datasetId": made["datasetId"]})


def test_an_api_may_be_written_in_any_case(opened: Opened) -> None:
    for api in ("Dataset", "dataset", "DATASET"):
        assert post(opened.http, f"{api}/getDatasets", {})[0]["offset"] == 0


@pytest.mark.parametrize(
    "path",
    ["/v0/None/getDatasets", "/v0/Dataset/none", "/v0/Dataset/GetDatasets", "/v0//Dataset/getDatasets"],
)
def test_a_method_that_is_not_there_is_404(opened: Opened, path: str) -> None:
    assert opened.http.post(path, content=framing.encode_request({})).status_code == 404


@pytest.mark.parametrize("body", [b"", b"\x00\x09{}", b"\x01\x02{}", b"\x00\x02{]"])
def test_a_body_that_lies_is_400_and_says_why(opened: Opened, body: bytes) -> None:
    answer = opened.http.post("/v0/Dataset/getDatasets", content=body)
    assert answer.status_code == 400
    assert "bytes" in answer.text or "body is empty" in answer.text


@pytest.mark.parametrize("params", [None, [], "text", 3])
def test_parameters_that_are_no_object_are_an_error_of_the_call(opened: Opened, params: Any) -> None:
    assert post(opened.http, "Dataset/getDatasets", params)[0]["code"] == "invalid_parameter"


def test_a_wrong_key_is_an_error_of_the_call(opened: Opened) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        with httpx.Client(base_url=opened.url, trust_env=False, headers=headers) as client:
            assert post(client, "Dataset/getDatasets", {}) == ({"code": "bad_credentials"}, [])
            foreign = {"Origin": "http://evil.example"}
            body = framing.encode_request({})
            assert client.post("/v0/Dataset/getDatasets", content=body, headers=foreign).status_code == 403


def test_a_key_is_in_each_message_of_the_websocket(opened: Opened) -> None:
    for key in (None, "wrong"):
        with Socket(opened.url, key) as socket:
            assert socket.call("Dataset/getDatasets", {}) == {"code": "bad_credentials"}
    with Socket(opened.url, opened.token) as socket:
        assert socket.call("Dataset/getDatasets", {"limit": 1})["limit"] == 1


def test_answers_of_the_websocket_are_told_apart_by_id(opened: Opened, dataset: str) -> None:
    with Socket(opened.url, opened.token) as socket:
        wanted = {
            socket.begin("Dataset/getDatasets", {"limit": n, "filter": {"ids": [dataset]}}): n
            for n in range(1, 30)
        }
        for _ in range(len(wanted)):
            frame = socket.receive()
            assert isinstance(frame, Reply)
            assert frame.message.content["result"]["limit"] == wanted.pop(frame.id)
        assert wanted == {}
        assert socket.call("Dataset/none", {}) == {"code": "unknown"}
        socket.socket.send(b"\x00\x00")
        with pytest.raises(ConnectionClosed) as caught:
            socket.receive()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1002
        assert "2 bytes" in caught.value.rcvd.reason


def test_a_text_frame_is_read_like_a_binary_one(opened: Opened) -> None:
    with Socket(opened.url, opened.token) as socket:
        content = {"api": "Dataset", "method": "getDatasets", "apiKey": opened.token, "params": {}}
        frame = framing.encode_call(5, content)
        assert max(frame) < 128
        socket.socket.send(frame.decode())
        reply = socket.receive()
        assert isinstance(reply, Reply)
        assert (reply.id, "result" in reply.message.content) == (5, True)


def test_pings_are_answered(opened: Opened) -> None:
    with Socket(opened.url, opened.token) as socket:
        assert socket.socket.ping().wait(60)


@pytest.mark.parametrize("over", ["http", "websocket"])
def test_a_request_of_12_megabytes_passes(opened: Opened, dataset: str, over: str) -> None:
    large = infer(numpy.arange(3_000_000, dtype="f4")).encode()
    params = {"datasetId": dataset, "keys": ["x"]}
    if over == "http":
        assert "newDatasetVersionId" in post(opened.http, "Dataset/addEntries", params, [large])[0]
    else:
        with Socket(opened.url, opened.token) as socket:
            assert "newDatasetVersionId" in socket.call("Dataset/addEntries", params, [large])
    _, blobs = post(opened.http, "Dataset/getEntries", {"datasetId": dataset, "entries": [0]})
    assert blobs == [large]


def test_255_entries_a_request(opened: Opened, dataset: str) -> None:
    blobs = [infer(numpy.float32([n])).encode() for n in range(255)]
    post(opened.http, "Dataset/addEntries", {"datasetId": dataset, "keys": ["x"]}, blobs)
    post(opened.http, "Dataset/addEntries", {"datasetId": dataset, "keys": ["x"]}, blobs)
    wanted = {"datasetId": dataset, "entries": {"start": 0, "end": 600}}
    result, found = post(opened.http, "Dataset/getEntries", wanted)
    assert result["indexes"] == list(range(510))
    assert [Tensor.decode(blob)[0].items()[0] for blob in found] == [*range(255)] * 2
