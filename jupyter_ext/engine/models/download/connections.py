"""Several connections that fetch ranges, in the order of the files, each in a thread of its own.

They begin with few and become more while each is slow; an idle one takes half of what the slowest still has.
"""

from __future__ import annotations

import http.client
import os
import random
import time

from jupyter_ext.engine.models.download.block_map import Range
from jupyter_ext.engine.models.download.rate_limiter import RateLimiter
from jupyter_ext.engine.models.download.transfer_state import FileFetch, TransferState
from jupyter_ext.engine.models.sources.http_range import Connector
from jupyter_ext.engine.models.sources.http_rules import Changed, TryAgain
from jupyter_ext.engine.models.sources.http_settings import MIB, HttpSettings
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import DownloadFailed

_BUFFER_BYTES = MIB
_MIN_READ_BYTES = 16 * 1024
_QUICK_READ_S = 0.02
_BYTES_FOR_ONE = 8 * MIB
_BYTES_FOR_ANOTHER = 16 * MIB
_REQUEST_S = 1.0
_LEAST_REQUEST_S = 0.25
"""Shorter requests would spend their time on round trips."""
_LEAST_BYTES = MIB
_RAMP_S = 0.3
"""Before this, a connection's speed says little."""
_ADDED_AT_ONCE = 2
_SMOOTHING = 0.5
_WORTH_STEALING_S = 1.0
"""What is under way to the connection that is stolen from is lost, so a steal must save more than that."""


class Connections:
    """The connections of one transfer.

    Args:
        state: Shared with the other threads.
        settings: How hard servers are asked.
        limiter: Shared by all transfers.
        hub: Whose token and proxies.
    """

    def __init__(
        self, state: TransferState, settings: HttpSettings, limiter: RateLimiter, hub: HubSettings
    ) -> None:
        self._state = state
        self._settings = settings
        self._limiter = limiter
        self._hub = hub
        self._connectors: list[Connector] = []
        self._most = settings.max_connections
        self._not_before = 0.0
        self._speed = 0.0
        self._started = 0.0
        self.num_open = 0
        state.on_stop(self._break_off)

    def start(self) -> None:
        """Begin with as many as there is work for."""
        self._started = time.monotonic()
        files = self._state.files
        pieces = sum(max(1, fetch.blocks.missing_bytes // _BYTES_FOR_ONE) for fetch in files)
        for _ in range(min(self._settings.connections, pieces)):
            self._add()

    def adjust(self, bytes_per_s: float) -> None:
        """Try more where those at work are slow and there is enough left for them.

        Args:
            bytes_per_s: What came in the last tenth of a second, over all connections.
        """
        self._speed += (bytes_per_s - self._speed) * (_SMOOTHING if self._speed else 1.0)
        if time.monotonic() - self._started < _RAMP_S:
            return
        slow = self._speed < self._settings.slow_bytes_per_s and self._limiter.bytes_per_s is None
        waiting = time.monotonic() < self._not_before
        if slow and not waiting and self._state.missing_bytes > _BYTES_FOR_ANOTHER:
            for _ in range(min(_ADDED_AT_ONCE, self._most - self.num_open)):
                self._add()

    def _add(self) -> None:
        connector = Connector(self._hub, self._settings.stall_s)
        self._connectors.append(connector)
        self.num_open += 1
        self._state.start(lambda: self._work(connector), "models-fetch")

    def _break_off(self) -> None:
        for connector in list(self._connectors):
            connector.stop()

    def _work(self, connector: Connector) -> None:
        """Fetch one range after another until there is none."""
        changed = self._state.changed
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        attempts = 0
        try:
            while (taken := self._next()) is not None:
                fetch, active = taken
                began = active.position
                try:
                    self._fetch_range(connector, fetch, active, buffer)
                    attempts = 0
                except TryAgain as problem:
                    self._give_back(fetch, active)
                    attempts = 1 if active.position > began else attempts + 1
                    self._pause(problem, fetch, attempts)
                    if problem.pause_s and self.num_open > 1:
                        # The server has had enough of so many at once.
                        self._most = max(1, self.num_open - 1)
                        return
                except Changed as problem:
                    self._give_back(fetch, active)
                    self._deal_with_change(fetch, str(problem))
                finally:
                    self._give_back(fetch, active)
        finally:
            connector.drop()
            with changed:
                self.num_open -= 1

    def _give_back(self, fetch: FileFetch, active: Range) -> None:
        """End a range; again does nothing."""
        with self._state.changed:
            if active in fetch.blocks.active:
                fetch.probing = False
                fetch.blocks.give_back(active)
                self._state.changed.notify_all()

    def _next(self) -> tuple[FileFetch, Range] | None:
        """Wait for bytes that nobody fetches; `None` if there will be none for this connection."""
        state = self._state
        with state.changed:
            while not state.is_over:
                pause_s = self._not_before - time.monotonic()
                if pause_s > 0:
                    state.changed.wait(min(1.0, pause_s))
                    continue
                for fetch in state.files:
                    if fetch.is_open and (active := fetch.blocks.take(self._request_bytes())) is not None:
                        fetch.probing = fetch.remote.ranged is None
                        return fetch, active
                stolen = self._steal()
                if stolen is not None:
                    return stolen
                state.changed.wait(0.5)
        return None

    def _request_bytes(self) -> int:
        """Return how much one connection asks for now: a second's worth, towards the end half of its share of what is left."""
        untaken = sum(fetch.blocks.untaken_bytes for fetch in self._state.files)
        share = untaken // (2 * max(self.num_open, self._most))
        speed = self._speed / max(1, self.num_open)
        most = int(speed * _REQUEST_S) if speed else self._settings.first_request_bytes
        least = max(_LEAST_BYTES, int(speed * _LEAST_REQUEST_S))
        return min(self._settings.request_bytes, max(least, min(most, share)))

    def _steal(self) -> tuple[FileFetch, Range] | None:
        """Take half of what a slow connection still has, when that saves time."""
        if not self._speed:
            return None
        worth = int(self._speed / max(1, self.num_open) * _WORTH_STEALING_S)
        for fetch in self._state.files:
            if fetch.remote.ranged and not fetch.probing:
                stolen = fetch.blocks.steal(max(_LEAST_BYTES, worth))
                if stolen is not None:
                    return fetch, stolen
        return None

    def _fetch_range(self, connector: Connector, fetch: FileFetch, active: Range, buffer: memoryview) -> None:
        body = connector.open_range(fetch.remote, active.position, active.end)
        with self._state.changed:
            fetch.probing = False
            if fetch.remote.ranged is False:
                fetch.blocks.take_rest(active)
            fetch.journal.set_validator(fetch.remote.validator)
            self._state.changed.notify_all()
        skip = body.skip
        size = 4 * _MIN_READ_BYTES
        while (left := active.left) > 0:
            if self._state.stopped.is_set():
                raise TryAgain("stopped")
            limit = self._limiter.bytes_per_s
            most = size if limit is None else min(size, max(_MIN_READ_BYTES, int(limit / 20)))
            began = time.monotonic()
            num_read = self._read(connector, fetch, body.response, buffer[: min(most, left + skip)])
            if not num_read:
                connector.drop()
                raise TryAgain(f"{fetch.remote.host} ended its answer {left} bytes too early")
            is_quick = time.monotonic() - began < _QUICK_READ_S
            size = min(_BUFFER_BYTES, size * 2) if is_quick else max(_MIN_READ_BYTES, size // 2)
            self._limiter.take(num_read, self._state.stopped)
            dropped = min(skip, num_read)
            skip -= dropped
            self._write(fetch, active, buffer[dropped:num_read])
        connector.done(body)

    def _read(
        self,
        connector: Connector,
        fetch: FileFetch,
        response: http.client.HTTPResponse,
        buffer: memoryview,
    ) -> int:
        try:
            return response.readinto(buffer)
        except (OSError, http.client.HTTPException) as error:
            connector.drop()
            stalled = isinstance(error, TimeoutError)
            why = f"sent nothing for {self._settings.stall_s:g} s" if stalled else "broke the connection"
            raise TryAgain(f"{fetch.remote.host} {why}") from None

    def _write(self, fetch: FileFetch, active: Range, piece: memoryview) -> None:
        offset = active.position
        written = 0
        while written < len(piece):
            written += os.pwrite(fetch.journal.data_fd, piece[written:], offset + written)
        with self._state.changed:
            # Half of the range may have gone to another connection meanwhile.
            blocks = fetch.blocks.advance(active, min(len(piece), active.left))
            self._state.changed.notify_all()
        fetch.journal.mark(blocks)

    def _pause(self, problem: TryAgain, fetch: FileFetch, attempts: int) -> None:
        """Wait before another attempt, or give up."""
        if self._state.stopped.is_set():
            return
        if attempts >= self._settings.max_attempts:
            raise DownloadFailed(
                f"{fetch.file.name}: {problem}, {attempts} times in a row. "
                "What was fetched is kept; download again to go on."
            )
        backoff_s = min(self._settings.max_pause_s, self._settings.first_pause_s * 2 ** (attempts - 1))
        pause_s = max(problem.pause_s, backoff_s * random.uniform(0.8, 1.2))
        if problem.pause_s:
            with self._state.changed:
                self._not_before = max(self._not_before, time.monotonic() + problem.pause_s)
        self._state.stopped.wait(pause_s)

    def _deal_with_change(self, fetch: FileFetch, reason: str) -> None:
        """Go on with a file that its server calls another version now, without ever mixing two versions."""
        with self._state.changed:
            fetch.restarts += 1
            if fetch.file.has_hash and fetch.restarts <= self._settings.max_connections:
                # The hash says what it must be, whatever this server calls it, and has the last word.
                fetch.remote.validator = None
                fetch.remote.location = None
                return
            fetch.wrong = True
        raise DownloadFailed(
            f"{fetch.file.name} changed at its server while it was fetched ({reason}); "
            "download it again to get the new one."
        )
