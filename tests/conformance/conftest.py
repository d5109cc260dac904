"""A running engine with an opened port, versions to train, and the official clients in environments of their own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance_tools import NUM_SEEDED, Opened, connect, seed_trainings
from decthings_tools import SPEC, post
from integration_tools import EngineUnderTest

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SCRIPT_TIMEOUT_S = 100


@pytest.fixture(scope="session")
def opened(conformance_engine_home: Any) -> Iterator[Opened]:
    """Return an engine with an opened port, for all tests of this folder."""
    engine = EngineUnderTest(Locations(conformance_engine_home.data_dir, conformance_engine_home.runtime_dir))
    seed_trainings(engine.where, NUM_SEEDED)
    discovery.ensure(where=engine.where)
    found = connect(engine)
    yield found
    found.http.close()
    engine.close()


def environment_of(name: str) -> Path:
    """Return the Python of a client's own environment, made once and kept while its pins stay."""
    pins = dict(
        line.split(": ", 1)
        for line in (HERE / "clients.txt").read_text().splitlines()
        if line and not line.startswith("#")
    )
    wanted = hashlib.sha256(f"{pins[name]} {sys.version}".encode()).hexdigest()
    directory = ROOT / ".cache" / "clients" / name
    mark = directory / "made-from"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        pip = [directory / "bin" / "pip", "--disable-pip-version-check", "install", "-q", *pins[name].split()]
        if subprocess.run(pip).returncode:
            pytest.skip(f"{pins[name]} cannot be installed here")
        mark.write_text(wanted)
    return directory / "bin" / "python"


@pytest.fixture(scope="session")
def client_python() -> Callable[[str], Path]:
    """Return a function that gives the Python of an official client's own environment."""
    return environment_of


@pytest.fixture(scope="session")
def run_script(opened: Opened) -> Callable[..., Any]:
    """Return a function that runs a script of `scripts/` with an official client and gives the JSON it printed last."""

    def run(client: str, script: str, *arguments: str, **environment: str) -> Any:
        base = opened.url if client == "replicate" else f"{opened.url}/v1"
        clean = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
        result = subprocess.run(
            [environment_of(client), "-W", "ignore", HERE / "scripts" / script, *arguments],
            env=clean
            | {"REPLICATE_API_TOKEN": opened.token, "REPLICATE_BASE_URL": base, "NO_PROXY": "127.0.0.1"}
            | environment,
            capture_output=True,
            text=True,
            timeout=SCRIPT_TIMEOUT_S,
        )
        assert result.returncode == 0, f"{script} failed:\n{result.stdout}\n{result.stderr}"
        return json.loads(result.stdout.strip().splitlines()[-1])

    return run


@pytest.fixture
def make_model(opened: Opened) -> Iterator[Callable[..., str]]:
    """Return a function that uploads a model's files and gives its id."""
    made: list[str] = []

    def make(main: bytes, definitions: Any = None, **files: bytes) -> str:
        data = main
        if files:
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for name, content in {"main.py": main, **files}.items():
                    archive.writestr(name, content)
            data = buffer.getvalue()
        options = {"type": "upload", "format": "python", "parameterDefinitions": definitions}
        params = {"name": "m", "description": "", "options": options}
        made.append(post(opened.http, "Model/createModel", params, [data])[0]["modelId"])
        return made[-1]

    yield make
    for model in made:
        post(opened.http, "Model/deleteModel", {"modelId": model})


@pytest.fixture
def launch(opened: Opened) -> Iterator[Callable[..., dict[str, str]]]:
    """Return a function that launches a session over HTTP and gives `{debugSessionId}`."""
    launched: list[Any] = []

    def go(model: str, **more: Any) -> Any:
        params = {"modelId": model, "executionLocation": SPEC, **more}
        launched.append(post(opened.http, "Debug/launchDebugSession", params)[0])
        return launched[-1]

    yield go
    for session in launched:
        post(opened.http, "Debug/terminateDebugSession", session)
