"""API clients train a notebook's version in that notebook's interpreter, and are told when it is gone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from integration_tools import EngineUnderTest, until

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations
from jupyter_ext.engine_process import discovery

CELL = """
import os, sys
import beside_the_notebook

def train():
    return [sys.prefix, beside_the_notebook.NAME, os.getcwd()]

def predict() -> str:
    return sys.prefix
"""


@pytest.fixture
def api() -> Iterator[Callable[..., Any]]:
    """Return a function that asks an engine of the test's own as an API client does."""
    here = EngineUnderTest(locations())
    discovery.ensure(where=here.where)
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(here.where.socket)), base_url="http://engine", timeout=30
    ) as http:

        def ask(method: str, path: str, body: Any = None) -> Any:
            answer = http.request(method, path, json=body)
            return answer.json() | {"http_status": answer.status_code}

        yield ask
    here.close()


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this process look like a notebook's: in a directory with a module of its own, in a virtual environment."""
    folder = tmp_path / "notebook"
    folder.mkdir()
    (folder / "beside_the_notebook.py").write_text("NAME = 'beside'\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    monkeypatch.chdir(folder)
    return folder


async def test_a_version_runs_where_it_was_made(
    api: Callable[..., Any], notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = notebook / "venv" / "bin" / "python"
    async with AsyncClient() as client:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(python))
            first = await client.create(capture_cell(CELL, {}, "made", {}), {})
        first = await client.wait(first.id, 60)
    assert first.output == [str(notebook / "venv"), "beside", str(notebook)], first.error
    create = f"/v1/models/{first.model}/versions/{first.version}/trainings"
    made = api("POST", create, {"input": {}})
    ended = until(
        lambda: (now := api("GET", f"/v1/trainings/{made['id']}"))["completed_at"] and now, "the end", 60
    )
    prefix, name, cwd = ended["output"] or pytest.fail(ended["error"])
    assert (prefix, name) == (str(notebook / "venv"), "beside")
    assert cwd == str(locations().runs_dir / made["id"] / "work")
    guess = api("POST", "/v1/predictions", {"version": first.version, "input": {}})
    ended = until(
        lambda: (now := api("GET", f"/v1/predictions/{guess['id']}"))["completed_at"] and now, "the end", 60
    )
    assert ended["output"] == str(notebook / "venv"), ended["error"]
    before = api("GET", "/v1/trainings")["results"]
    python.unlink()
    for path, body in ((create, {"input": {}}), ("/v1/predictions", {"version": first.version, "input": {}})):
        refused = api("POST", path, body)
        assert refused["http_status"] == 422
        assert f"was made with {python}, which is gone" in refused["detail"]
    assert len(api("GET", "/v1/trainings")["results"]) == len(before)


async def test_the_last_notebook_that_made_it_counts(api: Callable[..., Any], notebook: Path) -> None:
    bundle = capture_cell("def train():\n    return 1", {}, "again")
    async with AsyncClient() as client:
        for _ in range(2):
            ended = await client.wait((await client.create(bundle, {})).id, 60)
            assert ended.output == 1
        origin = locations().versions_dir / ended.version / "origin.json"
        assert json.loads(origin.read_text())["python"] == sys.executable
        assert "environ" not in json.loads(origin.read_text())
