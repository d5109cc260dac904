"""One TLS context for all calls to services: to make one reads a bundle of certificates, some 50 ms."""

from __future__ import annotations

import functools
import ssl

import httpx


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Give the context, which checks certificates as httpx does."""
    return httpx.create_ssl_context()
