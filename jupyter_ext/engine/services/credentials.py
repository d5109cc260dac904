"""A service's token: from the notebook's environment, the user's keyring, or the engine's own environment, in this order.

Rule: tokens are held in memory only, and one that was found for a service is never sent to another.

In the keyring the service's name is `jupyter-ext` and the user's name is the host (and port) of the base URL:
`keyring set jupyter-ext api.replicate.com`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "REPLICATE_API_TOKEN"
KEYRING_SERVICE = "jupyter-ext"
_KEYRING_WAIT_S = 20.0
"""A keyring may ask the user to unlock it."""


class Tokens:
    """Tokens by base URL.

    Args:
        variable: The environment variable that holds one.
    """

    def __init__(self, variable: str = TOKEN_VARIABLE) -> None:
        self._variable = variable
        self._told: dict[str, str] = {}
        self._asking: dict[str, asyncio.Task[str | None]] = {}

    def remember(self, base_url: str, environ: Mapping[str, str] | None) -> None:
        """Take the token that a notebook's environment holds, if it does, for this service."""
        token = (environ or {}).get(self._variable, "").strip()
        if token:
            self._told[base_url] = token

    async def find(self, base_url: str, refused: str | None = None) -> str | None:
        """Return the token for a service, looked up anew, or `None`.

        Args:
            base_url: The service's.
            refused: A token that the service did not take; it is given only where there is no other.
        """
        told = self._told.get(base_url)
        if told and told != refused:
            return told
        kept = await self._from_keyring(base_url)
        if kept and kept != refused:
            return kept
        own = os.environ.get(self._variable, "").strip()
        return own if own and own != refused else told or kept or own or None

    async def _from_keyring(self, base_url: str) -> str | None:
        """Ask the keyring, once for all who wait: it may show a window."""
        task = self._asking.get(base_url)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(_ask_keyring, keyring_user(base_url)))
            self._asking[base_url] = task
            task.add_done_callback(lambda _: self._asking.pop(base_url, None))
        try:
            async with asyncio.timeout(_KEYRING_WAIT_S):
                return await asyncio.shield(task)
        except TimeoutError:
            log.warning("the keyring has not answered in %.0f s", _KEYRING_WAIT_S)
            return None


def keyring_user(base_url: str) -> str:
    """Return the name under which the keyring holds the token for a service: its host, and port if one is named."""
    parts = urlsplit(base_url)
    return parts.hostname + (f":{parts.port}" if parts.port else "") if parts.hostname else ""


def how_to_set(base_url: str) -> str:
    """Say in one sentence where a token is looked for."""
    return (
        f"set {TOKEN_VARIABLE} in the notebook, or keep it for good with `keyring set {KEYRING_SERVICE} "
        f"{keyring_user(base_url)}` (pip install jupyter-ext[keyring])"
    )


def _ask_keyring(user: str) -> str | None:
    try:
        import keyring
    except ImportError:
        return None
    try:
        found = keyring.get_password(KEYRING_SERVICE, user)
    except Exception as error:  # noqa: BLE001 whatever somebody else's backend raises; its text might hold anything
        log.warning("the keyring could not be asked: %s", type(error).__name__)
        return None
    return (found or "").strip() or None
