"""Nobody but this user can be at the other end of a socket, and nothing of theirs is touched to find that out."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.engine_process.socket_transport import EngineTransport
from jupyter_ext.errors import EngineUnreachable
from jupyter_ext.ipc import private_sockets
from jupyter_ext.ipc.channel import AsyncConnection, ChannelClosed, Connection
from jupyter_ext.ipc.private_sockets import NotPrivate

NOBODY = 65534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can pose as another user")


@pytest.fixture
def private(tmp_path: Path) -> Path:
    directory = tmp_path / "private"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def listener(private: Path) -> Iterator[Path]:
    path = private / "engine.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


def damage(directory: Path, how: str) -> Path:
    """Return a directory that another user may have made, in one of several ways."""
    if how == "open to others":
        directory.chmod(0o755)
    elif how == "link":
        link = directory.with_name("link")
        link.symlink_to(directory)
        return link
    elif how == "belongs to uid":
        os.chown(directory, NOBODY, NOBODY)
    return directory


WAYS = ["open to others", "link", pytest.param("belongs to uid", marks=as_root)]


def test_a_socket_of_our_own_is_connected_to(listener: Path) -> None:
    private_sockets.connect(listener, 5.0).close()


@pytest.mark.parametrize("how", WAYS)
def test_nothing_is_sent_where_another_user_may_listen(listener: Path, how: str) -> None:
    path = damage(listener.parent, how) / listener.name
    with pytest.raises(NotPrivate, match=how):
        private_sockets.connect(path, 5.0)
    with pytest.raises(ChannelClosed):
        Connection(str(path))


@pytest.mark.parametrize("how", WAYS)
async def test_event_loops_and_http_check_it_too(listener: Path, how: str) -> None:
    path = damage(listener.parent, how) / listener.name
    with pytest.raises(ChannelClosed):
        await AsyncConnection.open(str(path))
    async with httpx.AsyncClient(transport=EngineTransport(str(path))) as client:
        with pytest.raises(httpx.ConnectError, match=how):
            await client.post("http://engine/v1/trainings", json={"secret": 1})


@as_root
def test_a_process_of_another_user_is_told_by_its_uid(tmp_path: Path) -> None:
    directory = Path(f"/tmp/jx-peer-{os.getpid()}")
    directory.mkdir()
    directory.chmod(0o777)
    path = directory / "s"
    ready_read, ready_write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(path))
            server.listen()
            os.write(ready_write, b"1")
            server.accept()
        finally:
            os._exit(0)
    try:
        os.read(ready_read, 1)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(path))
            with pytest.raises(NotPrivate, match=f"belongs to uid {NOBODY}"):
                private_sockets.check_peer(peer)
    finally:
        os.waitpid(child, 0)
        path.unlink()
        directory.rmdir()
        os.close(ready_read)
        os.close(ready_write)


def long_locations(tmp_path: Path) -> Locations:
    return Locations(tmp_path / "data", tmp_path / ("r" * 120))


def test_a_long_runtime_directory_gets_a_private_one_that_nobody_can_guess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    where = long_locations(tmp_path)
    guessable = where.socket_dir
    where.make()
    try:
        assert where.socket_dir != guessable
        assert where.socket_dir == long_locations(tmp_path).socket_dir
        assert stat.S_IMODE(where.socket_dir.stat().st_mode) == 0o700
        where.make()
        assert where.socket_dir.is_dir()
    finally:
        where.socket_dir.rmdir()


def test_the_users_own_runtime_directory_is_preferred(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short = Path(f"/tmp/jx-xdg-{os.getpid()}")
    short.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short))
    where = long_locations(private)
    where.make()
    try:
        assert where.socket_dir.parent == short
        monkeypatch.delenv("XDG_RUNTIME_DIR")
        assert where.socket_dir.parent == short  # noted, so that all clients look in one place
    finally:
        where.socket_dir.rmdir()
        short.rmdir()


def test_a_link_that_was_put_there_first_is_neither_used_nor_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    where = long_locations(tmp_path)
    victim = tmp_path / "documents"
    victim.mkdir(mode=0o755)
    guessable = where.socket_dir
    guessable.symlink_to(victim)
    try:
        with pytest.raises(EngineUnreachable, match="Nothing was sent"):
            discovery.find(where)
        where.make()
        assert where.socket_dir != guessable
        assert stat.S_IMODE(victim.stat().st_mode) == 0o755
        assert discovery.find(where) is None
    finally:
        guessable.unlink()
        where.socket_dir.rmdir()


def test_our_own_runtime_directory_is_tightened_and_a_link_is_refused(tmp_path: Path) -> None:
    where = Locations(tmp_path / "data", tmp_path / "run")
    where.runtime_dir.mkdir(mode=0o755)
    where.make()
    assert stat.S_IMODE(where.runtime_dir.stat().st_mode) == 0o700
    linked = Locations(tmp_path / "data", tmp_path / "linked")
    linked.runtime_dir.symlink_to(tmp_path)
    before = stat.S_IMODE(tmp_path.stat().st_mode)
    with pytest.raises(NotPrivate, match="link"):
        linked.make()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == before
