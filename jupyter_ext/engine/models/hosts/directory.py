"""A model host as its directory shows it: what it was started for, whether it lives, why it ended.

Rule: everything that must survive a killed engine is here, and nothing secret is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import shutil
import signal
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.common.archives import check_size, reading_archive
from jupyter_ext.engine.processes.shim_process import ShimProcess, ended_by
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.json_files import read_json, write_json
from jupyter_ext.ipc.run_files import ExitFile
from jupyter_ext.worker.model_host.messages import FailedReport, HostSpec, ReadyReport

MAX_CODE_BYTES = 64 << 20

_REASONS = {
    "keep_alive": "It was unloaded by itself, as nobody had called it for its keep-alive time.",
    "hung": "A canceled call did not come back from native code, so the model's process was ended.",
    "room": "It was unloaded to make room for another model.",
}
_LOST = {
    "not_started": "The model's process was never started: the engine ended before it could be.",
    "called_off": "It was unloaded before it was loaded.",
    "killed_at_start": "The process that guards this model (pid {pid}) was killed from outside before it was loaded.",
    "killed": "The process that guards this model (pid {pid}) was killed from outside, and the model with it.",
    "restarted": "This machine was restarted while the model was loaded.",
}
_LOADED_AGAIN = "The next call loads it again."


@dataclass(frozen=True)
class HostDirectory:
    """One host's directory."""

    path: Path

    @cached_property
    def process(self) -> ShimProcess:
        """Its process under a shim."""
        return ShimProcess(self.path)

    @property
    def id(self) -> str:
        """The host's id."""
        return self.path.name

    def write_spec(self, spec: HostSpec, code: bytes | None) -> None:
        """Make the directory with what the host is started for.

        Raises:
            InvalidInput: The code is no bundle.
        """
        self.path.mkdir(parents=True, mode=0o700)
        if code is not None:
            _unpack(code, self.path / "code")
        write_json(self.path / "spec.json", spec)

    @property
    def spec(self) -> HostSpec | None:
        """What it was started for, or `None` where that is not known."""
        spec: HostSpec | None = read_json(self.path / "spec.json")
        return spec if isinstance(spec, dict) and isinstance(spec.get("model_id"), str) else None

    @property
    def report(self) -> ReadyReport | FailedReport | None:
        """What the host has said of itself, or `None` while it is loading."""
        report: ReadyReport | FailedReport | None = read_json(self.path / "host.json")
        return report if isinstance(report, dict) else None

    @property
    def worker_pid(self) -> int | None:
        """The pid of the process with the model, or `None` before there is one."""
        start = run_files.read_start(self.path)
        return None if start is None else start["worker"]["pid"]

    def ended(self) -> str | None:
        """Return why it ended in one line, or `None` while it lives."""
        if not (self.path / "spec.json").exists():
            return "Its directory is gone."
        end = self.process.end()
        if end is None:
            return None
        reason = (read_json(self.path / "ended.json") or {}).get("reason")
        if reason is not None:
            return _REASONS.get(reason, "It was unloaded.")
        if (lost := end.get("lost")) is not None:
            return f"{_LOST[lost['reason']].format(pid=lost['pid'])} {_LOADED_AGAIN}"
        if end["stop"] is not None:
            return "It was unloaded."
        return _by_itself(self.path, end)

    def remove(self) -> None:
        """Remove the directory."""
        shutil.rmtree(self.path, ignore_errors=True)

    def last_log_line(self) -> str | None:
        """Return the last line that the host wrote, for somebody who wonders why it ended."""
        try:
            lines = (self.path / "logs.txt").read_text(errors="replace").splitlines()
        except OSError:
            return None
        return next((line.strip() for line in reversed(lines) if line.strip()), None)


def _by_itself(path: Path, end: ExitFile) -> str:
    """Return why a host ended that nobody stopped."""
    if (error := run_files.read_error(path)) is not None:
        return error["message"]
    number = end["signal"]
    if number is None:
        return f"A call ended its process with exit code {end['code']}."
    peak = f"Its peak memory was {format_bytes(end.get('max_rss_bytes', 0))}."
    if end.get("oom_killed"):
        what = "The system's out-of-memory killer ended the model's process (signal 9, SIGKILL)."
    elif number == signal.SIGKILL:
        what = "The model's process was killed by signal 9 (SIGKILL), from outside of it."
    else:
        what = f"The model's process {ended_by(number)}."
    return f"{what} {peak} {_LOADED_AGAIN}"


def decode_code(text: str | None) -> bytes | None:
    """Return the bytes of a bundle that came as base64.

    Raises:
        InvalidInput: It is none.
    """
    if text is None:
        return None
    try:
        data = base64.b64decode(text, validate=True)
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
    with reading_archive(_bad_code), zipfile.ZipFile(io.BytesIO(code)) as archive:
        check_size(archive, 2 * MAX_CODE_BYTES, _bad_code)
        archive.extractall(directory)  # zipfile keeps members inside of the directory


def _bad_code(reason: str) -> InvalidInput:
    return InvalidInput(f"factory is no bundle of code: {reason}.")
