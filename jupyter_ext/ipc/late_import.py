"""Modules that are imported when something of them is first used: an engine that speaks with no service loads no HTTP client.

Rule: only what the first answers never need is late, and only where it costs: `httpx` brings its command line, a tenth of a second
and 6 MB. A late module is written as

    if TYPE_CHECKING:
        import httpx
    else:
        httpx = late("httpx")
"""

from __future__ import annotations

import importlib
from typing import Any


class _Late:
    """Stands in for a module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Import the module, and keep what was asked for of it."""
        if attribute.startswith("__"):  # whoever looks at the stand-in itself
            raise AttributeError(attribute)
        found = getattr(importlib.import_module(self._name), attribute)
        setattr(self, attribute, found)
        return found


def late(name: str) -> Any:
    """Return a stand-in for a module, which is imported when something of it is first used."""
    return _Late(name)
