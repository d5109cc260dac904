"""Decthings' variable-length integer; it lives on the worker's side, which needs nothing but the standard library."""

from __future__ import annotations

from jupyter_ext.ipc.decthings.varint import WireError as WireError
from jupyter_ext.ipc.decthings.varint import decode as decode
from jupyter_ext.ipc.decthings.varint import encode as encode

__all__ = ["WireError", "decode", "encode"]
