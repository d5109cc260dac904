"""Who is let in to a session's debugger: this user, and nobody who cannot be named."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import pytest

from jupyter_ext.worker.session.attach import bridge, peers
from jupyter_ext.worker.session.attach.endpoint import DebugEndpoint, PortRefused


def test_the_user_at_the_other_end_is_named() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        accepted, _ = server.accept()
        with accepted:
            assert peers.peer_uid(accepted) == peers.peer_uid(client) == os.getuid()
            assert peers.peer_uid(accepted, Path("/nowhere")) is None


def test_a_table_that_does_not_name_the_connection_is_nobody(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        accepted, _ = server.accept()
        with accepted:
            for text in ("", "head\n", "head\n 0: 00000000:0000 00000000:0000\n", "head\nnonsense\n"):
                (tmp_path / "net" / "tcp").write_text(text)
                assert peers.peer_uid(accepted, tmp_path) is None


def test_a_listener_closes_whoever_is_not_this_user(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([12345, None, os.getuid()])
    monkeypatch.setattr(peers, "peer_uid", lambda connection: next(answers))
    with peers.OwnListener(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        clients = [socket.create_connection(server.getsockname()) for _ in range(3)]
        accepted, _ = server.accept()
        accepted.sendall(b"x")
        assert [client.recv(1) for client in clients] == [b"", b"", b"x"]
        for each in (*clients, accepted):
            each.close()


async def test_a_port_is_refused_where_other_people_use_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "other_users", lambda: ["anna", "bert"])
    endpoint = DebugEndpoint(tmp_path, str(tmp_path / "x.dap"))
    with pytest.raises(PortRefused, match="anna, bert also use this machine"):
        await endpoint.open_port()
    await endpoint.open_port(force=True)
    assert endpoint.port is not None
    endpoint.close_port()
    assert endpoint.port is None


def test_other_people_are_those_with_processes(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "self").mkdir()
    assert peers.other_users(tmp_path) == []
    if os.getuid() == 0:
        os.chown(tmp_path / "1", 1234, 1234)
        assert peers.other_users(tmp_path) == ["user 1234"]


def test_the_bridge_leaves_out_what_only_a_port_could_answer() -> None:
    attach = {"command": "attach", "arguments": {"listen": {"port": 0}, "justMyCode": False}}
    assert bridge.attaching_here(attach)["arguments"] == {"justMyCode": False, "subProcess": False}
    assert bridge.without_ports({"event": "debugpySockets"}) is None
    assert bridge.without_ports({"event": "output"}) == {"event": "output"}
    body = b'{"seq": 1}'
    assert bridge.read(io.BytesIO(b"Content-Length: %d\r\n\r\n" % len(body) + body)) == {"seq": 1}
    assert bridge.read(io.BytesIO(b"")) is None
