"""The engine itself: one of it, found or started, replaced, ended; and who may ask."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from integration_tools import EngineUnderTest, finish, start, until

from jupyter_ext.client.engine import control
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations, locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineStartError, EngineUnreachable, ProtocolMismatch, RequestRefused

ENSURE = "from jupyter_ext.engine_process import discovery; print(discovery.ensure().info['pid'])"


@pytest.fixture
def own_engine() -> Any:
    """Return an engine of this test's own."""
    under_test = EngineUnderTest(locations())
    yield under_test
    under_test.close()


def run_engine_as(patch: str) -> subprocess.Popen[bytes]:
    """Start a real engine that says it is another release."""
    code = f"{patch}; from jupyter_ext.engine.__main__ import main; raise SystemExit(main())"
    process = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    until(lambda: discovery.find() is not None, "the engine")
    return process


def test_eight_kernels_at_once_get_one_engine(own_engine: EngineUnderTest) -> None:
    racers = [subprocess.Popen([sys.executable, "-c", ENSURE], stdout=subprocess.PIPE) for _ in range(8)]
    pids = {racer.communicate(timeout=60)[0].strip() for racer in racers}
    assert [racer.returncode for racer in racers] == [0] * 8
    assert pids == {str(own_engine.pid()).encode()}


def test_a_stale_socket_and_connection_file_are_no_obstacle(own_engine: EngineUnderTest) -> None:
    where = own_engine.where
    where.make()
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(where.socket))
    where.engine_file.write_text(json.dumps({"pid": 1}))
    assert discovery.find(where) is None
    assert own_engine.pid() > 1


def test_a_second_engine_says_so_and_leaves(own_engine: EngineUnderTest) -> None:
    pid = own_engine.pid()
    second = subprocess.run(
        [sys.executable, "-m", "jupyter_ext.engine"], capture_output=True, text=True, timeout=30
    )
    assert second.returncode == 3
    assert "an engine already holds" in second.stderr
    assert "Traceback" not in second.stderr
    assert own_engine.pid() == pid


def test_an_engine_that_cannot_start_says_why_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(tmp_path / "file" / "run"))
    with pytest.raises(EngineStartError, match=r"file/run.*JUPYTER_EXT_RUNTIME_DIR") as caught:
        discovery.ensure()
    assert "\n" not in str(caught.value)


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_EXT_IDLE_S", "soon")
    with pytest.raises(EngineStartError, match="JUPYTER_EXT_IDLE_S is 'soon'"):
        discovery.ensure()


def test_a_catalog_held_by_a_second_writer_is_named(
    own_engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_engine.pid()
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(own_engine.where.runtime_dir) + "2")
    with pytest.raises(EngineStartError, match=r"catalog\.sqlite") as caught:
        discovery.ensure()
    assert "\n" not in str(caught.value)


def test_somebody_elses_socket_is_not_mistaken_for_the_engine(own_engine: EngineUnderTest) -> None:
    own_engine.where.make()
    code = (
        "import http.server, socketserver, sys\n"
        "class S(socketserver.UnixStreamServer):\n    def get_request(self): return self.socket.accept()[0], ('x', 0)\n"
        "S(sys.argv[1], http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
    path = str(own_engine.where.socket)
    other = subprocess.Popen([sys.executable, "-c", code, path], stderr=subprocess.DEVNULL, cwd="/tmp")
    try:
        until(lambda: os.path.exists(path), "the other server")
        with pytest.raises(EngineUnreachable, match="is not a jupyter-ext engine"):
            until(lambda: discovery.find(), "an answer")
    finally:
        other.kill()
        other.wait()


async def test_a_newer_release_replaces_an_older_engine_and_its_training_goes_on(
    own_engine: EngineUnderTest,
) -> None:
    older = run_engine_as("import jupyter_ext; jupyter_ext.__version__ = '0.0.9'")
    async with AsyncClient(own_engine.where) as client:
        text = "import time\ndef train():\n    time.sleep(3)\n    return 'done'"
        training = await start(client, text)
        own_engine.pids(training)
        info = discovery.ensure().info
        assert info["pid"] != older.pid
        assert older.wait(timeout=60) == 0
        assert (await client.wait(training.id, 30)).output == "done"


def test_an_engine_with_a_newer_protocol_is_left_alone(own_engine: EngineUnderTest) -> None:
    newer = run_engine_as("from jupyter_ext import config; config.PROTOCOL_VERSION = 99")
    try:
        with pytest.raises(ProtocolMismatch, match=r"protocol 99.*pip install -U jupyter-ext") as caught:
            discovery.ensure()
        assert "\n" not in str(caught.value)
        assert newer.poll() is None
    finally:
        newer.terminate()
        newer.wait(timeout=60)


def test_an_idle_engine_ends_by_itself(own_engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_EXT_IDLE_S", "1")
    own_engine.pid()
    until(lambda: not discovery.is_running(own_engine.where), "the engine's end")
    assert not own_engine.where.socket.exists()
    assert not own_engine.where.engine_file.exists()


@pytest.mark.parametrize("as_pieces", [False, True])
async def test_an_engine_that_other_programs_may_ask_stays(
    own_engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, as_pieces: bool
) -> None:
    monkeypatch.setenv("JUPYTER_EXT_IDLE_S", "1")
    monkeypatch.setenv("JUPYTER_EXT_PIECES", str(int(as_pieces)))
    async with AsyncClient(own_engine.where) as client:
        if as_pieces:
            url = (await client.engine()).listening_as_pieces
            assert url is not None
            assert url.startswith("http://127.0.0.1:393")
        else:
            await client.listen()
    pid = own_engine.pid()
    monkeypatch.setenv("JUPYTER_EXT_PIECES", "0")
    without_port = EngineUnderTest(Locations(tmp_path / "data", own_engine.where.runtime_dir / "other"))
    discovery.ensure(where=without_port.where)
    until(lambda: not discovery.is_running(without_port.where), "the end of one that began to be idle later")
    assert psutil.pid_exists(pid)
    assert discovery.find(own_engine.where).info["pid"] == pid  # type: ignore[union-attr]


def set_idle(engine: EngineUnderTest, idle_s: object, status: int = 200) -> Any:
    path = str(engine.where.socket)
    got, body = discovery.request(path, "PATCH", "/native/engine", {"idle_s": idle_s})
    assert got == status, body
    return body


async def test_an_engine_with_work_does_not_end(
    own_engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_EXT_IDLE_S", "1")
    async with AsyncClient(own_engine.where) as client:
        pid = own_engine.pid()
        training = await start(client, "import time\ndef train():\n    time.sleep(4)")
        with pytest.raises(RequestRefused, match="1 training"):
            control.stop()
        until(lambda: (own_engine.run_dir(training) / "exit.json").exists(), "the run's end")
        assert discovery.find(own_engine.where).info["pid"] == pid  # type: ignore[union-attr]


def test_restart_and_doctor_and_log(own_engine: EngineUnderTest) -> None:
    first = own_engine.pid()
    before_s = control.restart().idle_s
    assert own_engine.pid() != first
    assert set_idle(own_engine, 1234)["idle_s"] == 1234
    assert control.restart().idle_s == 1234, "what was set holds for the next engine too"
    assert "such as 600" in set_idle(own_engine, "long", 422)["detail"]
    assert set_idle(own_engine, None)["idle_s"] == before_s
    lines = control.doctor()
    assert all(line.startswith(("ok  ", "!!  ")) for line in lines)
    assert any("engine 0" in line for line in lines)
    assert "ready on" in control.log_tail(50)
    assert control.stop(force=True) == "The engine ended."
    assert control.stop() == "No engine runs."


async def test_the_opened_port_needs_the_token(own_engine: EngineUnderTest) -> None:
    async with AsyncClient(own_engine.where) as client, httpx.AsyncClient(trust_env=False) as other:
        opened = await client.listen()
        assert "SecretStr" in repr(opened)
        assert opened.token.get_secret_value() not in repr(opened)
        assert own_engine.where.token_file.read_text() == opened.token.get_secret_value()
        assert own_engine.where.token_file.stat().st_mode & 0o077 == 0
        assert (await client.listen()).url == opened.url
        url = f"{opened.url}/v1/trainings"
        good = {"Authorization": f"Bearer {opened.token.get_secret_value()}"}
        assert (await other.get(url, headers=good)).status_code == 200
        assert (
            await other.get(url, headers={"Authorization": good["Authorization"].replace("Bearer", "Token")})
        ).is_success
        for headers, status in (
            ({}, 401),
            ({"Authorization": "Bearer wrong"}, 401),
            (good | {"Host": "evil.example"}, 403),
            (good | {"Origin": "http://evil.example"}, 403),
        ):
            refused = await other.get(url, headers=headers)
            assert refused.status_code == status
            assert refused.headers["content-type"] == "application/problem+json"
        assert opened.token.get_secret_value() not in control.log_tail(1000)


async def test_a_port_that_is_taken_is_named(own_engine: EngineUnderTest) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with AsyncClient(own_engine.where) as client:
            with pytest.raises(RequestRefused, match=f"Port {port} cannot be opened"):
                await client.listen(port)


async def test_every_refusal_has_the_same_shape(own_engine: EngineUnderTest) -> None:
    async with AsyncClient(own_engine.where) as client:
        await client.engine()
        for method, path, body, status in (
            ("GET", "/native/trainings/none", None, 404),
            ("GET", "/v1/trainings/none", None, 404),
            ("POST", "/v1/trainings/none/cancel", b"", 404),
            ("GET", "/v1/trainings?cursor=%21", None, 400),
            ("GET", "/native/trainings?status=odd", None, 422),
            ("GET", "/native/trainings?limit=-1", None, 422),
            ("POST", "/native/versions", b"no JSON", 400),
            ("POST", "/native/environments", b'{"python": "python"}', 422),
            ("POST", "/v1/models/local/x/versions/abc/trainings", b"{}", 422),
            ("POST", "/v1/models/local/x/versions/abc/trainings", b"[]", 400),
            ("POST", "/v1/models/local/x/versions/abc/trainings", b"{", 400),
            ("GET", "/nowhere", None, 404),
            ("DELETE", "/v1/trainings", None, 405),
        ):
            code, content_type, data = await client.transport.tunnel(method, path, body)
            problem = json.loads(data)
            assert (code, content_type) == (status, "application/problem+json"), (path, data)
            assert problem["status"] == status
            assert problem["title"]
            assert problem["detail"]


async def test_pages_of_trainings_neither_repeat_nor_lose(
    own_engine: EngineUnderTest, monkeypatch: Any
) -> None:
    async with AsyncClient(own_engine.where) as client:
        made = [(await finish(client, "print(a)", a=number)).id for number in range(3)]
        first = json.loads((await client.transport.tunnel("GET", "/v1/trainings", None))[2])
        assert [item["id"] for item in first["results"]] == made[::-1]
        assert (first["previous"], first["next"]) == (None, None)
        assert first["results"][0]["urls"]["get"].startswith("http://engine/v1/trainings/")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small file system")
async def test_on_a_full_disk_the_engine_starts_to_look_and_names_the_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk], capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        monkeypatch.setenv("JUPYTER_EXT_DATA_DIR", str(disk / "data"))
        discovery.ensure()
        async with AsyncClient(locations()) as client:
            (problem,) = [line for line in (await client.engine()).problems if "catalog" in line]
            assert re.search(r"catalog\.sqlite cannot be used .* is the disk full", problem)
            assert "\n" not in problem
            assert (await client.page()).total == 0
            with pytest.raises(RequestRefused, match=f"The disk of {disk}.* is full: .* are needed"):
                await finish(client, "def train(): pass")
        assert any("catalog.sqlite" in line for line in control.doctor())
        control.stop(force=True)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)
