"""Asking servers for ranges of files, and believing nothing that they answer before it is checked (`http_rules`).

Source: RFC 9110 (range requests, conditional requests); http.client, because it reads a body into our own buffer and is
several times as fast as clients that hand out `bytes` (docs/architecture/08-models.md).
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from jupyter_ext.engine.models.sources.http_rules import (
    Changed,
    TryAgain,
    checked_redirect,
    is_direct,
    origin,
    peer_is_public,
    proxy_headers,
    reason_of,
    refuse_status,
    tls_context,
    validator_of,
)
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import DownloadFailed

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_MAX_DRAINED_BYTES = 64 * 1024


@dataclass
class Remote:
    """A file at its server, as known from the answers so far.

    Attributes:
        url: Where it is asked for.
        num_bytes: Its size, as listed.
        has_hash: Whether what arrives is checked against a hash known beforehand.
        validator: Strong ETag of whoever serves the bytes.
        ranged: Whether ranges are served; `None` until the first answer.
        location: Where the last redirect led.
        is_public: Whether its server is one of the public network, by the address that was connected to; `None` until then.
    """

    url: str
    num_bytes: int
    has_hash: bool
    validator: str | None = None
    ranged: bool | None = None
    location: str | None = None
    is_public: bool | None = None

    @property
    def host(self) -> str:
        """Name the server in messages, without path or query."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass
class Body:
    """An answer's body, from `start` on. `skip` bytes of it come before what was asked for."""

    response: http.client.HTTPResponse
    skip: int = 0


@dataclass
class Connector:
    """Makes connections for one worker thread, and keeps the last of each origin open.

    Attributes:
        settings: Whose token, proxies and certificates.
        stall_s: A server that sends nothing for so long is given up.
    """

    settings: HubSettings
    stall_s: float
    _open: dict[tuple[str, str, int], http.client.HTTPConnection] = field(default_factory=dict)
    _sockets: dict[tuple[str, str, int], socket.socket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _public: dict[tuple[str, str, int], bool | None] = field(default_factory=dict)
    _stopped: bool = False

    def open_range(self, remote: Remote, start: int, end: int) -> Body:
        """Ask for the bytes `start` to `end` (exclusive) of a file.

        Raises:
            TryAgain: The network, or a passing state of the server.
            Changed: The server has another version of the file, or another size.
            DownloadFailed: The server refuses, or its answer can never be right.
        """
        url = remote.location or remote.url
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            stays_public = url != remote.url and remote.is_public is True
            response = self._request("GET", parts, start, end, remote.validator, stays_public=stays_public)
            if url == remote.url:
                remote.is_public = self._public.get(origin(parts))
            if response.status not in _REDIRECTS:
                return self._checked(remote, url, response, start, end)
            self._drain(parts, response)
            target = checked_redirect(url, response.getheader("Location"), may_leave=remote.has_hash)
            if origin(urlsplit(target)) != origin(parts):
                remote.location = target
            url = target
        raise DownloadFailed(f"{remote.host} redirects in circles; nothing was taken from it.")

    def head(self, remote_url: str, *, may_leave: bool) -> tuple[str, http.client.HTTPResponse]:
        """Ask for one byte of a file, to learn size, validator and whether ranges are served.

        Returns:
            Where the answer came from, and the answer with its headers; its body is not read.

        Raises:
            TryAgain: As `open_range`.
            DownloadFailed: As `open_range`.
        """
        url = remote_url
        is_public: bool | None = None
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            response = self._request("GET", parts, 0, 1, None, stays_public=is_public is True)
            if url == remote_url:
                is_public = self._public.get(origin(parts))
            if response.status not in _REDIRECTS:
                self._drain(parts, response)
                refuse_status(
                    response, url, is_redirected=url != remote_url, has_token=self._has_token(parts)
                )
                return url, response
            self._drain(parts, response)
            url = checked_redirect(url, response.getheader("Location"), may_leave=may_leave)
        raise DownloadFailed(f"{remote_url.split('?')[0]} redirects in circles.")

    def done(self, body: Body) -> None:
        """End with a body: the connection is used again if all of it was read."""
        if not body.response.isclosed():
            self.drop()

    def drop(self) -> None:
        """Close all connections."""
        with self._lock:
            connections, self._open, self._sockets = list(self._open.values()), {}, {}
        for connection in connections:
            connection.close()

    def stop(self) -> None:
        """Break what is waiting in another thread, for good."""
        with self._lock:
            self._stopped = True
            # Not the connections' own: they hand theirs to an answer that ends with the connection.
            sockets = list(self._sockets.values())
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _request(
        self,
        method: str,
        parts: SplitResult,
        start: int,
        end: int,
        validator: str | None,
        *,
        stays_public: bool = False,
    ) -> http.client.HTTPResponse:
        headers = {
            "Host": parts.netloc.rpartition("@")[2],
            "User-Agent": "jupyter-ext",
            "Accept-Encoding": "identity",
            "Range": f"bytes={start}-{end - 1}",
        }
        if validator is not None:
            headers["If-Range"] = validator
        if parts.scheme == "http" and (proxy := self._proxy("http", parts)):
            headers |= proxy_headers(proxy)
        if self._has_token(parts) and self.settings.token is not None:
            headers["Authorization"] = f"Bearer {self.settings.token.get_secret_value()}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        for is_last in (False, True):
            connection, is_new = self._connection(parts)
            if stays_public and self._public.get(origin(parts)) is False:
                self.drop()
                raise DownloadFailed(
                    f"A redirect leads to {parts.scheme}://{parts.netloc}, which is in this machine's own network; "
                    "it was not followed."
                )
            try:
                connection.request(method, self._target(parts, target), headers=headers)
                return connection.getresponse()
            except (http.client.HTTPException, OSError) as error:
                self.drop()
                # A server may close a kept connection at any time; that says nothing about it.
                if is_new or is_last or isinstance(error, TimeoutError):
                    raise TryAgain(reason_of(error)) from None
        raise AssertionError("unreachable")

    def _has_token(self, parts: SplitResult) -> bool:
        return self.settings.token is not None and origin(parts) == origin(urlsplit(self.settings.endpoint))

    def _connection(self, parts: SplitResult) -> tuple[http.client.HTTPConnection, bool]:
        key = origin(parts)
        with self._lock:
            if self._stopped:
                raise TryAgain("stopped")
            kept = self._open.get(key)
        if kept is not None and kept.sock is not None:
            return kept, False
        connection = self._connect(parts)
        is_proxied = self._proxy(parts.scheme, parts) is not None
        self._public[key] = None if is_proxied else peer_is_public(connection.sock)
        with self._lock:
            if self._stopped:
                connection.close()
                raise TryAgain("stopped")
            self._open[key] = connection
            self._sockets[key] = connection.sock
        return connection, True

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        scheme, host, port = origin(parts)
        proxy = self._proxy(scheme, parts)
        to_host, to_port = (proxy.hostname or "", proxy.port or 3128) if proxy else (host, port)
        connection: http.client.HTTPConnection
        if scheme == "https":
            connection = http.client.HTTPSConnection(
                to_host, to_port, timeout=CONNECT_TIMEOUT_S, context=tls_context(self.settings.ca_file)
            )
            if proxy:
                connection.set_tunnel(host, port, headers=proxy_headers(proxy))
        else:
            connection = http.client.HTTPConnection(to_host, to_port, timeout=CONNECT_TIMEOUT_S)
        try:
            connection.connect()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise DownloadFailed(
                    f"The certificate of {host} is not trusted ({error.verify_message}); set SSL_CERT_FILE if it is yours."
                ) from None
            raise TryAgain(reason_of(error)) from None
        connection.sock.settimeout(self.stall_s)
        return connection

    def _proxy(self, scheme: str, parts: SplitResult) -> SplitResult | None:
        address = self.settings.proxies.get(scheme)
        if not address or is_direct(parts.hostname or "", self.settings.no_proxy):
            return None
        proxy = urlsplit(address)
        if proxy.scheme != "http" or not proxy.hostname:
            raise DownloadFailed(
                f"The proxy {proxy.scheme}://{proxy.hostname or ''} is of a kind that is not spoken here; "
                "name an http:// proxy, or exempt the hub in NO_PROXY."
            )
        return proxy

    def _target(self, parts: SplitResult, target: str) -> str:
        if parts.scheme == "http" and self._proxy("http", parts):
            return f"http://{parts.netloc}{target}"
        return target

    def _drain(self, parts: SplitResult, response: http.client.HTTPResponse) -> None:
        """Read a small body that nobody wants, so that the connection can be used again."""
        try:
            if response.length is not None and response.length <= _MAX_DRAINED_BYTES:
                response.read()
        except (http.client.HTTPException, OSError):
            pass
        if not response.isclosed():
            self.drop()

    def _checked(
        self, remote: Remote, url: str, response: http.client.HTTPResponse, start: int, end: int
    ) -> Body:
        try:
            parts = urlsplit(url)
            is_redirected = origin(parts) != origin(urlsplit(remote.url))
            refuse_status(response, url, is_redirected=is_redirected, has_token=self._has_token(parts))
            if response.status == 416:
                raise Changed(f"{remote.host} has no bytes {start}-{end - 1}")
            encoding = response.getheader("Content-Encoding", "identity").strip().lower()
            if encoding not in ("", "identity"):
                raise DownloadFailed(
                    f"{remote.host} sent the file packed as {encoding!r} though asked not to; it was not taken."
                )
            validator = validator_of(response)
            # A part is of the version that If-Range named, whether or not the answer names it again.
            unnamed = validator is None and (response.status == 206 or remote.has_hash)
            if remote.validator is not None and validator != remote.validator and not unnamed:
                raise Changed(f"{remote.host} has another version of the file")
            body = (
                self._partial_body(remote, response, start, end)
                if response.status == 206
                else self._whole_body(remote, response, start)
            )
        except TryAgain:
            # A link to another origin may have expired; the next attempt asks for a new one.
            remote.location = None
            self.drop()
            raise
        except (Changed, DownloadFailed):
            self.drop()
            raise
        remote.validator = remote.validator or validator
        return body

    def _partial_body(self, remote: Remote, response: http.client.HTTPResponse, start: int, end: int) -> Body:
        found = _CONTENT_RANGE.fullmatch(response.getheader("Content-Range", "").strip())
        if found is None:
            raise TryAgain(f"{remote.host} does not say which bytes it sent")
        first, last, total = int(found[1]), int(found[2]), found[3]
        if total != "*" and int(total) != remote.num_bytes:
            raise _other_size(remote, int(total))
        if first != start or last < first or last >= end:
            raise TryAgain(f"{remote.host} sent bytes {first}-{last} when asked for {start}-{end - 1}")
        remote.ranged = True
        return Body(response)

    def _whole_body(self, remote: Remote, response: http.client.HTTPResponse, start: int) -> Body:
        length = response.length
        if length is not None and length != remote.num_bytes:
            raise _other_size(remote, length)
        if remote.ranged:
            raise TryAgain(f"{remote.host} sent the whole file when asked for a part")
        remote.ranged = False
        return Body(response, skip=start)


def _other_size(remote: Remote, num_bytes: int) -> Exception:
    """Return what a wrong size means: a server that lies, or, where the server itself was asked before, another file."""
    if not remote.has_hash:
        return Changed(f"{remote.host} has {num_bytes} bytes now, and had {remote.num_bytes}")
    path = urlsplit(remote.url).path
    return DownloadFailed(
        f"{remote.host} says that {path} has {num_bytes} bytes, and lists it with {remote.num_bytes}; it was not taken."
    )
