"""Debuggers on a session: an editor's over DAP, JupyterLab's over the kernel, a console, and NaN's own."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import websockets.sync.client
from dap_client import DapClient
from integration_tools import EngineUnderTest, until
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.session import Session
from session_tools import SessionUnderTest, launch

from jupyter_ext.ipc.channel import Connection
from jupyter_ext.worker.session.attach import bridge

STEPS = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)  # some beginnings have every unit of the first layer at zero
        self.first = torch.nn.Linear(3, 3)
        self.second = torch.nn.Linear(3, 1)

    def forward(self, x):
        return self.second(torch.relu(self.first(x)))

    def total(self, a, b):
        left = a + 1
        right = b + 2
        return left * right

    def fit(self, x, epochs=10):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        for epoch in range(epochs):
            optimizer.zero_grad()
            loss = self.loss(self(x), epoch)
            loss.backward()
            optimizer.step()

    def loss(self, y, epoch):
        scaled = torch.log(y - 1e6) if epoch == 3 else y
        return scaled.mean()

    def root(self, x):
        z = self.first(x) * 0
        out = torch.sqrt(z * z).sum()
        out.backward()

    def training_step(self, x):
        return self(x).pow(2).mean()
"""


@pytest.fixture(scope="module")
def session(engine: EngineUnderTest) -> Iterator[SessionUnderTest]:
    under_test = launch(engine.where, STEPS, "steps")
    yield under_test
    under_test.terminate()


@pytest.fixture(scope="module")
def model(session: SessionUnderTest) -> str:
    return str(session.call("instantiate")["model_id"])


def test_a_nan_stops_a_training_at_the_operation_that_made_it(session: SessionUnderTest, model: str) -> None:
    x = [[1.0, 2.0, 3.0]]
    import torch

    training = session.call("train", {"x": torch.tensor(x)}, model_id=model, anomaly=True)["training_id"]
    status = session.call("training_status", training_id=training, wait_s=60)
    assert status["state"] == "failed"
    told = status["fail"]
    assert told["message"].startswith("NaNFound: log made a NaN of float32[1, 1]"), told["message"]
    assert [frame["function"] for frame in told["exception"]["frames"]] == ["fit", "loss"]
    assert told["exception"]["frames"][-1]["source"].startswith("scaled = torch.log(y - 1e6)")
    assert session.call("value", expression="epoch", whole=True)["value"] == 3


def test_a_nan_of_the_backward_pass_names_the_line_of_the_forward_pass(
    session: SessionUnderTest, model: str
) -> None:
    import torch

    error = session.refused("call", {"x": torch.ones(1, 3)}, model_id=model, method="root", anomaly=True)
    line = 1 + STEPS.splitlines().index("        out = torch.sqrt(z * z).sum()") + 1
    where = f"Cell steps, line {line}: out = torch.sqrt(z * z).sum()"
    assert f"mul made a NaN in the backward pass of MulBackward0, {where}" in error["message"]


def test_one_step_by_hand_shows_activations_gradients_and_updates(
    session: SessionUnderTest, model: str
) -> None:
    import torch

    told = session.call("step", {"x": torch.ones(2, 3)}, model_id=model, histograms=True)
    assert told["ran_backward"]
    assert [one["module"] for one in told["activations"]] == ["first", "second"]
    assert told["activations"][0]["shape"] == [2, 3]
    rows = {row["name"]: row for row in told["parameters"]}
    assert rows["second.weight"]["grad"]["norm"] > 0
    assert sum(rows["first.weight"]["value"]["histogram"]["counts"]) == 9
    assert set(told["updates"].values().__iter__().__next__()) == {"norm", "ratio"}


def test_an_editor_stops_at_a_breakpoint_steps_and_sees_variables(
    session: SessionUnderTest, model: str
) -> None:
    told = session.call("attach")
    assert session.call("attach")["socket"] == told["socket"]
    assert told["port"] is None
    assert stat.S_IMODE(os.stat(told["socket"]).st_mode) == 0o600
    path = next(path for path, label in told["labels"].items() if label == "Cell steps")
    line = 1 + Path(path).read_text().splitlines().index("        left = a + 1")
    editor = DapClient(told["socket"])
    editor.request("initialize", clientID="test", adapterID="debugpy", pathFormat="path", linesStartAt1=True)
    attaching = editor.send("attach", justMyCode=False)
    editor.event("initialized")
    answer = editor.request("setBreakpoints", source={"path": path}, breakpoints=[{"line": line}])
    assert answer["breakpoints"][0]["verified"]
    editor.request("configurationDone")
    editor.response(attaching)
    results: list[Any] = []

    def call() -> None:
        with Connection(session.resource.calls) as other:
            params = {"model_id": model, "method": "total", "args": {"a": 4, "b": 5}}
            results.append(other.call("call", params, timeout_s=60)[0]["value"])

    caller = threading.Thread(target=call)
    caller.start()
    stopped = editor.event("stopped")
    assert stopped["reason"] == "breakpoint"
    assert session.call("status")["busy"]["op"] == "total"  # calls are answered while it stands
    assert _variables(editor, stopped["threadId"])["a"] == "4"
    editor.request("next", threadId=stopped["threadId"])
    stopped = editor.event("stopped")
    assert stopped["reason"] == "step"
    assert _variables(editor, stopped["threadId"])["left"] == "5"
    editor.request("continue", threadId=stopped["threadId"])
    caller.join(30)
    assert results == [35]
    editor.request("setBreakpoints", source={"path": path}, breakpoints=[])
    editor.request("disconnect", terminateDebuggee=False)
    editor.close()
    answer = session.call("call", {"a": 1, "b": 1}, model_id=model, method="total")
    assert answer["value"] == 6


def listening_ports(pids: set[int]) -> set[int]:
    """Return the ports of TCP that processes listen on."""
    found = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            found |= {
                one.laddr.port for one in psutil.Process(pid).net_connections("tcp") if one.status == "LISTEN"
            }
    return found


def processes_of(session: SessionUnderTest) -> set[int]:
    """Return the pids of debugpy's adapters of a session."""
    return {
        one.pid
        for one in psutil.process_iter(["cmdline"])
        if f"{session.id}.dap" in " ".join(one.info["cmdline"] or [])
    }


def test_a_port_is_open_only_where_one_was_asked_for_and_only_for_this_user(
    session: SessionUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every port of the session and of debugpy's adapter refuses others; the one for editors exists on demand."""
    session.call("attach")
    pid = session.now().pid
    assert pid is not None
    adapters = processes_of(session)
    before = listening_ports(
        {pid}
    )  # the kernel's pipe for output of subprocesses, which has a key of its own
    told = session.call("attach", port=True, force=True)
    assert listening_ports({pid}) - before == {told["port"]}
    until(lambda: any("A debugger's port is open" in one for one in session.now().notices), "the notice")
    editor = DapClient((told["host"], told["port"]))
    editor.request("initialize", clientID="test", adapterID="debugpy")
    editor.close()
    assert adapters, "debugpy's adapter runs"
    if os.getuid() == 0:
        for port in listening_ports({pid, *adapters}) - before:
            assert _heard_by_another_user(port) == b"", f"port {port} serves a stranger"


def _heard_by_another_user(port: int) -> bytes:
    """Connect as nobody, say hello in DAP, and give what comes back before the connection is closed."""
    script = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        'body = b\'{"seq": 1, "type": "request", "command": "initialize", "arguments": {}}\'\n'
        "try:\n"
        "    s = socket.socket()\n"
        "    s.settimeout(20)\n"
        f"    s.connect(('127.0.0.1', {port}))\n"
        "    s.sendall(b'Content-Length: %d\\r\\n\\r\\n' % len(body) + body)\n"
        "    sys.stdout.buffer.write(s.recv(1000))\n"
        "except ConnectionError:\n"
        "    pass\n"
    )
    return subprocess.run([sys.executable, "-I", "-c", script], stdout=subprocess.PIPE, check=True).stdout


def test_vs_codes_way_in_is_an_adapter_on_standard_input_and_output(session: SessionUnderTest) -> None:
    told = session.call("attach")
    adapter = subprocess.Popen(
        [sys.executable, "-I", told["adapter"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert adapter.stdin is not None
    assert adapter.stdout is not None

    def send(seq: int, command: str, arguments: Any) -> None:
        message = {"seq": seq, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        adapter.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)  # type: ignore[union-attr]
        adapter.stdin.flush()  # type: ignore[union-attr]

    send(1, "initialize", {"clientID": "vscode", "adapterID": "debugpy"})
    send(2, "attach", {"name": "net", "justMyCode": False, "listen": {"host": "127.0.0.1", "port": 0}})
    seen: list[str] = []
    while "initialized" not in seen:
        message = bridge.read(adapter.stdout)
        assert message is not None, seen
        assert message.get("success", True), message
        seen.append(str(message.get("event") or message.get("command")))
    assert "debugpySockets" not in seen
    send(3, "disconnect", {"terminateDebuggee": False})
    adapter.stdin.close()
    adapter.wait(30)
    adapter.stdout.close()


def _variables(editor: DapClient, thread: int) -> dict[str, str]:
    frame = editor.request("stackTrace", threadId=thread)["stackFrames"][0]
    scope = editor.request("scopes", frameId=frame["id"])["scopes"][0]
    found = editor.request("variables", variablesReference=scope["variablesReference"])["variables"]
    return {one["name"]: one["value"] for one in found}


def test_a_console_and_jupyterlabs_debugger_reach_the_kernel(engine: EngineUnderTest) -> None:
    session = launch(engine.where, STEPS, "steps")
    kernel = BlockingKernelClient(connection_file=session.resource.connection_file)
    kernel.load_connection_file()
    kernel.start_channels()
    try:
        kernel.wait_for_ready(timeout=60)
        texts: list[str] = []
        kernel.execute_interactive(
            "Net.__name__", timeout=30,
            output_hook=lambda message: texts.append(message["content"].get("data", {}).get("text/plain", "")),
        )  # fmt: skip
        assert "'Net'" in texts
        for number, (command, arguments) in enumerate(
            [("debugInfo", {}), ("initialize", {"clientID": "jupyterlab", "adapterID": ""}), ("attach", {})],
            1,
        ):
            content = {"type": "request", "seq": number, "command": command, "arguments": arguments}
            kernel.control_channel.send(kernel.session.msg("debug_request", content))
            reply = kernel.get_control_msg(timeout=60)["content"]
            assert reply["success"], reply
        assert "another debugger" in session.refused("attach")["message"]
        adapters = processes_of(session)
        assert adapters, "JupyterLab's debugger has an adapter of debugpy as well"
        if os.getuid() == 0:
            for port in listening_ports(adapters):
                assert _heard_by_another_user(port) == b"", f"port {port} serves a stranger"
    finally:
        kernel.stop_channels()
        session.terminate()


def test_a_jupyter_server_offers_the_session_as_an_external_kernel(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    session = launch(engine.where, STEPS, "steps")
    home = Path(session.resource.connection_file).parent
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = (
        "--no-browser", "--allow-root", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=token",
        f"--ServerApp.root_dir={tmp_path}", "--ServerApp.allow_external_kernels=True",
        f"--ServerApp.external_connection_dir={home}", "--ServerApp.jpserver_extensions={}",
    )  # fmt: skip
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    environment["JUPYTER_EXT_DATA_DIR"] = str(engine.where.data_dir)
    environment["JUPYTER_EXT_RUNTIME_DIR"] = str(engine.where.runtime_dir)
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options], env=environment, stdout=log, stderr=log
        )
    try:
        kernels = until(lambda: _asked(f"http://127.0.0.1:{port}/api/kernels"), "the session in the list", 60)
        (kernel,) = kernels
        address = f"ws://127.0.0.1:{port}/api/kernels/{kernel['id']}/channels?token=token"
        with websockets.sync.client.connect(address, max_size=None, proxy=None) as channels:
            request = Session().msg("execute_request", {"code": "Net.__name__", "silent": False})
            channels.send(json.dumps({**request, "channel": "shell", "buffers": []}, default=str))
            answer = until(lambda: _result(json.loads(channels.recv(timeout=30))), "the cell's result", 60)
        assert answer == "'Net'"
    finally:
        server.terminate()
        server.wait(30)
        session.terminate()


def _asked(url: str) -> Any:
    try:
        asked = urllib.request.Request(url, headers={"Authorization": "token token"})
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError):
        return None


def _result(message: dict[str, Any]) -> str | None:
    found: str | None = message["content"].get("data", {}).get("text/plain")
    return found if message["msg_type"] == "execute_result" else None
