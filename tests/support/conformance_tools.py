"""An engine with an opened loopback port, and the cells that official clients train in it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx
from integration_tools import EngineUnderTest

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.protocol.trainings import Training, Urls

DIGITS = """
import time
from jupyter_ext import Input
from pathlib import Path

def train(steps: int = Input(3, ge=1, le=100), data: Path = None, pause: float = 0.0, tag: str = "x") -> Path:
    for step in range(steps):
        print(f"step {step}", flush=True)
        time.sleep(pause)
    text = "" if data is None else Path(data).read_text()
    weights = Path(f"weights-{tag}.txt").resolve()
    weights.write_text(f"{steps} {text}")
    return weights

def predict(name: str, weights: Path) -> str:
    print("predicting")
    return f"{name}: {Path(weights).read_text()} ({Path(weights).name})"
"""

FAILS = """
def train(n: int = 1):
    raise ValueError("the data is bad")

def run(name: str) -> str:
    raise RuntimeError(f"no {name}")
"""

SLEEPS = """
import time

def train(seconds: float = 60.0):
    print("on", flush=True)
    time.sleep(seconds)
"""

BARS = """
import sys

def train(n: int = 4):
    for i in range(n + 1):
        done = 100 * i // n
        sys.stderr.write(f"\\rEpoch 1: {done:3d}%|{'#' * i}{' ' * (n - i)}| {i}/{n} [00:01<00:00, 3.2it/s]")
    sys.stderr.write("\\nend\\n")
    return {"version": "v3", "loss": 0.5}
"""


@dataclass
class Opened:
    """An engine's loopback port, and an HTTP client of it."""

    url: str
    token: str
    http: httpx.Client
    engine: EngineUnderTest

    def upload(self, name: str, text: str) -> str:
        """Upload a cell; give `owner/name:version`."""
        bundle = capture_cell(text, {}, name)
        answer = self.http.post("/native/versions", content=bundle.data)
        assert answer.status_code == 201, answer.text
        return f"{answer.json()['model']}:{answer.json()['id']}"

    def json(self, method: str, path: str, **options: Any) -> Any:
        """Ask something that must succeed."""
        answer = self.http.request(method, path, **options)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def make_model(self, name: str) -> str:
        """Make a model to train into, unless it is there."""
        self.http.post(
            "/v1/models", json={"owner": "me", "name": name, "visibility": "private", "hardware": "cpu"}
        )
        return f"me/{name}"


NUM_SEEDED = 205
SEEDED = "0" * 19 + "1"
"""The ids of seeded trainings begin so."""


def seed_trainings(where: Locations, number: int) -> None:
    """Leave finished trainings of the same instant, three at a time, for an engine that starts later."""
    where.make()
    for n in range(number):
        id = f"{SEEDED}{n:06}"
        at = f"2020-01-01T00:00:{n // 3 % 60:02}.{n // 180:06}Z"
        training = Training(
            id=id,
            model="local/seeded",
            version="0" * 64,
            status="succeeded",
            created_at=at,
            completed_at=at,
            urls=Urls(get=f"/v1/trainings/{id}", cancel=f"/v1/trainings/{id}/cancel"),
            name="seeded",
        )
        run_dir = where.runs_dir / id
        run_dir.mkdir()
        write_json(run_dir / "training.json", training.model_dump(mode="json"))
        write_json(run_dir / "spec.json", {"id": id})


def open_port(engine: EngineUnderTest) -> tuple[str, str]:
    """Open the engine's loopback port; give URL and token."""

    async def listen() -> tuple[str, str]:
        async with AsyncClient(engine.where) as client:
            opened = await client.listen()
            return opened.url, opened.token.get_secret_value()

    return asyncio.run(listen())


def connect(engine: EngineUnderTest) -> Opened:
    """Open the engine's port and talk to it."""
    url, token = open_port(engine)
    http = httpx.Client(
        base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, timeout=30.0
    )
    return Opened(url, token, http, engine)
