"""A debug adapter on standard input and output that passes everything to a session's socket: how VS Code gets to it.

VS Code runs it itself (`debugAdapterPath`), with `bridge.py SOCKET`. It insists on `listen` in what it attaches with; that and
what only a port could answer is left out on the way.

Source: microsoft/vscode-python-debugger, src/extension/debugger/adapter/factory.ts; the Debug Adapter Protocol.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

_HEADER = b"content-length:"


def main(path: str) -> None:
    """Pass messages both ways until either side ends."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as session:
        session.connect(path)
        answers = threading.Thread(
            target=copy, args=(session.makefile("rb"), sys.stdout.buffer, without_ports), daemon=True
        )
        answers.start()
        copy(sys.stdin.buffer, session.makefile("wb"), attaching_here)


def copy(
    source: IO[bytes], target: IO[bytes], change: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> None:
    """Copy messages, changed on the way or left out."""
    while (message := read(source)) is not None:
        changed = change(message)
        if changed is None:
            continue
        body = json.dumps(changed).encode()
        target.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        target.flush()
    os._exit(0)  # the other direction may wait for ever


def read(source: IO[bytes]) -> dict[str, Any] | None:
    """Read a message; `None` at the end."""
    length = None
    while line := source.readline():
        if line.lower().startswith(_HEADER):
            length = int(line[len(_HEADER) :])
        elif not line.strip() and length is not None:
            message: dict[str, Any] = json.loads(source.read(length))
            return message
    return None


def attaching_here(message: dict[str, Any]) -> dict[str, Any]:
    """Have an attach request attach to the session, without its children: those are on no socket."""
    if message.get("command") == "attach":
        given = message.get("arguments") or {}
        kept = {
            name: value for name, value in given.items() if name not in ("listen", "processId", "connect")
        }
        return {**message, "arguments": {**kept, "subProcess": False}}
    return message


def without_ports(message: dict[str, Any]) -> dict[str, Any] | None:
    """Leave out the event that has an editor forward ports: there is none."""
    return None if message.get("event") == "debugpySockets" else message


if __name__ == "__main__":
    main(sys.argv[1])
