"""A hub on this machine, shaped like Hugging Face's: for notebooks and tests that must not need the internet.

It answers what `huggingface_hub` and jupyter-ext ask of a hub: a model's files with their hashes, and the files themselves
with ranges. Point a client at it by `HF_ENDPOINT`:

    hub = HubServer()
    hub.publish("acme/tiny", "/path/to/folder")
    os.environ["HF_ENDPOINT"] = hub.url

Standard library only, and one file although it is long: a notebook imports it from its own folder, and it is copied as it
is. Files are sent with sendfile, so a client is never faster than the server lets it be.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LARGE_BYTES = 10_000_000
"""From here on a file is kept by its sha256 (Git LFS), as hubs do; so is every safetensors file."""

_PIECE_BYTES = 256 * 1024


@dataclass(frozen=True)
class HubFile:
    """One file of a model, and what the hub says of it."""

    name: str
    path: Path
    num_bytes: int
    git_sha1: str
    sha256: str | None

    @property
    def etag(self) -> str:
        """What it is called in a cache."""
        return self.sha256 or self.git_sha1


@dataclass(frozen=True)
class FileRequest:
    """What somebody asked for: a file, or bytes `start` to `end` of it."""

    number: int
    repo: str
    file: HubFile
    method: str
    headers: Mapping[str, str]
    start: int
    end: int
    is_ranged: bool
    on_cdn: bool


@dataclass(frozen=True)
class Answer:
    """What is sent. A test may change any of it.

    Attributes:
        status: Of HTTP.
        headers: Sent; `Content-Length` is made of `end - start` unless it is there.
        start: First byte of the file that is sent.
        end: The byte after the last.
        body: Sent instead of bytes of the file.
        cut_after_bytes: The connection is broken after so many.
        stall_after_bytes: Nothing more is sent after so many, until the server is closed.
        change: Applied to the bytes on their way.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    start: int = 0
    end: int = 0
    body: bytes | None = None
    cut_after_bytes: int | None = None
    stall_after_bytes: int | None = None
    change: Callable[[bytes], bytes] | None = None


Tweak = Callable[[FileRequest, Answer], Answer]


class HubServer:
    """A hub on a free loopback port; `with HubServer() as hub:` closes it.

    Args:
        bytes_per_s: What each connection gets at most; `None` is as much as it takes.
        first_byte_s: How long each answer waits, as over a long line.
        cdn: Large files are not sent by the hub: it redirects to another origin, as Hugging Face does.
        token: Private models are shown to its bearers only.
    """

    def __init__(
        self,
        *,
        bytes_per_s: float | None = None,
        first_byte_s: float = 0.0,
        cdn: bool = False,
        token: str | None = None,
    ) -> None:
        self.bytes_per_s = bytes_per_s
        self.first_byte_s = first_byte_s
        self.token = token
        self.tweak: Tweak | None = None
        self.requests: list[FileRequest] = []
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._bytes_sent: dict[str, int] = {}
        self._models: dict[str, dict[str, tuple[HubFile, ...]]] = {}
        self._refs: dict[str, dict[str, str]] = {}
        self._private: set[str] = set()
        self._http = _Server(self, on_cdn=False)
        self._cdn = _Server(self, on_cdn=True) if cdn else None

    def __enter__(self) -> HubServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it is: what `HF_ENDPOINT` must say."""
        return f"http://127.0.0.1:{self._http.server_port}"

    @property
    def cdn_url(self) -> str | None:
        """Where large files come from, if not from the hub itself."""
        return f"http://127.0.0.1:{self._cdn.server_port}" if self._cdn else None

    @property
    def bytes_sent(self) -> int:
        """Bytes of files that were sent so far."""
        with self._lock:
            return sum(self._bytes_sent.values())

    def sent_of(self, name: str) -> int:
        """Bytes that were sent of files with this name."""
        with self._lock:
            return self._bytes_sent.get(name, 0)

    def forget_requests(self) -> None:
        """Count from zero again."""
        with self._lock:
            self.requests.clear()
            self.log.clear()
            self._bytes_sent.clear()

    def publish(
        self, repo: str, folder: str | os.PathLike[str], *, revision: str = "main", private: bool = False
    ) -> str:
        """Show a folder as a model's newest commit on a branch; gives the commit."""
        root = Path(folder)
        files = tuple(
            hub_file(path.relative_to(root).as_posix(), path)
            for path in sorted(root.rglob("*"))
            if path.is_file()
        )
        return self.publish_files(repo, files, revision=revision, private=private)

    def publish_files(
        self, repo: str, files: tuple[HubFile, ...], *, revision: str = "main", private: bool = False
    ) -> str:
        """Show files as a model's newest commit on a branch; gives the commit."""
        listing = "\n".join(f"{file.name} {file.etag} {file.num_bytes}" for file in files)
        commit = hashlib.sha1(f"{repo}\n{listing}".encode()).hexdigest()
        with self._lock:
            self._models.setdefault(repo, {})[commit] = files
            self._refs.setdefault(repo, {})[revision] = commit
            (self._private.add if private else self._private.discard)(repo)
        return commit

    def close(self) -> None:
        """Stop, and break all connections."""
        self.closed.set()
        for server in (self._http, self._cdn):
            if server is not None:
                server.stop()

    def find(self, repo: str, revision: str) -> tuple[str, tuple[HubFile, ...]] | None:
        """Return commit and files of a revision."""
        with self._lock:
            commit = self._refs.get(repo, {}).get(revision, revision)
            files = self._models.get(repo, {}).get(commit)
        return None if files is None else (commit, files)

    def has(self, repo: str) -> bool:
        """Tell whether a model is here."""
        return repo in self._models

    def is_hidden(self, repo: str, authorization: str | None) -> bool:
        """Tell whether a private model is asked for without the token."""
        return repo in self._private and authorization != f"Bearer {self.token}"

    def by_etag(self, etag: str) -> tuple[str, HubFile] | None:
        """Return a file by its hash."""
        with self._lock:
            for repo, commits in self._models.items():
                for files in commits.values():
                    for file in files:
                        if file.etag == etag:
                            return repo, file
        return None

    def note(self, request: FileRequest) -> None:
        """Remember a request."""
        with self._lock:
            self.requests.append(request)

    def count(self, name: str, num_bytes: int) -> None:
        """Count bytes that were sent."""
        with self._lock:
            self._bytes_sent[name] = self._bytes_sent.get(name, 0) + num_bytes


def hub_file(name: str, path: str | os.PathLike[str]) -> HubFile:
    """Describe a file as a hub does; reads all of it once."""
    path = Path(path)
    num_bytes = path.stat().st_size
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % num_bytes)
    with open(path, "rb") as file:
        while piece := file.read(1024 * 1024):
            sha256.update(piece)
            sha1.update(piece)
    is_large = num_bytes >= LARGE_BYTES or path.suffix in (".safetensors", ".bin", ".pt")
    return HubFile(name, path, num_bytes, sha1.hexdigest(), sha256.hexdigest() if is_large else None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, hub: HubServer, *, on_cdn: bool) -> None:
        self.hub = hub
        self.on_cdn = on_cdn
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, *_: Any) -> None:
        return

    def stop(self) -> None:
        self.shutdown()
        with self._lock:
            sockets = list(self._sockets)
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: Any) -> None:
        return

    def _answer(self) -> None:
        hub = self.server.hub
        hub.log.append((self.command, self.path, dict(self.headers.items())))
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        if self.server.on_cdn:
            found = hub.by_etag(path.rpartition("/")[2])
            return self._file(*found) if found else self._error(404, "EntryNotFound")
        if path.startswith("/api/models/"):
            return self._api(path.removeprefix("/api/models/"), parse_qs(parts.query))
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        if not rest or not hub.has(repo) or hub.is_hidden(repo, self.headers.get("Authorization")):
            return self._error(404 if rest else 400, "RepoNotFound")
        revision, _, name = rest.partition("/")
        listed = hub.find(repo, revision)
        if listed is None:
            return self._error(404, "RevisionNotFound")
        commit, files = listed
        for file in files:
            if file.name == name:
                return self._file(repo, file, commit)
        return self._error(404, "EntryNotFound", {"X-Repo-Commit": commit})

    def _api(self, path: str, query: dict[str, list[str]]) -> None:
        hub = self.server.hub
        repo, kind, revision = path, "revision", "main"
        for word in ("revision", "tree"):
            before, found, after = path.partition(f"/{word}/")
            if found:
                repo, kind, revision = before, word, after
        if not hub.has(repo) or hub.is_hidden(repo, self.headers.get("Authorization")):
            return self._error(401 if hub.has(repo) else 404, "RepoNotFound")
        listed = hub.find(repo, revision)
        if listed is None:
            return self._error(404, "RevisionNotFound")
        commit, files = listed
        if kind == "tree":
            return self._json([_tree_entry(file) for file in files])
        sizes = query.get("blobs") == ["true"] or query.get("blobs") == ["True"]
        return self._json(
            {
                "_id": commit[:24],
                "id": repo,
                "modelId": repo,
                "sha": commit,
                "private": False,
                "gated": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
                "siblings": [_sibling(file, sizes) for file in files],
            }
        )

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def _file(self, repo: str, file: HubFile, commit: str | None = None) -> None:
        hub = self.server.hub
        start, end, is_ranged = self._range(file)
        request = FileRequest(
            number=len(hub.requests),
            repo=repo,
            file=file,
            method=self.command,
            headers=dict(self.headers.items()),
            start=start,
            end=end,
            is_ranged=is_ranged,
            on_cdn=self.server.on_cdn,
        )
        hub.note(request)
        headers = {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes", "Date": formatdate(usegmt=True)}
        headers["Last-Modified"] = formatdate(file.path.stat().st_mtime, usegmt=True)
        headers["Content-Type"] = "application/octet-stream"
        if commit is not None:
            headers |= {"X-Repo-Commit": commit, "X-Linked-Size": str(file.num_bytes)}
            headers["X-Linked-ETag"] = f'"{file.etag}"'
        if commit is not None and hub.cdn_url is not None and file.sha256 is not None:
            headers["Location"] = f"{hub.cdn_url}/lfs/{file.etag}?X-Signature=s3cr3t"
            answer = Answer(302, headers, body=b"")
        elif is_ranged:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.num_bytes}"
            answer = Answer(206, headers, start, end)
        else:
            answer = Answer(200, headers, 0, file.num_bytes)
        if hub.tweak is not None:
            answer = hub.tweak(request, answer)
        if hub.first_byte_s:
            time.sleep(hub.first_byte_s)
        self._send(file, answer)

    def _range(self, file: HubFile) -> tuple[int, int, bool]:
        text = self.headers.get("Range", "")
        if_range = self.headers.get("If-Range")
        current = (f'"{file.etag}"', formatdate(file.path.stat().st_mtime, usegmt=True))
        if not text.startswith("bytes=") or (if_range is not None and if_range not in current):
            return 0, file.num_bytes, False
        first, _, last = text.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, file.num_bytes - int(last))
        end = min(file.num_bytes, int(last) + 1) if first and last else file.num_bytes
        return (start, end, True) if start < end else (0, file.num_bytes, False)

    def _send(self, file: HubFile, answer: Answer) -> None:
        self.send_response(answer.status)
        headers = dict(answer.headers)
        length = len(answer.body) if answer.body is not None else answer.end - answer.start
        if headers.get("Transfer-Encoding") is None:
            headers.setdefault("Content-Length", str(length))
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()
        if self.command == "HEAD":
            return
        if answer.body is not None:
            self.wfile.write(answer.body)
            return
        self._send_file(file, answer)

    def _send_file(self, file: HubFile, answer: Answer) -> None:
        hub = self.server.hub
        rate = hub.bytes_per_s
        began, sent = time.monotonic(), 0
        breaks = [n for n in (answer.cut_after_bytes, answer.stall_after_bytes) if n is not None]
        last = min([answer.end, *(answer.start + n for n in breaks)])
        with open(file.path, "rb") as source:
            position = answer.start
            while position < last:
                wanted = min(last - position, _PIECE_BYTES if rate else 16 * 1024 * 1024)
                if answer.change is None:
                    num_sent = os.sendfile(self.connection.fileno(), source.fileno(), position, wanted)
                else:
                    self.wfile.write(answer.change(os.pread(source.fileno(), wanted, position)))
                    num_sent = wanted
                if not num_sent:
                    break
                hub.count(file.name, num_sent)
                position += num_sent
                sent += num_sent
                pause = began + sent / rate - time.monotonic() if rate else 0.0
                if pause > 0 and hub.closed.wait(pause):
                    break
        if answer.stall_after_bytes is not None:
            hub.closed.wait()
        if breaks:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)


def _sibling(file: HubFile, sizes: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": file.name}
    if sizes:
        entry |= {"size": file.num_bytes, "blobId": file.git_sha1}
        if file.sha256 is not None:
            entry["lfs"] = {"sha256": file.sha256, "size": file.num_bytes, "pointerSize": 134}
    return entry


def _tree_entry(file: HubFile) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": file.name, "size": file.num_bytes, "oid": file.git_sha1}
    if file.sha256 is not None:
        entry["lfs"] = {"oid": file.sha256, "size": file.num_bytes, "pointerSize": 134}
    return entry


__all__ = ["Answer", "FileRequest", "HubFile", "HubServer", "Tweak", "hub_file", "replace"]
