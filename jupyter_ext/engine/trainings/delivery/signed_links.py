"""Capability links: URLs that open one file or one stream for a while, for clients that send no token with them.

Source: Replicate's HTTP API reference, files.download: the signature is the base64 of the HMAC-SHA256 of
"{owner} {id} {expiry}".
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from urllib.parse import urlencode

OWNER = "local"
"""The account that owns everything here, and the first half of the names of models from notebook cells."""
VALID_S = 24 * 3600
_STEP_S = 3600
"""Expiries are full hours, so that a link stays the same while somebody polls."""

_FILE = re.compile(r"/v1/files/([0-9a-v]{26})/download")
_STREAM = re.compile(r"/v1/(?:trainings|predictions)/([0-9a-v]{26})/stream")


class SignedLinks:
    """Makes and checks capability links.

    Args:
        key: Secret of this engine; a link lives no longer than it.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def file(self, id: str, now: float | None = None) -> str:
        """Return the path and query under which anybody may read a file until the link expires."""
        expiry = _expiry(now)
        return f"/v1/files/{id}/download?" + urlencode(
            {"owner": OWNER, "expiry": expiry, "signature": self.sign(f"{OWNER} {id} {expiry}")}
        )

    def stream(self, kind: str, id: str, now: float | None = None) -> str:
        """Return the path and query under which anybody may follow a training or prediction until the link expires."""
        expiry = _expiry(now)
        signature = self.sign(f"stream {id} {expiry}")
        return f"/v1/{kind}s/{id}/stream?" + urlencode({"expiry": expiry, "signature": signature})

    def allow(self, path: str, query: Mapping[str, str], now: float | None = None) -> bool:
        """Tell whether a link is one of ours, is for this path and has not expired."""
        expiry, signature = query.get("expiry", ""), query.get("signature", "")
        if not re.fullmatch(r"\d{1,12}", expiry) or int(expiry) < (time.time() if now is None else now):
            return False
        if found := _FILE.fullmatch(path):
            message = f"{query.get('owner', '')} {found[1]} {expiry}"
            return query.get("owner") == OWNER and self._is_signature(signature, message)
        if found := _STREAM.fullmatch(path):
            return self._is_signature(signature, f"stream {found[1]} {expiry}")
        return False

    def sign(self, message: str) -> str:
        """Return the base64 of the HMAC-SHA256 of a message."""
        return base64.b64encode(hmac.digest(self._key, message.encode(), hashlib.sha256)).decode()

    def _is_signature(self, given: str, message: str) -> bool:
        return hmac.compare_digest(given.encode(), self.sign(message).encode())


def _expiry(now: float | None) -> int:
    return int(((time.time() if now is None else now) + VALID_S) // _STEP_S + 1) * _STEP_S
