"""User: the only one there is, who runs this engine. Billing, quotas and teams do not exist here and are not pretended."""

from __future__ import annotations

from jupyter_ext.engine.api.decthings.listing import LOCAL_OWNER
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call
from jupyter_ext.engine.api.decthings.rpc.dispatch import Methods


class UserRpc:
    """Methods of the API User."""

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "findMatchingUsers": self.find,
            "getUsers": self.get,
            "getNotifications": self.notifications,
        }

    async def find(self, call: Call) -> Answer:
        """Find users by their name."""
        wanted = call.text("searchTerm").lower()
        return {"users": [LOCAL_OWNER] if wanted in LOCAL_OWNER["username"] else []}, ()

    async def get(self, call: Call) -> Answer:
        """Return users by id."""
        return {"users": [LOCAL_OWNER] if LOCAL_OWNER["userId"] in call.texts("userIds") else []}, ()

    async def notifications(self, call: Call) -> Answer:
        """Return notifications, of which there are none."""
        return {"notifications": []}, ()
