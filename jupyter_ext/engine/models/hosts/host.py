"""A model's host as the engine knows it: what it last said of itself, and the connection to ask it by."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.hosts.directory import HostDirectory
from jupyter_ext.ipc.channel import AsyncConnection, ChannelClosed
from jupyter_ext.protocol.models import ModelHost, ModelUser
from jupyter_ext.worker.model_host.messages import HostState

_ANSWER_TIMEOUT_S = 5.0
_TELL_FROM_BYTES = 64 << 20
"""An estimate that is wrong by less than this is not worth a word."""
_SAME = (
    "device",
    "dtype",
    "task",
    "pid",
    "load_s",
    "num_calls",
    "in_flight",
    "keep_alive_s",
    "pinned",
    "state",
    "memory_bytes",
    "private_bytes",
    "device_bytes",
)
"""What is called the same by the host and in its resource."""


@dataclass
class RunningHost:
    """One host. `used_at` is when it was last used, by the machine's monotonic clock; `ending` is set once somebody unloads it."""

    model_id: str
    directory: HostDirectory
    resource: ModelHost
    estimate: memory.Estimate | None
    used_at: float = 0.0
    weights_bytes: int = 0
    connection: AsyncConnection | None = None
    notices: list[str] = field(default_factory=list)
    ending: bool = False

    @property
    def taken_bytes(self) -> int:
        """What its end gives back."""
        estimated = 0 if self.estimate is None else self.estimate.memory_bytes
        return max(estimated, self.resource.memory_bytes or 0)

    @property
    def may_be_ended(self) -> bool:
        """Whether it may be ended to make room: nobody has pinned it, and it is in no call."""
        resource = self.resource
        return (
            resource.state == "ready"
            and not resource.pinned
            and not resource.in_flight
            and not self.ending
            and resource.device == "cpu"
        )

    async def connect(self, user: ModelUser | None = None) -> None:
        """Connect, and ask for its state; a user is attached at once.

        Raises:
            ChannelClosed: It is gone.
            CallError: It refuses.
            TimeoutError: It does not answer.
        """
        self.connection = await AsyncConnection.open(self.resource.calls)
        if user is None:
            await self.ask("status")
        else:
            await self.ask("attach", attaching(user))

    async def ask(self, op: str, params: Mapping[str, object] | None = None) -> Mapping[str, object]:
        """Ask something; where the answer is the host's state, take that over.

        Raises:
            ChannelClosed: It is gone, or not ready.
            CallError: It refuses.
            TimeoutError: It does not answer.
        """
        if self.connection is None:
            raise ChannelClosed("the host is not ready")
        async with asyncio.timeout(_ANSWER_TIMEOUT_S):
            state, _ = await self.connection.call(op, params)
        if "pid" in state:
            self._take(cast("HostState", state))
        return state

    def _take(self, state: HostState) -> None:
        self.used_at, self.weights_bytes = state["used_at"], state["weights_bytes"]
        expires_at = state["expires_at"]
        users = [
            ModelUser(id=user["id"], name=user["name"], pid=user["pid"], since=rfc3339(user["since"]))
            for user in state["users"]
        ]
        self.resource = self.resource.model_copy(
            update={
                **{name: value for name, value in state.items() if name in _SAME},
                "estimated_bytes": None if self.estimate is None else self.estimate.memory_bytes,
                "loaded_at": rfc3339(state["loaded_at"]),
                "expires_at": None if expires_at is None else rfc3339(expires_at),
                "users": users,
                "notices": [*state["notices"], *self.notices],
            }
        )

    def compare(self) -> None:
        """Tell where the estimate was wrong."""
        report, estimate = self.directory.report, self.estimate
        if report is None or report["state"] == "failed" or estimate is None or self.resource.device != "cpu":
            return
        measured, expected = report["grown_bytes"], estimate.weights_bytes
        wrong = abs(measured - expected)
        if wrong > max(memory.WRONG_BY * expected, _TELL_FROM_BYTES):
            self.notices.append(
                f"Loading took {format_bytes(measured)} of memory, the estimate was {format_bytes(expected)}."
            )
            self.resource = self.resource.model_copy(
                update={"notices": [*self.resource.notices, *self.notices]}
            )


def attaching(user: ModelUser) -> dict[str, Any]:
    """Return what attaches a user."""
    return {"user": {"id": user.id, "name": user.name, "pid": user.pid}}


def shown(host: ModelHost) -> dict[str, Any]:
    """Return what a viewer would see change: memory in steps of 10 MB."""
    report = host.model_dump(exclude={"expires_at"})
    for name in ("memory_bytes", "private_bytes", "device_bytes"):
        report[name] = round((report[name] or 0) / 1e7)
    return report
