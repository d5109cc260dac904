"""A training that a kernel of a Jupyter server has started and follows, when either, both or the engine are struck: it goes on."""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx
import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from jupyter_ext.client.requests.async_client import AsyncClient
from tests.faults.scenes.records import LOOP, Run, check_records
from tests.faults.victims import Find, Strikes, of_engine
from tests.faults.world import World

_numbers = count()
_CELL = """
import jupyter_ext as jx
{loop}
one = jx.train(train, acks={acks!r})
with open({told!r} + ".part", "w") as file:
    file.write(one.id)
import os
os.rename({told!r} + ".part", {told!r})
one.wait()
"""


class Notebook:
    """One Jupyter server, one kernel, one training."""

    name, weight = "notebook", 0.7

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Run a cell that trains and waits, strike, and check the training."""
        number = next(_numbers)
        acks, told = world.folder / f"cell-acks-{number}", world.folder / f"cell-id-{number}"
        server = Server(world.folder / f"jupyter-{number}", world)
        try:
            await server.run_cell(_CELL.format(loop=LOOP, acks=str(acks), told=str(told)))
            while not told.exists():
                await asyncio.sleep(0.02)
            run = Run(await client.get(told.read_text()), acks)
            victims = {**server.victims, "engine": of_engine(world.engine.where)["engine"]}
            for _ in range(chance.randint(1, 2)):
                await asyncio.sleep(chance.uniform(0.0, 0.3))
                await strikes.strike(victims, "race")
            run.engine_killed = "engine" in strikes.killed
            began = time.monotonic()
            run.training = await client.wait(run.training.id)
            world.report.recovered(time.monotonic() - began, self.name)
            await check_records(client, world.report, run)
            if "server" in strikes.killed and (kernel := server.victims["kernel"]()):
                # it notices within its poll that its server has gone
                await asyncio.to_thread(psutil.Process(kernel).wait, 15)
        finally:
            await asyncio.to_thread(server.close)


class Server:
    """A Jupyter server with one kernel.

    Args:
        home: For its directories.
        world: Whose engine its kernel uses.
    """

    def __init__(self, home: Path, world: World) -> None:
        home.mkdir()
        self._token, self._kernel = secrets.token_hex(8), None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        folders = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        environment = {**os.environ, **world.environment, **folders, "IPYTHONDIR": str(home / "ipython")}
        command = [
            *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--port={self._port}"),
            *(
                "--ServerApp.port_retries=0",
                f"--IdentityProvider.token={self._token}",
                f"--ServerApp.root_dir={home}",
            ),
        ]
        self._log = (home / "log").open("wb")
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env=environment, cwd=home
        )

    @property
    def victims(self) -> dict[str, Find]:
        """How it and its kernel are found."""
        return {
            "server": lambda: self._process.pid if self._process.poll() is None else None,
            "kernel": lambda: self._kernel if self._kernel and psutil.pid_exists(self._kernel) else None,
        }

    async def run_cell(self, code: str) -> None:
        """Start a kernel, and have it run a cell without waiting for its end."""
        headers = {"Authorization": f"token {self._token}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._port}", headers=headers, timeout=30
        ) as http:
            while True:
                with suppress(httpx.TransportError):
                    answer = await http.post("/api/kernels", json={"name": "python3"})
                    answer.raise_for_status()
                    break
                assert self._process.poll() is None, "the Jupyter server ended by itself"
                await asyncio.sleep(0.05)
        url = f"ws://127.0.0.1:{self._port}/api/kernels/{answer.json()['id']}/channels?token={self._token}"
        with suppress(WebSocketException):
            async with connect(url) as channels:
                await channels.send(_execute(code))
                async for message in channels:
                    if json.loads(message).get("msg_type") == "execute_input":
                        break
        self._kernel = next(
            child.pid
            for child in psutil.Process(self._process.pid).children()
            if "ipykernel" in " ".join(child.cmdline())
        )

    def close(self) -> None:
        """End it and its kernel."""
        for pid in (self.victims["kernel"](), self.victims["server"]()):
            if pid is not None:
                with suppress(psutil.NoSuchProcess):
                    psutil.Process(pid).kill()
        self._process.wait()
        self._log.close()


def _execute(code: str) -> str:
    header = {
        "msg_id": secrets.token_hex(8),
        "msg_type": "execute_request",
        "username": "",
        "session": "s",
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": False,
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return json.dumps(
        {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    )
