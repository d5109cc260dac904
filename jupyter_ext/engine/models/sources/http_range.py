"""Asking servers for ranges of files, and believing nothing that they answer before it is checked.

The token goes to the hub's own origin only. A redirect to another origin is followed without it, and only for bytes whose
hash is known beforehand; never from https to http, and never from a public host into this machine or its network.

Source: RFC 9110 (range requests, conditional requests, Retry-After); http.client, because it reads a body into our own
buffer and is several times as fast as clients that hand out `bytes` (docs/architecture/08-models.md).
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import re
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import DownloadFailed

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 5
MAX_RETRY_AFTER_S = 300.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MIN_AGE_S = 60.0
_MAX_DRAINED_BYTES = 64 * 1024


class TryAgain(Exception):
    """Nothing wrong that another attempt may not mend.

    Args:
        reason: One line.
        pause_s: How long the server asks to wait.
    """

    def __init__(self, reason: str, pause_s: float = 0.0) -> None:
        super().__init__(reason)
        self.pause_s = pause_s


class Changed(Exception):
    """The file at the server is another one than the one that was begun."""


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
    """

    url: str
    num_bytes: int
    has_hash: bool
    validator: str | None = None
    ranged: bool | None = None
    location: str | None = None

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
            response = self._request("GET", parts, start, end, remote.validator)
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
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            response = self._request("GET", parts, 0, 1, None)
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
        self, method: str, parts: SplitResult, start: int, end: int, validator: str | None
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
            headers |= _proxy_headers(proxy)
        if self._has_token(parts) and self.settings.token is not None:
            headers["Authorization"] = f"Bearer {self.settings.token.get_secret_value()}"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        for is_last in (False, True):
            connection, is_new = self._connection(parts)
            try:
                connection.request(method, self._target(parts, target), headers=headers)
                return connection.getresponse()
            except (http.client.HTTPException, OSError) as error:
                self.drop()
                # A server may close a kept connection at any time; that says nothing about it.
                if is_new or is_last or isinstance(error, TimeoutError):
                    raise TryAgain(_reason(error)) from None
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
                connection.set_tunnel(host, port, headers=_proxy_headers(proxy))
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
            raise TryAgain(_reason(error)) from None
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
    """Give what a wrong size means: a server that lies, or, where the server itself was asked before, another file."""
    if not remote.has_hash:
        return Changed(f"{remote.host} has {num_bytes} bytes now, and had {remote.num_bytes}")
    path = urlsplit(remote.url).path
    return DownloadFailed(
        f"{remote.host} says that {path} has {num_bytes} bytes, and lists it with {remote.num_bytes}; it was not taken."
    )


def refuse_status(
    response: http.client.HTTPResponse, url: str, *, is_redirected: bool, has_token: bool
) -> None:
    """Turn an answer that holds no file into an error.

    Raises:
        TryAgain: It may be another one soon.
        DownloadFailed: It will be the same.
    """
    status = response.status
    if status in (200, 206, 416):
        return
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.netloc}"
    if status in _RETRIED:
        raise TryAgain(f"{where} answered {status}", retry_after_s(response.getheader("Retry-After", "")))
    if is_redirected and status in (400, 401, 403, 404, 410):
        raise TryAgain(f"{where} answered {status}")
    if status in (401, 403):
        hint = "your token may not open it" if has_token else "set HF_TOKEN to a token that may open it"
        raise DownloadFailed(f"{where} refused {parts.path} ({status}); {hint}.")
    if status in (404, 410):
        raise DownloadFailed(
            f"{where} has no {parts.path} ({status}); check the name or look for a newer revision."
        )
    raise DownloadFailed(f"{where} answered {status} to {parts.path}; try again later.")


def checked_redirect(url: str, location: str | None, *, may_leave: bool) -> str:
    """Give where a redirect leads.

    Args:
        url: Who redirects.
        location: The header.
        may_leave: Whether another origin may be asked, because the bytes will be checked.

    Raises:
        DownloadFailed: Nowhere, or where nobody should follow.
    """
    here = urlsplit(url)
    where = f"{here.scheme}://{here.netloc}"
    try:
        target = urljoin(url, location or "").partition("#")[0]
        there = urlsplit(target)
        there_origin = origin(there)
    except ValueError:
        raise DownloadFailed(
            f"{where} redirects to something that is no address; it was not followed."
        ) from None
    if (
        not location
        or there.scheme not in ("http", "https")
        or not there.hostname
        or there.username is not None
    ):
        raise DownloadFailed(f"{where} redirects to something that is no address; it was not followed.")
    shown = f"{there.scheme}://{there.netloc}"
    if there_origin == origin(here):
        return target
    if here.scheme == "https" and there.scheme == "http":
        raise DownloadFailed(f"{where} redirects to {shown}, which is not encrypted; it was not followed.")
    if is_local(there.hostname) and not is_local(here.hostname or ""):
        raise DownloadFailed(
            f"{where} redirects to {shown} in this machine's own network; it was not followed."
        )
    if not may_leave:
        raise DownloadFailed(
            f"{where} redirects elsewhere, to {shown}, and no hash is known; give that address, or add #sha256=… to this one."
        )
    return target


def origin(parts: SplitResult) -> tuple[str, str, int]:
    """Give scheme, host and port of an address."""
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme, 0)


def is_local(host: str) -> bool:
    """Tell whether a host is named as this machine or one of a private network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    return not address.is_global


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def is_direct(host: str, no_proxy: str) -> bool:
    """Tell whether a host is among those that are asked without a proxy: `*`, names, or domains they end with."""
    domains = [entry.strip().lstrip(".").lower() for entry in no_proxy.split(",")]
    return "*" in domains or any(d and (host == d or host.endswith(f".{d}")) for d in domains)


def validator_of(response: http.client.HTTPResponse) -> str | None:
    """Give what tells versions of a file apart: its strong ETag, or else the time of its last change.

    A weak ETag does not tell bytes apart, and neither does a time that is not a while ago (RFC 9110, 8.8.2.2).
    """
    etag = (response.getheader("ETag") or "").strip()
    if re.fullmatch(r'"[\x21\x23-\x7e]*"', etag):
        return etag
    changed = response.getheader("Last-Modified") or ""
    try:
        age = datetime.now(UTC) - parsedate_to_datetime(changed)
    except (ValueError, TypeError):
        return None
    return changed if age.total_seconds() > _MIN_AGE_S else None


def retry_after_s(text: str) -> float:
    """Read a Retry-After header, seconds or an HTTP date; at most five minutes."""
    try:
        pause_s = float(text)
    except ValueError:
        try:
            pause_s = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(MAX_RETRY_AFTER_S, max(0.0, pause_s)) if pause_s == pause_s else 0.0


@lru_cache(maxsize=4)
def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Give what checks servers' certificates; made once, as reading the certificates takes 20 ms."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise DownloadFailed(f"The certificates in {ca_file} cannot be read ({error.strerror}).") from None


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server sent nothing for too long"
    if isinstance(error, socket.gaierror):
        return "the server's name is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"the connection broke ({type(error).__name__})"
