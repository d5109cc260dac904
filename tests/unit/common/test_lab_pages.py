"""Where JupyterLab is: told by servers, named while they live, never with a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from jupyter_ext.engine.common import lab_pages
from jupyter_ext.engine.common.lab_pages import LabPages, LabServer
from jupyter_ext.ipc import processes, run_files
from jupyter_ext.protocol.problems import Problem

LAB = "https://hub.example/user/a%40b/lab"


def server(url: str = LAB, pid: int | None = None, **changed: object) -> LabServer:
    pid = pid or os.getpid()
    told = {"url": url, "pid": pid, "ticks": processes.start_ticks(pid), **run_files.here(), **changed}
    return LabServer.model_validate(told)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> LabPages:
    monkeypatch.setattr(lab_pages, "_LOOK_S", 0.0)
    return LabPages()


def test_no_server_no_page(pages: LabPages) -> None:
    assert pages.url("training", "x") is None


@pytest.mark.parametrize("kind", ["training", "session", "model"])
def test_a_page_is_named_by_kind_and_id(pages: LabPages, kind: lab_pages.Kind) -> None:
    pages.tell(server(f"{LAB}/"))
    assert pages.url(kind, "abc") == f"{LAB}?jupyter-ext={kind}:abc"


def test_an_id_stays_one_value_of_the_address(pages: LabPages) -> None:
    pages.tell(server())
    id = "file:/home/a b/100%&x=y#z+"
    query = urlsplit(pages.url("model", id) or "").query
    assert parse_qs(query, strict_parsing=True) == {"jupyter-ext": [f"model:{id}"]}
    assert pages.url("model", "hub:org/name@v1") == f"{LAB}?jupyter-ext=model:hub:org/name@v1"


def test_the_server_that_told_last_is_named_while_it_lives(pages: LabPages) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        pages.tell(server())
        pages.tell(server("http://localhost:8889/lab", other.pid))
        assert pages.url("training", "x") == "http://localhost:8889/lab?jupyter-ext=training:x"
        pages.tell(server())
        pages.tell(server("http://localhost:8890/lab", other.pid))
        assert pages.url("training", "x") == "http://localhost:8890/lab?jupyter-ext=training:x"
    finally:
        other.communicate()
    assert pages.url("training", "x") == f"{LAB}?jupyter-ext=training:x"


@pytest.mark.parametrize("changed", [{"boot_id": "another"}, {"pid_namespace": 1}, {"ticks": 1}])
def test_a_server_that_cannot_be_seen_from_here_is_not_named(
    pages: LabPages, changed: dict[str, object]
) -> None:
    pages.tell(server(**changed))
    assert pages.url("training", "x") is None


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///lab",
        "http+unix://%2Ftmp%2Fsock/lab",
        "//hub.example/lab",
        "http:///lab",
        "http://hub.example:99999/lab",
        "https://user:secret@hub.example/lab",
        "https://@hub.example/lab",
        "https://hub.example/lab?token=secret",
        "https://hub.example/lab#token=secret",
        "https://hub.example/lab?",
        "https://hub.example/l ab",
        "https://hub.example/lab\r\nx: y",
        "https://hub.example/läb",
        f"https://hub.example/{'a' * 2000}",
        "http://[::1/lab",
    ],
)
def test_what_no_browser_may_be_sent_to_is_refused_and_not_repeated(pages: LabPages, url: str) -> None:
    with pytest.raises(Problem) as refused:
        pages.tell(server(url))
    assert refused.value.status == 422
    assert "secret" not in str(refused.value.detail)
    assert pages.url("training", "x") is None
