"""Addresses that a user names: no secret may be in one, as addresses are stored, listed and told.

Rule: every address is checked here before anything is done with it, and what is told of one that is refused is its host.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

from jupyter_ext.errors import InvalidInput

_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?")
_SCHEME = re.compile(r"(https?)://", re.IGNORECASE)
_SECRET = re.compile(
    r"(^|[_.-])(key|apikey|token|accesstoken|secret|password|passwd|pwd|auth|authorization|signature|sig|credentials?)$"
    r"|api_?key|access_?token",
    re.IGNORECASE,
)


def shown(address: str) -> str:
    """Return what may be told of an address, or of what should have been one: scheme and host at most."""
    text = address.strip()
    if not re.search(r"[@?#=\s]", text):
        return text[:100]
    scheme, mark, rest = text.partition("://")
    if not mark:
        return "…"
    if (
        "@" in rest
    ):  # whoever wrote a password with a slash in it has written no host that could be told for sure
        host = "" if re.search(r"[?#]", rest) else rest.rpartition("@")[2]
    else:
        host = rest
    host = re.split(r"[/?#\s]", host)[0]
    return (
        f"{scheme[:20]}://{host[:100]}"
        if _HOST.fullmatch(host) and scheme.isalnum()
        else f"{scheme[:20]}://…"
    )


def checked_base_url(address: str, what: str, example: str, instead: str = "") -> str:
    """Return the base URL of a service without a slash at its end.

    Args:
        address: What the user gave.
        what: Its name for the user, such as `on`.
        example: One that is right.
        instead: Where its key or token belongs.

    Raises:
        InvalidInput: It is none, or holds a name, a password, a query or a fragment; nothing secret is repeated.
    """
    instead = f", and {instead}" if instead else ""
    if "@" in address or re.search(r"[?#]", address):
        raise InvalidInput(
            f"{what} {shown(address)!r} is no base URL, as it holds a password, a query or a fragment; give one such as {example}{instead}."
        )
    try:
        parts = urlsplit(address)
        good = bool(_SCHEME.match(address) and parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or re.search(r"[\s\x00-\x20\x7f]", address):
        raise InvalidInput(f"{what} {shown(address)!r} is no base URL; give one such as {example}.")
    return address.rstrip("/")


def secret_in(address: str) -> str | None:
    """Tell what in an address looks like a secret, or `None`: for addresses that may have a query.

    Args:
        address: Of a receiver of webhooks.
    """
    parts = urlsplit(address)
    if "@" in parts.netloc:
        return "a name or password"
    named = next(
        (name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _SECRET.search(name)), None
    )
    return None if named is None else f"a secret ({named[:40]}=…)"
