"""An engine that listens as Pieces OS does, and a hub on this machine for it to fetch from."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from conformance_tools import open_port
from hub_server import HubServer
from integration_tools import EngineUnderTest
from model_tools import minilm

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery

MODEL = "hub:acme/minilm"
SLOW_BYTES_PER_S = 6e6


@dataclass
class PiecesEngine:
    """An engine with both of its ports open, and the hub that it fetches from."""

    engine: EngineUnderTest
    hub: HubServer
    url: str
    token: str
    open_url: str

    def http(self) -> httpx.Client:
        """Talk to the port with the token, as Pieces' clients carry it."""
        return httpx.Client(
            base_url=self.url, headers={"X-Application-ID": self.token}, trust_env=False, timeout=60
        )

    def open_http(self) -> httpx.Client:
        """Talk to the port without a token."""
        return httpx.Client(base_url=self.open_url, trust_env=False, timeout=60)


@contextmanager
def pieces_engine() -> Iterator[PiecesEngine]:
    """Start one in directories of its own, whose own variables say where the hub is."""
    home = Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp"))
    where = Locations(home / "data", home / "run")
    where.make()
    with HubServer() as hub:
        hub.publish("acme/minilm", minilm())
        environ = {"HF_ENDPOINT": hub.url, "HF_HOME": str(home / "hf"), "HOME": str(home)}
        before = {name: os.environ.get(name) for name in environ}
        os.environ.update(environ)
        engine = EngineUnderTest(where)
        try:
            discovery.ensure(where=where)
            url, token = open_port(engine)
            found = discovery.find(where)
            assert found is not None
            status, opened = discovery.request(
                found.socket_path, "POST", "/native/engine/listen", {"pieces": True}
            )
            assert status == 200, opened
            yield PiecesEngine(engine, hub, url, token, opened["url"])
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
            engine.close()
            shutil.rmtree(home, ignore_errors=True)
