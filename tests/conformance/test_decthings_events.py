"""What the official Python client cannot ask or hear of a session: events, ends, launchers, the debugger's tunnel."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import numpy
import pytest
from conformance_tools import Opened
from decthings_tools import ECHO, LINEAR, SPEC, Socket, instantiated, post
from integration_tools import until

from jupyter_ext.protocol.decthings.tensors import infer

pytestmark = pytest.mark.slow


def test_launch_over_the_websocket_is_a_subscription(opened: Opened, make_model: Any) -> None:
    model = make_model(LINEAR)
    with Socket(opened.url, opened.token) as socket:
        session = socket.call("Debug/launchDebugSession", {"modelId": model, "executionLocation": SPEC})
        assert socket.until("initialized").params == session
        training = instantiated(opened.http, session)
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
    model = instantiated(opened.http, session)
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
        instantiated(opened.http, session)
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
    instantiated(opened.http, session)
    assert post(opened.http, "Debug/terminateDebugSession", session)[0] == {}


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
    instantiated(opened.http, session)
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
        made = instantiated(opened.http, session)
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
