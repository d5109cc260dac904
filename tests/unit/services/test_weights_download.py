"""Fetching weights from services that break off, redirect and refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.services.replicate import weights_download
from jupyter_ext.engine.services.replicate.weights_download import download
from jupyter_ext.errors import RequestRefused

DATA = bytes(range(256)) * 8000
TOKEN = "r8_secret"


class Site:
    """Serves what `act` does with each request, by its number."""

    def __init__(self) -> None:
        self.act: Callable[[int, Any], None] = lambda number, to: self.send(to)
        self.seen: list[dict[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                site.seen.append({**{k.lower(): v for k, v in self.headers.items()}, "path": self.path})
                site.act(len(site.seen) - 1, self)

            def log_message(self, *_: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                return

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def send(self, to: Any, status: int = 200, cut_after: int | None = None, **headers: str) -> None:
        asked = to.headers.get("Range")
        start = int(asked[6:-1]) if asked and headers.get("ETag") == to.headers.get("If-Range") else 0
        body = DATA[start:] if status == 200 else b""
        to.send_response(206 if start else status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            to.send_header(name, value)
        to.end_headers()
        to.wfile.write(body if cut_after is None else body[:cut_after])
        if cut_after is not None:
            to.close_connection = True
            to.connection.close()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def other() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


async def fetch(url: str, base: str, target: Path) -> list[tuple[int, int | None]]:
    told: list[tuple[int, int | None]] = []
    await download(url, target, f"{base}/v1", TOKEN, lambda *news: told.append(news), pause_s=0.01)
    return told


async def test_weights_arrive_whole_and_are_counted(site: Site, tmp_path: Path) -> None:
    told = await fetch(f"{site.url}/w.tar", site.url, tmp_path / "w.tar")
    assert (tmp_path / "w.tar").read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert site.seen[0]["authorization"] == f"Bearer {TOKEN}"
    assert [path.name for path in tmp_path.iterdir()] == ["w.tar"]


@pytest.mark.parametrize("etag", ['"a"', ""])
async def test_what_is_broken_off_is_gone_on_with(site: Site, tmp_path: Path, etag: str) -> None:
    headers = {"ETag": etag} if etag else {}
    site.act = lambda number, to: site.send(to, cut_after=1_500_000 if number == 0 else None, **headers)
    await fetch("/w", site.url, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == DATA
    assert ("range" in site.seen[1]) == bool(etag)


async def test_a_redirect_elsewhere_is_followed_without_the_token(
    site: Site, other: Site, tmp_path: Path
) -> None:
    site.act = lambda number, to: site.send(to, 302, Location=f"{other.url}/there")
    await fetch("/w", site.url, tmp_path / "w")
    assert (tmp_path / "w").read_bytes() == DATA
    assert "authorization" not in other.seen[0]


async def test_weights_elsewhere_are_asked_for_without_the_token(
    site: Site, other: Site, tmp_path: Path
) -> None:
    await fetch(f"{other.url}/w", site.url, tmp_path / "w")
    assert "authorization" not in other.seen[0]
    assert site.seen == []


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda site: lambda number, to: site.send(to, 404), "answered 404 to the weights"),
        (lambda site: lambda number, to: site.send(to, 503), "answered 503, 5 times"),
        (lambda site: lambda number, to: site.send(to, cut_after=10), "broke off .*, 5 times"),
        (lambda site: lambda number, to: site.send(to, 302, Location="/again"), "from place to place"),
        (
            lambda site: lambda number, to: site.send(to, 302, Location="file:///etc/passwd"),
            "is not followed",
        ),
    ],
)
async def test_what_cannot_be_had_is_one_line_and_leaves_nothing(
    site: Site, tmp_path: Path, act: Any, says: str
) -> None:
    site.act = act(site)
    with pytest.raises(RequestRefused, match=says) as caught:
        await fetch("/w", site.url, tmp_path / "w")
    assert TOKEN not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


async def test_a_service_elsewhere_cannot_have_this_machine_asked(tmp_path: Path, other: Site) -> None:
    with pytest.raises(RequestRefused, match="this machine itself"):
        await fetch(f"{other.url}/w", "https://example.org", tmp_path / "w")
    assert other.seen == []


@pytest.mark.parametrize("is_rebound", [False, True])
@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "127.0.0.1"])
async def test_a_public_service_leads_nobody_into_this_network(
    site: Site, tmp_path: Path, host: str, is_rebound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_rebound:  # the name leads inside only once it is connected to
        monkeypatch.setattr(weights_download, "resolves_inside", lambda _: False)
    port = site.url.rsplit(":", 1)[1].split("/")[0]
    with pytest.raises(RequestRefused, match="own network"):
        await fetch(f"http://{host}:{port}/w", "https://api.example.com/v1", tmp_path / "w")
    assert list(tmp_path.iterdir()) == []
    assert is_rebound or site.seen == []
