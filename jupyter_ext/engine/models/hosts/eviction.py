"""Memory for another model: what there is, and which hosts end for it.

Rule: nothing that is in a call or pinned is ended, and nothing at all where that would not be enough.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.hosts.host import RunningHost
from jupyter_ext.errors import DoesNotFit
from jupyter_ext.ipc.channel import CallError, ChannelClosed

log = logging.getLogger(__name__)


class MemoryBudget:
    """The memory that hosts share.

    Args:
        hosts: All of them, by model id; only looked at.
        end: Waits for the end of a host that has retired, and forgets it.
        budget_bytes: What all hosts may take together; by default what the machine has.
    """

    def __init__(
        self,
        hosts: Mapping[str, RunningHost],
        end: Callable[[RunningHost], Awaitable[None]],
        budget_bytes: int | None,
    ) -> None:
        self._hosts = hosts
        self._end = end
        self._budget_bytes = budget_bytes

    async def ensure_fits(self, host: RunningHost, device: str) -> None:
        """Ensure that a model fits, ending hosts that nobody needs, the longest unused first.

        Raises:
            DoesNotFit: It does not, and nothing that could be ended would change that.
        """
        assert host.estimate is not None
        if device != "cpu":
            await _check_device(host, host.estimate, device)
            return
        needed = host.estimate.memory_bytes
        while (available := self._available()) < needed:
            idle = [other for other in self._hosts.values() if other.may_be_ended]
            if available + sum(other.taken_bytes for other in idle) < needed:
                raise DoesNotFit(self._refusal(host, host.estimate, available))
            victim = min(idle, key=lambda other: other.used_at)
            log.info("ending the host of %s to make room for %s", victim.model_id, host.model_id)
            with contextlib.suppress(ChannelClosed, CallError, TimeoutError):
                answer = await victim.ask("retire", {"reason": "room", "used_before": victim.used_at})
                if not answer.get("retired"):
                    await victim.ask("status")
                    continue
            await self._end(victim)

    def _available(self) -> int:
        """Return what another host can take: mapped weights count as taken, though the kernel could drop their pages."""
        hosts = self._hosts.values()
        mapped = sum(host.weights_bytes for host in hosts if host.estimate and host.estimate.mapped)
        available = memory.available_bytes() - mapped
        if self._budget_bytes is not None:
            available = min(available, self._budget_bytes - sum(host.taken_bytes for host in hosts))
        return available

    def _refusal(self, host: RunningHost, estimate: memory.Estimate, available: int) -> str:
        not_ended = [
            f"{other.model_id} ({'pinned' if other.resource.pinned else 'in a call'})"
            for other in self._hosts.values()
            if not other.may_be_ended
        ]
        return (
            f"{host.model_id} needs {format_bytes(estimate.memory_bytes)} of memory "
            f"(weights {format_bytes(estimate.weights_bytes)} as {estimate.dtype or 'they are'}), "
            f"{format_bytes(max(available, 0))} are there"
            + (f"; {', '.join(not_ended)} cannot be ended" if not_ended else "")
            + ". Unload a model, choose a smaller dtype, or load it anyway with force=True."
        )


async def _check_device(host: RunningHost, estimate: memory.Estimate, device: str) -> None:
    free = await memory.device_free_bytes(device)
    if free is not None and free < estimate.weights_bytes:
        raise DoesNotFit(
            f"{host.model_id} needs {format_bytes(estimate.weights_bytes)} on {device}, which has "
            f"{format_bytes(free)} free; unload another model, choose a smaller dtype, or device='cpu'."
        )
