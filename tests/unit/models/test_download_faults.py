"""Servers that break, lie and mislead: what they send is never taken for the file, and the user hears why in one line."""

from __future__ import annotations

import gzip
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from download_tools import MIB, QUICK, DownloadHome, find_local, write_model, write_weights
from hub_server import Answer, FileRequest, HubFile, HubServer, hub_file

from jupyter_ext.engine.models.sources import http_range, http_rules
from jupyter_ext.engine.models.sources.manifest import Manifest
from jupyter_ext.errors import DownloadFailed, InvalidInput, UnknownId

WEIGHTS = "model.safetensors"
SIZE = 24 * MIB


@pytest.fixture
def home(tmp_path: Path) -> Iterator[DownloadHome]:
    with HubServer() as hub:
        home = DownloadHome(tmp_path, hub)
        hub.publish("acme/tiny", write_model(tmp_path / "source", SIZE))
        yield home


async def resolved(home: DownloadHome, ref: str = "hub:acme/tiny") -> Manifest:
    """Look a model up while the server still behaves."""
    manifest = await home.downloads().resolve(ref, settings=home.settings)
    home.hub.forget_requests()
    return manifest


def misbehave(
    home: DownloadHome, change: Callable[[FileRequest, Answer], Answer], times: int = 10**9
) -> list[FileRequest]:
    """Change the first answers that carry weights; gives the list of the changed requests as it grows."""
    changed: list[FileRequest] = []

    def tweak(request: FileRequest, answer: Answer) -> Answer:
        if request.file.name != WEIGHTS or len(changed) >= times or answer.status not in (200, 206):
            return answer
        changed.append(request)
        return change(request, answer)

    home.hub.tweak = tweak
    return changed


def is_right(path: Path, home: DownloadHome) -> bool:
    return (path / WEIGHTS).read_bytes() == (home.path / "source" / WEIGHTS).read_bytes()


def one_line(error: BaseException) -> str:
    text = str(error)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


async def refused(home: DownloadHome, manifest: Manifest) -> str:
    """Fetch what must not be taken; gives the message."""
    downloads = home.downloads()
    task = downloads.start(manifest)
    with pytest.raises(DownloadFailed) as raised:
        await task.wait()
    assert task.transfer.status == "failed"
    assert task.transfer.error == str(raised.value)
    assert find_local(downloads, manifest.ref, home.settings) is None
    assert not manifest.snapshot_dir.exists()
    assert not (manifest.repo_dir / "blobs" / manifest.files[-1].blob).exists()
    return one_line(raised.value)


# --- what mends itself


async def test_broken_connections_are_taken_up_where_they_broke(home: DownloadHome) -> None:
    manifest = await resolved(home)
    broken = misbehave(home, lambda _, answer: replace(answer, cut_after_bytes=MIB + 12345), times=6)
    path = await home.downloads().start(manifest).wait()
    assert len(broken) == 6
    assert is_right(path, home)
    # What was under way when it broke may be lost, and no more.
    assert home.hub.sent_of(WEIGHTS) <= manifest.files[-1].bytes + 6 * 2 * MIB


async def test_a_connection_that_stalls_is_given_up(home: DownloadHome) -> None:
    manifest = await resolved(home)
    stalled = misbehave(home, lambda _, answer: replace(answer, stall_after_bytes=MIB), times=2)
    path = await home.downloads().start(manifest).wait()
    assert len(stalled) == 2
    assert is_right(path, home)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_server_that_is_busy_is_asked_again(home: DownloadHome, status: int) -> None:
    manifest = await resolved(home)
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    busy = misbehave(home, lambda *_: Answer(status, headers, body=b"later"), times=2)
    path = await home.downloads().start(manifest).wait()
    assert len(busy) == 2
    assert is_right(path, home)


async def test_a_server_without_ranges_is_read_in_one_go(home: DownloadHome) -> None:
    manifest = await resolved(home)

    def whole(request: FileRequest, answer: Answer) -> Answer:
        headers = {name: value for name, value in answer.headers.items() if name != "Content-Range"}
        return Answer(200, headers, 0, request.file.num_bytes)

    asked = misbehave(home, whole)
    path = await home.downloads().start(manifest).wait()
    assert is_right(path, home)
    assert len(asked) == 1


async def test_a_server_without_ranges_that_breaks_is_read_again(home: DownloadHome) -> None:
    manifest = await resolved(home)

    def whole(request: FileRequest, answer: Answer) -> Answer:
        headers = {name: value for name, value in answer.headers.items() if name != "Content-Range"}
        cut = 5 * MIB if len(asked) < 3 else None
        return Answer(200, headers, 0, request.file.num_bytes, cut_after_bytes=cut)

    asked = misbehave(home, whole)
    path = await home.downloads().start(manifest).wait()
    assert is_right(path, home)
    assert len(asked) == 3


async def test_bytes_of_another_place_are_not_written(home: DownloadHome) -> None:
    manifest = await resolved(home)

    def elsewhere(request: FileRequest, answer: Answer) -> Answer:
        length = answer.end - answer.start
        headers = {**answer.headers, "Content-Range": f"bytes 0-{length - 1}/{request.file.num_bytes}"}
        return replace(answer, headers=headers, start=0, end=length) if answer.start else answer

    misbehave(home, elsewhere, times=8)
    assert is_right(await home.downloads().start(manifest).wait(), home)


# --- what does not


async def test_wrong_bytes_of_the_right_size_are_thrown_away(home: DownloadHome) -> None:
    manifest = await resolved(home)
    misbehave(home, lambda _, answer: replace(answer, change=lambda piece: bytes(len(piece))), times=1)
    text = await refused(home, manifest)
    assert "sha256" in text
    assert "thrown away" in text
    assert home.left_over() == []
    home.hub.tweak = None
    assert is_right(await home.downloads().start(manifest).wait(), home)


async def test_wrong_bytes_in_what_was_kept_are_fetched_once_more(home: DownloadHome) -> None:
    manifest = await resolved(home)
    cut = misbehave(home, lambda _, answer: replace(answer, cut_after_bytes=2 * MIB if len(cut) < 4 else 0))
    assert "kept" in await refused(home, manifest)
    (partial,) = home.downloads().partials()
    with open(partial.path, "r+b") as file:
        file.write(b"\xff" * 4096)
    home.hub.tweak = None
    assert is_right(await home.downloads().start(manifest).wait(), home)
    assert home.left_over() == []


@pytest.mark.parametrize("by", [-1000, 1000])
async def test_another_size_than_listed_is_refused(home: DownloadHome, by: int) -> None:
    manifest = await resolved(home)

    def lie(request: FileRequest, answer: Answer) -> Answer:
        total = request.file.num_bytes + by
        return replace(
            answer,
            headers={**answer.headers, "Content-Range": f"bytes {answer.start}-{answer.end - 1}/{total}"},
        )

    misbehave(home, lie)
    assert f"{SIZE + by}"[:3] in await refused(home, manifest)


async def test_answers_that_are_too_short_end_in_a_message(home: DownloadHome) -> None:
    manifest = await resolved(home)
    misbehave(home, lambda _, answer: replace(answer, cut_after_bytes=0))
    text = await refused(home, manifest)
    assert "4 times in a row" in text
    assert "kept" in text


async def test_a_packed_body_is_refused(home: DownloadHome) -> None:
    manifest = await resolved(home)

    def pack(request: FileRequest, answer: Answer) -> Answer:
        body = gzip.compress(request.file.path.read_bytes()[answer.start : answer.end], 1)
        return Answer(200, {**answer.headers, "Content-Encoding": "gzip"}, body=body)

    misbehave(home, pack)
    assert "packed as 'gzip'" in await refused(home, manifest)


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("ftp://127.0.0.1/x", "no address"),
        ("file:///etc/passwd", "no address"),
        ("", "no address"),
        ("http://a:b@127.0.0.1/x", "no address"),
    ],
)
async def test_redirects_to_nowhere_are_refused(home: DownloadHome, location: str, why: str) -> None:
    manifest = await resolved(home)
    misbehave(home, lambda *_: Answer(302, {"Location": location}, body=b""))
    assert why in await refused(home, manifest)


async def test_redirects_in_circles_are_refused(home: DownloadHome) -> None:
    manifest = await resolved(home)
    misbehave(
        home, lambda request, _: Answer(302, {"Location": f"/acme/tiny/resolve/main/{WEIGHTS}"}, body=b"")
    )
    assert "circles" in await refused(home, manifest)


async def test_a_closed_model_says_what_to_set(home: DownloadHome) -> None:
    manifest = await resolved(home)
    misbehave(home, lambda *_: Answer(403, {}, body=b""))
    assert "HF_TOKEN" in await refused(home, manifest)


# --- the token


async def test_the_token_goes_to_the_hub_and_nowhere_else(tmp_path: Path) -> None:
    with HubServer(cdn=True, token="hf_s3cr3t") as hub:
        home = DownloadHome(tmp_path, hub)
        hub.publish("acme/tiny", write_model(tmp_path / "source", 2 * MIB), private=True)
        with pytest.raises(UnknownId, match="HF_TOKEN"):
            await home.downloads().resolve("hub:acme/tiny", settings=home.settings)
        settings = type(home.settings).from_environment({**home.environ, "HF_TOKEN": "hf_s3cr3t"})
        downloads = home.downloads()
        manifest = await downloads.resolve("hub:acme/tiny", settings=settings)
        task = downloads.start(manifest)
        assert is_right(await task.wait(), home)
        to_cdn = [request for request in hub.requests if request.on_cdn]
        assert to_cdn
        assert all("Authorization" not in request.headers for request in to_cdn)
        assert "s3cr3t" not in repr(manifest) + task.transfer.model_dump_json()
        wrong = type(home.settings).from_environment({**home.environ, "HF_TOKEN": "hf_other"})
        with pytest.raises(UnknownId) as raised:
            await downloads.resolve("hub:acme/tiny", settings=wrong)
        assert "hf_other" not in one_line(raised.value)
    written = b"".join(path.read_bytes() for path in (tmp_path / "local_models").rglob("*") if path.is_file())
    assert b"s3cr3t" not in written


async def test_a_link_that_expired_is_asked_for_again(tmp_path: Path) -> None:
    with HubServer(cdn=True) as hub:
        home = DownloadHome(tmp_path, hub)
        hub.publish("acme/tiny", write_model(tmp_path / "source", SIZE))
        manifest = await resolved(home)
        expired = 0

        def tweak(request: FileRequest, answer: Answer) -> Answer:
            nonlocal expired
            if request.on_cdn and request.start and expired < 3:
                expired += 1
                return Answer(403, {}, body=b"")
            return answer

        hub.tweak = tweak
        assert is_right(await home.downloads().start(manifest).wait(), home)
        assert expired == 3


async def test_offline_asks_nobody(home: DownloadHome) -> None:
    home.hub.forget_requests()
    settings = type(home.settings).from_environment({**home.environ, "HF_HUB_OFFLINE": "1"})
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE"):
        await home.downloads().resolve("hub:acme/tiny", settings=settings)
    assert home.hub.log == []


# --- names


@pytest.mark.parametrize(
    "name",
    [
        "../evil.safetensors",
        "/etc/evil.safetensors",
        "a/../../evil.safetensors",
        "a//b.safetensors",
        "./a.safetensors",
        "a\x00.safetensors",
        "a/..",
        "",
    ],
)
async def test_a_file_that_would_leave_the_model_is_refused(home: DownloadHome, name: str) -> None:
    weights = hub_file(WEIGHTS, home.path / "source" / WEIGHTS)
    evil = HubFile(name, weights.path, weights.num_bytes, weights.git_sha1, weights.sha256)
    home.hub.publish_files("acme/evil", (weights, evil))
    with pytest.raises(InvalidInput, match="no path inside it") as raised:
        await home.downloads().resolve("hub:acme/evil", settings=home.settings)
    one_line(raised.value)
    assert not (home.cache / "models--acme--evil").exists()


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "localhost", "innocent.example"]
)
async def test_a_redirect_of_a_public_hub_is_not_followed_to_an_address_of_this_network(
    home: DownloadHome, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The hub stands for a public one; where the redirect leads is told by the connection, however it is spelled."""
    with HubServer(cdn=True) as hub:
        hub.publish("acme/tiny", home.path / "source")
        hub_port, cdn_port = urlsplit(hub.url).port, urlsplit(hub.cdn_url or "").port
        peers = {hub_port: True, cdn_port: False}
        monkeypatch.setattr(http_range, "peer_is_public", lambda sock: peers[sock.getpeername()[1]])
        monkeypatch.setattr(http_rules, "is_local", lambda host: False)
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *rest, **more: resolve(
                "127.0.0.1" if host == "innocent.example" else host, *rest, **more
            ),
        )
        monkeypatch.setattr(HubServer, "cdn_url", f"http://{name}:{cdn_port}")
        settings = replace(home.settings, endpoint=hub.url)
        downloads = home.downloads()
        with pytest.raises(
            DownloadFailed, match="in this machine's own network; it was not followed"
        ) as raised:
            await downloads.start(await downloads.resolve("hub:acme/tiny", settings=settings)).wait()
        one_line(raised.value)
        assert not [request for request in hub.requests if request.on_cdn]


ODD = [
    "a\\..\\b.json",
    "C:notes.md",
    'what? *really* <yes> | "no".txt',
    "ein\u00a0Leerzeichen \u3000.txt",
    "Größe 📐.json",
    "#1 100%.md",
    "-rf",
    "~root",
    "a b/c:d/e.txt",
]


async def test_side_files_with_odd_but_legal_names_are_fetched(home: DownloadHome) -> None:
    weights = hub_file(WEIGHTS, home.path / "source" / WEIGHTS)
    side = home.path / "source" / "side"
    side.write_bytes(b"text")
    files = [replace(hub_file("side", side), name=name) for name in ODD]
    home.hub.publish_files("acme/odd", (weights, *files))
    downloads = home.downloads()
    manifest = await downloads.resolve("hub:acme/odd", settings=home.settings)
    path = await downloads.start(manifest).wait()
    assert {name: (path / name).read_bytes() for name in ODD} == dict.fromkeys(ODD, b"text")
    found = {file.relative_to(path).as_posix() for file in path.rglob("*") if not file.is_dir()}
    assert found == {WEIGHTS, *ODD}
    assert find_local(downloads, "hub:acme/odd", home.settings) == path


@pytest.mark.parametrize(
    "name", ["line\nbreak.md", "bell\x07.txt", "x" * 256, "é" * 130, "d/" * 500 + "x", "\x85.txt"]
)
async def test_a_side_file_that_no_file_here_can_be_called_is_left_out_alone(
    home: DownloadHome, name: str
) -> None:
    weights = hub_file(WEIGHTS, home.path / "source" / WEIGHTS)
    odd = HubFile(name, weights.path, weights.num_bytes, weights.git_sha1, weights.sha256)
    home.hub.publish_files("acme/odd", (weights, odd))
    manifest = await home.downloads().resolve("hub:acme/odd", settings=home.settings)
    assert [file.name for file in manifest.files] == [WEIGHTS]
    (notice,) = manifest.description().notices
    assert "was left out: its name" in notice
    one_line(notice)


async def test_weights_that_no_file_here_can_be_called_are_told(home: DownloadHome) -> None:
    weights = hub_file(WEIGHTS, home.path / "source" / WEIGHTS)
    home.hub.publish_files("acme/odd", (replace(weights, name="a\nb.safetensors"),))
    with pytest.raises(InvalidInput, match=r"weights only in 'a\\nb.safetensors': its name holds"):
        await home.downloads().resolve("hub:acme/odd", settings=home.settings)


async def test_a_blob_with_a_name_for_a_path_is_refused(home: DownloadHome) -> None:
    weights = hub_file(WEIGHTS, home.path / "source" / WEIGHTS)
    home.hub.publish_files("acme/evil", (replace(weights, sha256="../../../../evil"),))
    with pytest.raises(DownloadFailed, match="size and hash"):
        await home.downloads().resolve("hub:acme/evil", settings=home.settings)


# --- the disk


async def test_too_little_room_is_known_before_the_first_byte(
    home: DownloadHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = await resolved(home)
    huge = replace(manifest.files[-1], bytes=10**15)
    text = await refused(home, replace(manifest, files=(*manifest.files[:-1], huge)))
    assert "909 TiB more" in text
    assert "HF_HUB_CACHE" in text
    assert home.hub.bytes_sent == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
async def test_a_disk_that_fills_up_keeps_what_came(home: DownloadHome, tmp_path: Path) -> None:
    """A small file system, filled by somebody else after the room was checked."""
    program = f"""
import asyncio, os, subprocess, sys
from pathlib import Path
sys.path[:0] = {[str(Path(__file__).parents[2] / "support"), str(Path(__file__).parents[3] / "notebooks")]!r}
mount = Path({str(tmp_path / "small")!r}); mount.mkdir()
if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(mount)], capture_output=True).returncode:
    print("no mount"); raise SystemExit
from jupyter_ext.engine.models.download.manager import Downloads
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from download_tools import QUICK, find_local
async def main():
    downloads = Downloads(Path({str(tmp_path / "local_models")!r}), http=QUICK)
    environ = {{"HF_ENDPOINT": {home.hub.url!r}, "HF_HUB_CACHE": str(mount / "hub")}}
    settings = HubSettings.from_environment(environ)
    manifest = await downloads.resolve("hub:acme/tiny", settings=settings)
    def fill(transfer):
        if transfer.bytes_done > 4 << 20 and not (mount / "filler").exists():
            # at once: a loop of writes would race with the rest of the download on a busy machine
            with open(mount / "filler", "wb") as file:
                while (free := os.statvfs(mount).f_bavail * os.statvfs(mount).f_frsize):
                    try: os.posix_fallocate(file.fileno(), file.seek(0, 2), free)
                    except OSError: continue
    try:
        await downloads.start(manifest, fill).wait()
    except Exception as error:
        print(type(error).__name__, error)
    print("kept", sum(p.kept_bytes for p in downloads.partials()))
    (mount / "filler").unlink()
    path = await downloads.start(manifest).wait()
    print((path / "model.safetensors").read_bytes() == Path({str(home.path / "source" / WEIGHTS)!r}).read_bytes())
asyncio.run(main())
"""
    home.hub.bytes_per_s = 2e6
    result = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", program], capture_output=True, text=True, timeout=100
    )
    if "no mount" in result.stdout or "unshare" in result.stderr:
        pytest.skip("this machine lets nobody mount")
    first, kept, right = result.stdout.strip().splitlines()
    assert first.startswith("DownloadFailed The disk of")
    assert "is full" in first
    assert "What was fetched is kept" in first
    assert int(kept.split()[1]) >= 2 * MIB
    assert right == "True", result.stderr


async def test_a_folder_that_cannot_be_written_is_told(home: DownloadHome) -> None:
    manifest = await resolved(home)
    manifest.repo_dir.parent.mkdir(parents=True)
    manifest.repo_dir.write_text("a file where a folder must be")
    with pytest.raises(DownloadFailed, match="cannot be written") as raised:
        await home.downloads().start(manifest).wait()
    one_line(raised.value)


# --- addresses


def serve_file(home: DownloadHome, seed: int = 0, name: str = WEIGHTS) -> str:
    home.hub.publish("files/x", write_weights(home.path / f"files-{seed}" / name, SIZE, seed).parent)
    return f"{home.hub.url}/files/x/resolve/main/{name}"


async def test_a_file_at_an_address_is_fetched(home: DownloadHome) -> None:
    url = serve_file(home)
    downloads = home.downloads()
    manifest = await downloads.resolve(f"url:{url}", settings=home.settings)
    assert manifest.weights is not None
    path = await downloads.start(manifest).wait()
    assert (path / WEIGHTS).read_bytes() == (home.path / "files-0" / WEIGHTS).read_bytes()
    assert find_local(downloads, f"url:{url}", home.settings) == path
    assert await downloads.newer(f"url:{url}", home.settings) is None
    serve_file(home, seed=1)
    assert await downloads.newer(f"url:{url}", home.settings) is not None
    assert downloads.delete(f"url:{url}") == manifest.total_bytes


async def test_a_file_that_changes_while_it_is_fetched_is_never_spliced(home: DownloadHome) -> None:
    url = serve_file(home)
    manifest = await resolved(home, f"url:{url}")

    def change_and_break(_: FileRequest, answer: Answer) -> Answer:
        serve_file(home, seed=1)
        return replace(answer, cut_after_bytes=4 * MIB)  # the rest is asked for, and is another file's

    misbehave(home, change_and_break, times=1)
    downloads = home.downloads()
    task = downloads.start(manifest)
    with pytest.raises(DownloadFailed, match="changed at its server") as raised:
        await task.wait()
    one_line(raised.value)
    assert home.left_over() == []
    again = await downloads.resolve(f"url:{url}", settings=home.settings)
    path = await downloads.start(again).wait()
    assert (path / WEIGHTS).read_bytes() == (home.path / "files-1" / WEIGHTS).read_bytes()


async def test_an_address_is_checked_against_its_hash(home: DownloadHome) -> None:
    url = serve_file(home)
    downloads = home.downloads()
    right = hub_file(WEIGHTS, home.path / "files-0" / WEIGHTS).sha256
    assert (await downloads.start(await resolved(home, f"url:{url}#sha256={right}")).wait()).exists()
    text = await refused(home, await resolved(home, f"url:{url}#sha256={'0' * 64}"))
    assert "thrown away" in text


async def test_an_address_that_leads_elsewhere_needs_a_hash(tmp_path: Path) -> None:
    with HubServer(cdn=True) as hub:
        home = DownloadHome(tmp_path, hub)
        url = serve_file(home)
        with pytest.raises(DownloadFailed, match=r"redirects elsewhere.*#sha256="):
            await home.downloads().resolve(f"url:{url}", settings=home.settings)
        right = hub_file(WEIGHTS, home.path / "files-0" / WEIGHTS).sha256
        manifest = await home.downloads().resolve(f"url:{url}#sha256={right}", settings=home.settings)
        assert (await home.downloads().start(manifest).wait()).exists()


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"ETag": "", "Last-Modified": ""}, "tells versions of the file apart"),
        ({"ETag": 'W/"weak"', "Last-Modified": ""}, "tells versions of the file apart"),
        ({"Content-Range": "bytes 0-0/*"}, "how big"),
    ],
)
async def test_an_address_that_says_too_little_is_refused(
    home: DownloadHome, headers: dict[str, str], why: str
) -> None:
    url = serve_file(home)
    misbehave(home, lambda _, answer: replace(answer, headers={**answer.headers, **headers}))
    with pytest.raises(DownloadFailed, match=why):
        await home.downloads().resolve(f"url:{url}", settings=home.settings)


async def test_what_is_no_safetensors_file_is_known_before_it_is_fetched(home: DownloadHome) -> None:
    folder = home.path / "broken"
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(os.urandom(MIB))
    home.hub.publish("acme/broken", folder)
    with pytest.raises(DownloadFailed, match="not what it should be"):
        await home.downloads().resolve("hub:acme/broken", settings=home.settings)
    whole = write_weights(home.path / "cut" / WEIGHTS, 4 * MIB)
    os.truncate(whole, 3 * MIB)
    home.hub.publish("acme/cut", whole.parent)
    with pytest.raises(DownloadFailed, match="by its own header"):
        await home.downloads().resolve("hub:acme/cut", settings=home.settings)


# --- the rate


async def test_a_rate_limit_holds_for_all_connections_together(home: DownloadHome) -> None:
    import time

    manifest = await resolved(home)
    downloads = home.downloads(replace(QUICK, stall_s=20.0))
    downloads.limiter.bytes_per_s = 12e6
    began = time.monotonic()
    assert is_right(await downloads.start(manifest).wait(), home)
    # The one thing that a limit must never do is let more through.
    assert time.monotonic() - began >= manifest.total_bytes / 12e6 * 0.95
