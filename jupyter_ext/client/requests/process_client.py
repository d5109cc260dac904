"""The one client of this process, which every handle uses."""

from __future__ import annotations

import os

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.background_loop import loop_thread

_clients: dict[int, AsyncClient] = {}


def client() -> AsyncClient:
    """Return this process's client; a forked child gets one of its own."""
    return _clients.setdefault(os.getpid(), AsyncClient())


def reset_client() -> None:
    """Close the client, so that the next call makes one for the engine that the environment names then."""
    own = _clients.pop(os.getpid(), None)
    if own is not None:
        loop_thread().run(own.aclose())
