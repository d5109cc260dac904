"""A model host as its directory shows it: what it was started for, whether it lives, why it ended.

Rule: everything that must survive a killed engine is here, and nothing secret is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.processes import outcome as exit
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.json_files import read_json, write_json

MAX_CODE_BYTES = 64 << 20

_REASONS = {
    "keep_alive": "It was unloaded by itself, as nobody had called it for its keep-alive time.",
    "hung": "A canceled call did not come back from native code, so the model's process was ended.",
    "room": "It was unloaded to make room for another model.",
}


@dataclass(frozen=True)
class HostDirectory:
    """One host's directory."""

    path: Path

    @property
    def id(self) -> str:
        """The host's id."""
        return self.path.name

    def write_spec(self, spec: dict[str, Any], code: bytes | None) -> None:
        """Make the directory with what the host is started for.

        Raises:
            InvalidInput: The code is no bundle.
        """
        self.path.mkdir(parents=True, mode=0o700)
        if code is not None:
            _unpack(code, self.path / "code")
        write_json(self.path / "spec.json", spec)

    @property
    def spec(self) -> dict[str, Any]:
        """What it was started for; empty where that is not known."""
        return read_json(self.path / "spec.json") or {}

    @property
    def told(self) -> dict[str, Any] | None:
        """What the host has said of itself, or `None` while it is loading."""
        told: dict[str, Any] | None = read_json(self.path / "host.json")
        return told

    @property
    def worker_pid(self) -> int | None:
        """The pid of the process with the model, or `None` before there is one."""
        start = read_json(self.path / "start.json")
        return None if start is None else int(start["worker"]["pid"])

    def ended(self, now: float) -> str | None:
        """Tell why it ended in one line, or `None` while it lives.

        Args:
            now: Unix time, seconds.
        """
        if not (self.path / "spec.json").exists():
            return "Its directory is gone."
        outcome = exit.outcome(self.path, now)
        if outcome is None:
            return None
        reason = (read_json(self.path / "ended.json") or {}).get("reason")
        if reason is not None:
            return _REASONS.get(reason, "It was unloaded.")
        cause = outcome.cause
        if cause is None or cause.kind in ("canceled", "exit"):
            return "It was unloaded." if cause is None or cause.kind == "canceled" else cause.message
        return " ".join(
            filter(None, (cause.message.replace("the training ran", "it was loaded"), _hint(cause)))
        )

    def remove(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.path, ignore_errors=True)

    def last_log_line(self) -> str | None:
        """Give the last line that the host wrote, for somebody who wonders why it ended."""
        try:
            lines = (self.path / "logs.txt").read_text(errors="replace").splitlines()
        except OSError:
            return None
        return next((line.strip() for line in reversed(lines) if line.strip()), None)


def _hint(cause: Any) -> str | None:
    return "The next call loads it again." if cause.kind in ("signal", "lost") else None


def decode_code(text: Any) -> bytes | None:
    """Give the bytes of a bundle that came as base64.

    Raises:
        InvalidInput: It is none.
    """
    if text is None:
        return None
    try:
        data = base64.b64decode(str(text), validate=True)
    except binascii.Error:
        raise InvalidInput("factory must be a bundle of code in base64.") from None
    if len(data) > MAX_CODE_BYTES:
        raise InvalidInput(
            f"The factory's code takes {format_bytes(len(data))}, over {format_bytes(MAX_CODE_BYTES)}; "
            "it carries data along that belongs into the weights."
        )
    return data


def digest(code: bytes | None) -> str | None:
    """Identify code."""
    return None if code is None else hashlib.sha256(code).hexdigest()[:16]


def _unpack(code: bytes, directory: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(code)) as archive:
            if sum(member.file_size for member in archive.infolist()) > 2 * MAX_CODE_BYTES:
                raise InvalidInput("The factory's code is larger than it says.")
            archive.extractall(directory)  # zipfile keeps members inside of the directory
    except zipfile.BadZipFile:
        raise InvalidInput("factory is no bundle of code.") from None
