"""What the official Python client cannot ask or hear: events, the vocabulary of weights, the debugger's tunnel, media, launchers."""

from __future__ import annotations

import io
import json
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from conformance_tools import Opened
from decthings_tools import Socket, post
from integration_tools import until

from jupyter_ext.protocol.decthings.tensors import Media, Tensor, infer

pytestmark = pytest.mark.slow
SPEC = {"type": "temporaryLauncher", "spec": {"cpus": 1, "memoryMebibytes": 64}}
LINEAR = (Path(__file__).parent / "decthings_models" / "linear" / "main.py").read_bytes()
ECHO = b"""
import sys, time
from decthings_model import make_model

class Echo:
    def createModelState(self, options):
        options.state_provider.provide("k", b"1")
    def instantiateModel(self, options):
        return self
    async def evaluate(self, options):
        return [{"name": name, "data": await loader.next(loader.size())} for name, loader in options.params.items()]
    async def train(self, options):
        for name, loader in options.params.items():
            while loader.has_next():
                print((await loader.next())[0].numpy())
    def getModelState(self, options):
        raise RuntimeError("no state")

model = make_model(Echo())
"""


@pytest.fixture
def make_model(opened: Opened) -> Iterator[Callable[..., str]]:
    """Give a function that uploads a model's files and gives its id."""
    made: list[str] = []

    def make(main: bytes, definitions: Any = None, **files: bytes) -> str:
        data = main
        if files:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for name, content in {"main.py": main, **files}.items():
                    archive.writestr(name, content)
            data = buffer.getvalue()
        options = {"type": "upload", "format": "python", "parameterDefinitions": definitions}
        params = {"name": "m", "description": "", "options": options}
        made.append(post(opened.http, "Model/createModel", params, [data])[0]["modelId"])
        return made[-1]

    yield make
    for model in made:
        post(opened.http, "Model/deleteModel", {"modelId": model})


@pytest.fixture
def launch(opened: Opened) -> Iterator[Callable[..., dict[str, str]]]:
    """Give a function that launches a session over HTTP and gives `{debugSessionId}`."""
    launched: list[Any] = []

    def go(model: str, **more: Any) -> Any:
        params = {"modelId": model, "executionLocation": SPEC, **more}
        launched.append(post(opened.http, "Debug/launchDebugSession", params)[0])
        return launched[-1]

    yield go
    for session in launched:
        post(opened.http, "Debug/terminateDebugSession", session)


def instantiated(opened: Opened, session: Any) -> Any:
    """Create a state and a model of it."""
    state, _ = post(opened.http, "Debug/callCreateModelState", {**session, "params": []})
    data = {"type": "dataId", "dataId": state["dataId"]}
    made, _ = post(opened.http, "Debug/callInstantiateModel", {**session, "stateData": data})
    return {**session, **made}


def evaluate(opened: Opened, model: Any, *tensors: Tensor, layout: Any = "old") -> list[Tensor]:
    """Evaluate with one parameter."""
    blob = b"".join(tensor.encode(layout) for tensor in tensors)
    result, blobs = post(opened.http, "Debug/callEvaluate", {**model, "params": [{"name": "x"}]}, [blob])
    assert result == {"output": [{"name": "x"}]}, result
    return Tensor.decode_many(blobs[0])


def test_launch_over_the_websocket_is_a_subscription(opened: Opened, make_model: Any) -> None:
    model = make_model(LINEAR)
    with Socket(opened.url, opened.token) as socket:
        session = socket.call("Debug/launchDebugSession", {"modelId": model, "executionLocation": SPEC})
        assert socket.until("initialized").params == session
        training = instantiated(opened, session)
        xs = infer(numpy.float32([1, 2])).encode()
        blobs = [xs + xs, infer(numpy.float32(1)).encode() * 2]
        post(opened.http, "Debug/callTrain", {**training, "params": [{"name": "x"}, {"name": "y"}]}, blobs)
        assert bytes(socket.until("stderr").blobs[0]) == b"trained\n"
        post(opened.http, "Debug/terminateDebugSession", session)
        assert socket.until("exit").params == {**session, "reason": {"code": "terminated_on_request"}}
    printed = b"".join(bytes(event.blobs[0]) for event in socket.events if event.name == "stdout")
    assert printed == b"loading\nloaded\n"
    assert [event.name for event in socket.events].count("initialized") == 1
    assert {event.api for event in socket.events} == {"Debug"}


def test_what_nobody_has_heard_comes_before_the_answer_and_is_not_told_twice(
    opened: Opened, make_model: Any, launch: Any
) -> None:
    session = launch(make_model(LINEAR))
    model = instantiated(opened, session)
    with Socket(opened.url, opened.token) as first:
        assert first.call("Debug/subscribeToEvents", session) == {}
        assert "initialized" in [event.name for event in first.events]
        before = b"".join(bytes(event.blobs[0]) for event in first.events if event.name == "stdout")
        assert before == b"loading\nloaded\n"
        with Socket(opened.url, opened.token) as second:
            assert second.call("Debug/subscribeToEvents", session) == {}
            assert [event.name for event in second.events] == ["initialized"]
            post(
                opened.http,
                "Debug/callEvaluate",
                {**model, "params": [{"name": "x"}]},
                [infer(numpy.float32([1, 2])).encode()],
            )
            for socket in (first, second):
                assert bytes(socket.until("stdout").blobs[0]) == b"evaluated\n"
            assert second.call("Debug/unsubscribeFromEvents", session) == {}
            assert second.call("Debug/unsubscribeFromEvents", session) == {"code": "not_subscribed"}
            post(opened.http, "Debug/terminateDebugSession", session)
            assert first.until("exit").params["reason"] == {"code": "terminated_on_request"}
            assert second.call("Debug/unsubscribeFromEvents", session) == {"code": "not_subscribed"}
            assert "exit" not in [event.name for event in second.events]
    with Socket(opened.url, opened.token) as late:
        late_id = late.begin("Debug/subscribeToEvents", session)
        frames = [late.receive(), late.receive()]
        assert [getattr(frame, "id", None) for frame in frames] == [late_id, None], (
            "the exit follows the answer"
        )
        assert late.call("Debug/subscribeToEvents", {"debugSessionId": "none"}) == {
            "code": "debug_session_not_found"
        }
    assert post(opened.http, "Debug/unsubscribeFromEvents", session)[0] == {"code": "not_subscribed"}


def test_much_output_comes_whole_in_frames_of_a_mebibyte(
    opened: Opened, make_model: Any, launch: Any
) -> None:
    main = ECHO + b"\nsys.stdout.write('x' * 3_000_000 + chr(10)); sys.stdout.flush()\n"
    with Socket(opened.url, opened.token) as socket:
        params = {"modelId": make_model(main), "executionLocation": SPEC}
        session = socket.call("Debug/launchDebugSession", params)
        size = 0
        while size < 3_000_001:
            size += len(socket.until("stdout").blobs[0])
        post(opened.http, "Debug/terminateDebugSession", session)
        socket.until("exit")
    assert size == 3_000_001


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        ("raise ValueError('at start')", {"code": "exception"}),
        ("def (", {"code": "exception"}),
        ("import os; os._exit(3)", {"code": "code_terminated", "exitCode": 3, "oom": False}),
        ("import os; os.kill(os.getpid(), 11)", {"code": "code_terminated", "signal": "11", "oom": False}),
    ],
)
def test_why_a_session_ended(opened: Opened, make_model: Any, end: str, reason: Any) -> None:
    if end == "def (":
        model = make_model(ECHO, **{"other.py": b"def ("})
        main = ECHO + b"\nimport other\n"
        model = make_model(main, **{"other.py": b"def ("})
    else:
        model = make_model(ECHO + end.encode())
    with Socket(opened.url, opened.token) as socket:
        session = socket.call("Debug/launchDebugSession", {"modelId": model, "executionLocation": SPEC})
        told = socket.until("exit").params["reason"]
        assert {key: told[key] for key in reason} == reason
        if reason["code"] == "exception":
            assert ("at start" if "raise" in end else "SyntaxError") in told["exceptionDetails"]
        else:
            assert told == reason
    assert post(opened.http, "Debug/callCreateModelState", {**session, "params": []})[0] == {
        "code": "debug_session_terminated"
    }


def test_an_inactive_session_ends_and_a_launcher_ends_its_sessions(opened: Opened, make_model: Any) -> None:
    model = make_model(ECHO)
    made, _ = post(
        opened.http, "PersistentLauncher/createPersistentLauncher", {"name": "l", "spec": SPEC["spec"]}
    )
    with Socket(opened.url, opened.token) as socket:
        options = {"terminateAfterInactiveSeconds": 1}
        params = {"modelId": model, "executionLocation": SPEC, "options": options}
        socket.call("Debug/launchDebugSession", params)
        assert socket.until("exit").params["reason"] == {"code": "inactive_timeout"}
        location = {"type": "persistentLauncher", **made}
        session = socket.call("Debug/launchDebugSession", {"modelId": model, "executionLocation": location})
        instantiated(opened, session)
        listed, _ = post(opened.http, "PersistentLauncher/getPersistentLaunchers", {})
        launcher = listed["persistentLaunchers"][0]
        running = [{"id": session["debugSessionId"], "type": "debug"}]
        assert (launcher["name"], launcher["state"], launcher["running"]) == (
            "l",
            {"type": "active"},
            running,
        )
        info, _ = post(opened.http, "PersistentLauncher/getSysinfo", made)
        assert info["sysinfo"][0]["memory"] > 1
        shown, _ = post(opened.http, "Debug/getDebugSessions", {})
        assert {**location, "spec": SPEC["spec"]} in [
            one["executionLocation"] for one in shown["debugSessions"]
        ]
        post(opened.http, "PersistentLauncher/deletePersistentLauncher", made)
        assert socket.until("exit").params["reason"] == {"code": "launcher_terminated"}
    for method in ("getSysinfo", "deletePersistentLauncher"):
        told, _ = post(opened.http, f"PersistentLauncher/{method}", made)
        assert told == {"code": "persistent_launcher_not_found"}


def test_a_vanished_client_harms_nobody(opened: Opened, make_model: Any) -> None:
    with Socket(opened.url, opened.token) as socket:
        session = socket.call(
            "Debug/launchDebugSession", {"modelId": make_model(ECHO), "executionLocation": SPEC}
        )
        socket.socket.socket.close()
    instantiated(opened, session)
    assert post(opened.http, "Debug/terminateDebugSession", session)[0] == {}


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
    model = instantiated(opened, launch(make_model(ECHO)))
    arrays = [
        numpy.arange(4).astype(dtype).reshape(2, 2)
        for dtype in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")
    ]
    arrays += [numpy.float32([numpy.nan, -0.0, numpy.inf]), numpy.float32(1), numpy.empty((0, 3), "f8")]
    tensors = [infer(array) for array in arrays] + [infer("ä"), infer(b"\0\1"), infer(["a", ""])]
    found = evaluate(opened, model, *tensors)
    assert [tensor.encode() for tensor in found] == [tensor.encode() for tensor in tensors]
    for type in ("image", "audio", "video"):
        media = Tensor(type, [1], [Media("png", b"xy")])
        for layout in ("old", "new"):
            blob = media.encode(layout)
            _, blobs = post(opened.http, "Debug/callEvaluate", {**model, "params": [{"name": "x"}]}, [blob])
            assert blobs == [blob], "answered in the layout that it was asked in"
    many = evaluate(opened, model, *[infer(numpy.float32(n)) for n in range(3)])
    assert [tensor.item() for tensor in many] == [0, 1, 2]
    assert post(opened.http, "Debug/callEvaluate", {**model, "params": [{"name": "x", "data": None}]}, [b""])[
        1
    ] == [b""]
    large = infer(numpy.arange(5_000_000, dtype="f4"))
    assert evaluate(opened, model, large)[0].encode() == large.encode()


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


def test_a_model_that_cannot_be_launched_says_why(opened: Opened, make_model: Any, launch: Any) -> None:
    rust, _ = post(
        opened.http, "Model/createModel", {"name": "r", "options": {"type": "code", "language": "rust"}}
    )
    wanted = {"executionLocation": SPEC}
    assert post(opened.http, "Debug/launchDebugSession", {**rust, **wanted})[0] == {
        "code": "invalid_executor_type"
    }
    post(opened.http, "Model/deleteModel", rust)
    for content, code in ((b"\xff\xfe\x00", "invalid_executable"), (None, "read_executable_file_failed")):
        model = make_model(ECHO)
        main = opened.engine.where.debug_models_dir / model / "files" / "main.py"
        main.write_bytes(content) if content is not None else main.unlink()
        told, _ = post(opened.http, "Debug/launchDebugSession", {"modelId": model, **wanted})
        assert told == {"code": code}


def test_the_debuggers_bytes_go_through_the_tunnel(opened: Opened, make_model: Any) -> None:
    with Socket(opened.url, opened.token) as socket:
        model = make_model(ECHO)
        params = {"modelId": model, "executionLocation": SPEC}
        session = socket.call("Debug/launchDebugSession", params)
        arguments = {"adapterID": "test", "pathFormat": "path"}
        request = json.dumps(
            {"seq": 1, "type": "request", "command": "initialize", "arguments": arguments}
        ).encode()
        message = b"Content-Length: %d\r\n\r\n" % len(request) + request
        assert socket.call("Debug/sendToRemoteInspector", session, [message]) == {}
        told = b""
        while b'"command": "initialize"' not in told and b'"command":"initialize"' not in told:
            told += bytes(socket.until("remoteInspectorData").blobs[0])
        assert b"supportsConditionalBreakpoints" in told
        assert socket.call("Debug/sendToRemoteInspector", session, [])["code"] == "invalid_parameter"
        post(opened.http, "Debug/terminateDebugSession", session)
        socket.until("exit")
        closed = socket.call("Debug/launchDebugSession", {**params, "options": {"remoteInspector": False}})
        assert socket.call("Debug/sendToRemoteInspector", closed, [b"x"]) == {"code": "not_remote_inspector"}
        assert socket.call("Debug/sendToRemoteInspector", {"debugSessionId": "none"}, [b"x"]) == {
            "code": "debug_session_not_found"
        }
        post(opened.http, "Debug/terminateDebugSession", closed)


def test_models_dispose_is_called_at_the_end(opened: Opened, make_model: Any, launch: Any) -> None:
    model = make_model(LINEAR)
    session = launch(model)
    instantiated(opened, session)
    post(opened.http, "Debug/terminateDebugSession", session)
    disposed = opened.engine.where.debug_models_dir / model / "files" / "disposed"
    until(disposed.exists, "dispose()")


def test_the_real_package_is_used_where_it_is_installed(
    opened: Opened, make_model: Any, launch: Any, client_python: Any
) -> None:
    told = textwrap.dedent("""
        import decthings_model
        print(decthings_model.__file__, flush=True)
    """).encode()
    model = make_model(LINEAR + told)
    python = client_python("decthings")
    packages = next((python.parent.parent / "lib").glob("python3*/site-packages"))
    (opened.engine.where.debug_models_dir / model / "files" / "_modules").symlink_to(packages)
    with Socket(opened.url, opened.token) as socket:
        session = socket.call("Debug/launchDebugSession", {"modelId": model, "executionLocation": SPEC})
        socket.until("initialized")
        while b"_modules/decthings_model" not in b"".join(
            bytes(event.blobs[0]) for event in socket.events if event.name == "stdout"
        ):
            socket.until("stdout")
        made = instantiated(opened, session)
        xs = infer(numpy.float32([1, 2])).encode()
        blobs = [xs * 4, infer(numpy.float32(1)).encode() * 4]
        params = {**made, "params": [{"name": "x"}, {"name": "y"}]}
        training, _ = post(opened.http, "Debug/callTrain", params, blobs)
        asked = {**session, **training}
        ended = until(
            lambda: (
                (now := post(opened.http, "Debug/getTrainingStatus", asked)[0])["status"]["state"]
                != "running"
                and now
            ),
            "the training's end",
        )
        assert ended["status"]["state"] == "completed", ended
        assert ended["metrics"] == [{"name": "loss", "amount": 3}, {"name": "weights", "amount": 3}]
        post(opened.http, "Debug/terminateDebugSession", session)
