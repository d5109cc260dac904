"""What concerns all downloads: the rate that they share, and the files that cut ones have left."""

from __future__ import annotations

import re

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.models import DownloadState, PartialFile

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?(?:/s)?", re.IGNORECASE)
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_PATH = "/native/downloads"


class Partial:
    """A file of a model that is partly here; the next download of the model goes on from it."""

    def __init__(self, resource: PartialFile) -> None:
        self.info = resource

    def __repr__(self) -> str:
        """Say how much of which file is here."""
        file = self.info
        running = ", on its way" if file.is_running else ""
        return f"{file.model} {file.file}: {format_bytes(file.kept_bytes)} of {format_bytes(file.bytes)}{running}"

    def remove(self) -> None:
        """Delete what is here of it.

        Raises:
            UnknownId: It is gone already, or whole.
            RequestRefused: It is being downloaded; cancel that first.
        """
        _ask("DELETE", f"{_PATH}/partials/{self.info.key}")


def partials() -> list[Partial]:
    """List the files that are partly here, the latest first."""
    return [Partial(file) for file in _state("GET").partials]


def limit() -> float | None:
    """Return the rate that all downloads share, bytes a second; `None` is no limit."""
    return _state("GET").bytes_per_s


def set_limit(rate: float | str | None) -> float | None:
    """Limit the rate of all downloads together, also of those that run; stays until it is changed.

    Args:
        rate: Bytes a second, "20MB", "500 kB/s"; `None` or "off" for no limit.

    Returns:
        The limit in bytes a second.

    Raises:
        InvalidInput: It is no rate.
    """
    return _state("PATCH", {"bytes_per_s": bytes_per_s(rate)}).bytes_per_s


def bytes_per_s(rate: float | str | None) -> float | None:
    """Read a rate.

    Raises:
        InvalidInput: It is none.
    """
    if rate is None or (isinstance(rate, str) and rate.strip().lower() in ("off", "none")):
        return None
    found = None if isinstance(rate, bool) else _RATE.fullmatch(str(rate).strip())
    if found is None:
        raise InvalidInput(f"{rate!r} is no rate; give bytes a second, such as '20MB', or 'off'.")
    return float(found[1]) * _UNITS[found[2].lower()]


def _state(method: str, body: dict[str, object] | None = None) -> DownloadState:
    return DownloadState.model_validate(_ask(method, _PATH, body))


def _ask(method: str, path: str, body: dict[str, object] | None = None) -> object:
    options = {} if body is None else {"json": body}
    return loop_thread().run(client().transport.ask(method, path, **options))
