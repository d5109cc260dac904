"""One TLS context for all calls to services: to make one reads a bundle of certificates, some 50 ms."""

from __future__ import annotations

import functools
import ssl
from typing import TYPE_CHECKING

from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import httpx
else:
    httpx = late("httpx")


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the context, which checks certificates as httpx does."""
    return httpx.create_ssl_context()
