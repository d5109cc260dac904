"""What a server's answer is worth: which status is tried again, where a redirect may lead, what tells versions apart.

The token goes to the hub's own origin only. A redirect to another origin is followed without it, and only for bytes whose
hash is known beforehand; never from https to http, and never from a public host into this machine or its network, by the
address that was connected to (`peer_is_public`) and not by its name alone.

Source: RFC 9110 (redirects, validators, Retry-After).
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import re
import socket
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from jupyter_ext.errors import DownloadFailed

MAX_RETRY_AFTER_S = 300.0
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_MIN_AGE_S = 60.0


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
    """Return where a redirect leads.

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
    """Return scheme, host and port of an address."""
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _DEFAULT_PORTS.get(scheme, 0)


def is_local(host: str) -> bool:
    """Tell whether a host is named as this machine or one of a private network."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))
    return not address.is_global


def peer_is_public(connected: socket.socket) -> bool:
    """Tell whether a socket is connected to the public network: names and odd spellings of addresses can say anything."""
    try:
        return ipaddress.ip_address(connected.getpeername()[0].partition("%")[0]).is_global
    except (OSError, ValueError):
        return False


def proxy_headers(proxy: SplitResult) -> dict[str, str]:
    """Return what a proxy wants of whoever logs in to it."""
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def is_direct(host: str, no_proxy: str) -> bool:
    """Tell whether a host is among those that are asked without a proxy: `*`, names, or domains they end with."""
    domains = [entry.strip().lstrip(".").lower() for entry in no_proxy.split(",")]
    return "*" in domains or any(d and (host == d or host.endswith(f".{d}")) for d in domains)


def validator_of(response: http.client.HTTPResponse) -> str | None:
    """Return what tells versions of a file apart: its strong ETag, or else the time of its last change.

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
    """Return what checks servers' certificates; made once, as reading the certificates takes 20 ms."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise DownloadFailed(f"The certificates in {ca_file} cannot be read ({error.strerror}).") from None


def reason_of(error: Exception) -> str:
    """Say in a few words why there was no answer."""
    if isinstance(error, TimeoutError):
        return "the server sent nothing for too long"
    if isinstance(error, socket.gaierror):
        return "the server's name is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return f"the connection broke ({type(error).__name__})"
