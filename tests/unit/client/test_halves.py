"""`%engine doctor` names the half that is missing or of another version, and the next step."""

from __future__ import annotations

import http.server
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ext import __version__
from jupyter_ext.client.engine import halves

TOKEN = "a-token-that-nobody-may-see"


class Answers(http.server.BaseHTTPRequestHandler):
    """Stands for a Jupyter server."""

    def do_GET(self) -> None:
        code, body = self.server.answer  # type: ignore[attr-defined]
        assert self.headers["Authorization"] == f"token {TOKEN}"
        self.send_response(code)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.HTTPServer]:
    made = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    said = {"url": f"http://127.0.0.1:{made.server_port}/", "token": TOKEN, "pid": os.getpid()}
    (tmp_path / "jpserver-1.json").write_text(json.dumps(said))
    (tmp_path / "jpserver-2.json").write_text("{")
    (tmp_path / "jpserver-3.json").write_text(json.dumps(said | {"pid": 2**22 + 5}))
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("code", "body", "says"),
    [
        (200, {"version": __version__}, "ok  Jupyter server extension"),
        (200, {"version": "0.0.1"}, "!!  .*has 0.0.1, this kernel"),
        (404, {}, "!!  .*does not have its half: pip install"),
        (403, {}, "ok  .*does not tell"),
    ],
)
def test_the_server_s_half(server: http.server.HTTPServer, code: int, body: object, says: str) -> None:
    server.answer = code, json.dumps(body).encode()  # type: ignore[attr-defined]
    (line,) = halves.lines()[1:]
    assert re.match(says, line), line
    assert TOKEN not in line


def test_a_labextension_of_another_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    folder = tmp_path / "labextensions" / "jupyter-ext"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text('{"version": "0.0.2"}')
    (line,) = halves.lines()
    assert line.startswith("!!")
    assert "0.0.2" in line
