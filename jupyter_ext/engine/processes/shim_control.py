"""Commands to a shim: one datagram each, on a channel that carries nothing else."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Literal

from jupyter_ext.ipc.json_files import read_json


def send(run_dir: Path, op: Literal["stop", "stacks"]) -> bool:
    """Send a command to the run's shim; tell whether it is there to get it."""
    start = read_json(run_dir / "start.json")
    if start is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        try:
            channel.sendto(json.dumps({"op": op}).encode(), start["control"])
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
            return False
    return True
