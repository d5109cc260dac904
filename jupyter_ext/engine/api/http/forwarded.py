"""The name that a client knows this engine by, where a reverse proxy stands between them.

Rule: `X-Forwarded-*` is believed only if the host that it names is one that the user has named
(`JUPYTER_EXT_FORWARDED_HOSTS`): anybody can send these headers, and what is made of them is a link with a signature, or
the address that webhooks carry.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"([a-z0-9](?:[a-z0-9.-]{0,252}))(?::(\d{1,5}))?", re.IGNORECASE)
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")
"""No empty segments; `.` and `..`, which a browser would resolve, are refused below."""


class Forwarded:
    """ASGI middleware: a request of a known proxy gets the scheme, host and path prefix that its client asked for."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under the name that its client knows."""
        if self._hosts and scope["type"] == "http":
            scope = self._as_asked(scope)
        await self._app(scope, receive, send)

    def _as_asked(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        host = _first(headers.get("x-forwarded-host", ""))
        found = _HOST.fullmatch(host)
        if found is None or found[1].lower() not in self._hosts:
            return scope
        scheme = _first(headers.get("x-forwarded-proto", "")).lower()
        prefix = headers.get("x-forwarded-prefix", "").strip().rstrip("/")
        if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
            prefix = ""
        port = _first(headers.get("x-forwarded-port", ""))
        if found[2] is None and re.fullmatch(r"\d{1,5}", port) and port not in ("80", "443"):
            host = f"{host}:{port}"
        changed = {**scope, "headers": list(scope["headers"])}
        MutableHeaders(scope=changed)["host"] = host
        changed["scheme"] = scheme if scheme in ("http", "https") else scope["scheme"]
        changed["root_path"] = prefix
        changed["path"] = prefix + scope["path"]
        return changed


def _first(text: str) -> str:
    """Return what the outermost of several proxies said."""
    return text.partition(",")[0].strip()
