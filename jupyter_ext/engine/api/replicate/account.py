"""The account, the hardware and the webhooks' secret: this user, this machine.

Source: Replicate's HTTP API reference, "account", "hardware" and "webhooks.default.secret".
"""

from __future__ import annotations

import getpass
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_ext.engine.api.http.requests import answer
from jupyter_ext.engine.trainings.delivery.signed_links import OWNER

HARDWARE = [{"name": "This machine", "sku": "local"}]


class AccountAPI:
    """Routes of the account and what belongs to it.

    Args:
        webhook_secret: Gives what webhooks are signed with.
    """

    def __init__(self, webhook_secret: Callable[[], str]) -> None:
        self._webhook_secret = webhook_secret

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/v1/account", self.account, methods=["GET"]),
            Route("/v1/hardware", self.hardware, methods=["GET"]),
            Route("/v1/webhooks/default/secret", self.secret, methods=["GET"]),
        ]

    async def account(self, request: Request) -> Response:
        """Tell whose engine this is."""
        try:
            name = getpass.getuser()
        except (OSError, KeyError):
            name = OWNER  # a uid without an entry in the user database
        return answer(
            {"type": "user", "username": OWNER, "name": name, "github_url": None, "avatar_url": None}
        )

    async def hardware(self, request: Request) -> Response:
        """List where a model can run: a plain array, as on the platform."""
        return answer(HARDWARE)

    async def secret(self, request: Request) -> Response:
        """Return what webhooks are signed with."""
        return answer({"key": self._webhook_secret()})
