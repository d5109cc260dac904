"""Unix sockets that only this user can have bound, checked before the first byte is sent. Standard library only.

Rule: a client connects only below a real directory of its own, mode 0700, and sends nothing to a process of another user.
So nobody can pose as the engine, a session or a model's host, whoever was first to make a directory in `/tmp`.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
import tempfile
from pathlib import Path

_PEER = struct.Struct("3i")
_WHERE = "socket_dir"
"""A file of the runtime directory that names the directory of sockets where the runtime directory's path is too long."""


class NotPrivate(PermissionError):
    """A directory or socket that another user may have made; the text says which and why."""


def check_directory(directory: str | os.PathLike[str]) -> None:
    """Make sure that nobody else can put anything into a directory.

    Raises:
        NotPrivate: It is a link, belongs to somebody else, or is open to others.
        FileNotFoundError: There is none.
    """
    found = os.lstat(directory)
    shown = os.fspath(directory)
    if not stat.S_ISDIR(found.st_mode):
        raise NotPrivate(f"{shown} is no directory but a {'link' if stat.S_ISLNK(found.st_mode) else 'file'}")
    if found.st_uid != os.getuid():
        raise NotPrivate(f"{shown} belongs to uid {found.st_uid}, not to you (uid {os.getuid()})")
    if found.st_mode & 0o077:
        raise NotPrivate(f"{shown} is open to others (mode {stat.S_IMODE(found.st_mode):04o})")


def check_directory_of(path: str | os.PathLike[str]) -> None:
    """Make sure that only this user can have put a socket at a path; see `check_directory`."""
    check_directory(os.path.dirname(os.path.abspath(path)))


def make_directory(directory: Path) -> None:
    """Make a private directory, or tighten one that is our own.

    Raises:
        NotPrivate: It is a link, or belongs to somebody else.
        OSError: It cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid == os.getuid() and found.st_mode & 0o077 and not directory.is_symlink():
            os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)
    check_directory(directory)


def check_peer(peer: socket.socket) -> None:
    """Make sure that a connected socket's other end is a process of this user, where the system tells.

    Raises:
        NotPrivate: It is somebody else's.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return
    pid, uid, _ = _PEER.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    if uid != os.getuid():
        raise NotPrivate(f"what answers (pid {pid}) belongs to uid {uid}, not to you (uid {os.getuid()})")


def listen(path: str | os.PathLike[str], backlog: int = 256) -> socket.socket:
    """Return a listening socket that only this user may connect to; one that was at its place is replaced.

    Raises:
        OSError: It cannot be bound.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    previous = os.umask(0o177)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listener.bind(os.fspath(path))
        listener.listen(backlog)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(previous)
    return listener


def connect(path: str | os.PathLike[str], timeout_s: float | None = None) -> socket.socket:
    """Return a stream socket that is connected to a process of this user.

    Args:
        path: The socket.
        timeout_s: For the connection and for all that follows on it; `None` waits without end.

    Raises:
        NotPrivate: Another user may be at the other end; nothing was sent.
        OSError: Nobody listens there.
    """
    check_directory_of(path)
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        peer.settimeout(timeout_s)
        peer.connect(os.fspath(path))
        check_peer(peer)
    except BaseException:
        peer.close()
        raise
    return peer


def short_directory(runtime_dir: Path, name: str, *, make: bool = False) -> Path:
    """Return the directory of sockets of a runtime directory whose own path is too long for them.

    The one that was made is written down in the runtime directory, which nobody else can write. A new one is made below
    `$XDG_RUNTIME_DIR` where that is private, else in the directory for temporary files, under a name that nobody can guess.

    Args:
        runtime_dir: The runtime directory.
        name: Of the directory that versions up to 0.1 made in `/tmp`; one that is there and private is taken.
        make: Make a new one where there is none, and write it down.
    """
    noted = _noted(runtime_dir)
    old = Path("/tmp", name)
    for directory in (noted, old):
        if directory is not None and _is_private(directory):
            return directory
    if not make:
        return noted or old
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    below = base if base and len(os.fsencode(base)) <= 40 and _is_private(Path(base)) else "/tmp"
    made = Path(tempfile.mkdtemp(prefix=f"jupyter_ext-{os.getuid()}-", dir=below))
    temporary = runtime_dir / f"{_WHERE}.{os.getpid()}"
    temporary.write_text(str(made))
    os.replace(temporary, runtime_dir / _WHERE)
    return made


def _noted(runtime_dir: Path) -> Path | None:
    try:
        text = (runtime_dir / _WHERE).read_text()
    except (OSError, ValueError):
        return None
    return Path(text) if text.startswith("/") else None


def _is_private(directory: Path) -> bool:
    try:
        check_directory(directory)
    except OSError:
        return False
    return True
