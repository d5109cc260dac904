"""A careful client of Replicate's Trainings API: what may be retried is, what may not be is looked up first.

Rules: the token goes to the base URL's origin only and appears in no error; no redirect is followed; a create whose answer
was lost is never sent again before the newest trainings were searched for it.

Source: Replicate's HTTP API reference; behaviour under faults as docs/architecture/06-replicate.md says.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_ext.engine.services.replicate.clock import asked_pause_s, clock_ahead_s
from jupyter_ext.engine.services.replicate.create_recovery import Wanted
from jupyter_ext.engine.services.tls import tls_context
from jupyter_ext.errors import InvalidInput, JupyterExtError, RequestRefused, UnknownId
from jupyter_ext.ipc.late_import import late
from jupyter_ext.protocol.addresses import checked_base_url, shown

if TYPE_CHECKING:
    import httpx
else:
    httpx = late("httpx")

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.replicate.com/v1"
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
"""`aborted` is the service's word for a training that never began; to a notebook it is canceled."""

Timeout = tuple[float | None, float | None, float | None, float | None]
"""To connect, to read, to write, and for a free connection; seconds."""
_TIMEOUT: Timeout = (5.0, 30.0, 30.0, 30.0)
_RETRIED = frozenset({429, 500, 502, 503, 504})
_MAX_ATTEMPTS = 8
_FIRST_PAUSE_S = 0.5
_MAX_BACKOFF_S = 60.0
_MAX_ANSWER_BYTES = 128 * 2**20
"""A training's object carries its whole log."""
_MAX_PAGES = 10
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

Pause = Callable[[float], Awaitable[None]]


class ServiceUnreachable(RequestRefused):
    """The service did not answer, or only with faults of its own, for as long as was tried."""


class TokenRefused(RequestRefused):
    """The service does not take the token."""


class CreateUnclear(RequestRefused):
    """Nobody can tell whether the service has started a training."""


class Stopped(Exception):
    """The user wants the training stopped; nothing that was going on is unfinished."""


@dataclass(frozen=True)
class Answer:
    """A whole answer: `body` is decoded from its transfer, not from its text."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str

    def json(self) -> Any:
        """Return what its JSON says, or `None` for what is none. NaN and infinities, which no client could be told, are text."""
        try:
            return json.loads(self.body, parse_constant=str)
        except (ValueError, RecursionError):
            return None


class ReplicateClient:
    """Talks to one service.

    Args:
        base_url: Where `/trainings` is, such as `https://api.replicate.com/v1`.
        token: The bearer token.
        pause: Sleeps for so many seconds; tests give a quick one.
        timeout: How long an answer is waited for.
    """

    def __init__(
        self, base_url: str, token: str, pause: Pause = asyncio.sleep, timeout: Timeout = _TIMEOUT
    ) -> None:
        self._base = _base(base_url)
        if not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidInput(
                f"The token for {self._base.host} holds characters that no token has (a space or a line break?); "
                "set REPLICATE_API_TOKEN again."
            )
        self._pause = pause
        self.ahead_s: float | None = None
        """How far the service's clock is ahead of ours, seconds, as of its last answer."""
        self._http = httpx.AsyncClient(
            timeout=timeout,
            follow_redirects=False,
            verify=tls_context() if self._base.scheme == "https" else False,  # http has nothing to check
            trust_env=self._base.host not in _LOOPBACK,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def create(
        self, wanted: Wanted, claimed: Callable[[], Set[str]] = frozenset, stop: asyncio.Event | None = None
    ) -> str:
        """Start a training, exactly once.

        Args:
            wanted: What is asked for.
            claimed: Gives the service's ids of this engine's other runs; blocks.
            stop: Set once the user no longer wants it.

        Returns:
            The service's id of it.

        Raises:
            InvalidInput: The service refuses version, destination or inputs.
            ServiceUnreachable: It could not be asked; nothing was started.
            CreateUnclear: Nobody can tell whether it was started.
            Stopped: It was not started and is no longer wanted.
        """
        body: dict[str, Any] = {"input": dict(wanted.inputs)}
        body |= {"destination": wanted.destination} if wanted.destination else {}
        url = self._url(f"/models/{wanted.model}/versions/{wanted.version}/trainings")
        for attempt in range(_MAX_ATTEMPTS):
            try:
                answer = await self._send("POST", url, body)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                await self._wait(attempt, type(error).__name__, 0.0, stop)
                continue
            except httpx.RequestError as error:
                log.warning("the answer to a create was lost (%s); looking for it", type(error).__name__)
                is_slow = isinstance(error, httpx.TimeoutException)
                if found := await self._find_twice(wanted, claimed, attempt):
                    return found
                if is_slow:  # it may be made after the last look
                    raise self._unclear() from error
                _check(stop)
                continue
            if answer.status == 429:
                await self._wait(attempt, "429", asked_pause_s(answer.headers, answer.body), stop)
                continue
            told = answer.json()
            if 200 <= answer.status < 300 and isinstance(told, dict) and is_id(told.get("id")):
                return str(told["id"])
            if 200 <= answer.status < 300 or answer.status >= 500:
                if found := await self._find_twice(wanted, claimed, attempt):
                    return found
                if answer.status < 300:
                    raise self._unclear()
            raise self.refusal(answer)
        raise self._gave_up(url.path)

    async def get(self, training_id: str, stop: asyncio.Event | None = None) -> dict[str, Any]:
        """Return a training.

        Raises:
            UnknownId: The service has none with this id.
            Stopped: `stop` was set while it was waited for the service.
            RequestRefused: The service does not answer, or with something else.
        """
        answer = await self._idempotent("GET", self._url(f"/trainings/{training_id}"), stop)
        told = await asyncio.to_thread(answer.json)
        if answer.status == 200 and isinstance(told, dict) and told.get("id", training_id) == training_id:
            return told
        raise self.refusal(answer)

    async def cancel(self, training_id: str) -> None:
        """Cancel a training; asking twice is asking once.

        Raises:
            RequestRefused: The service does not answer, or refuses.
        """
        answer = await self._idempotent("POST", self._url(f"/trainings/{training_id}/cancel"), None)
        if not 200 <= answer.status < 300:
            raise self.refusal(answer)

    async def find(self, wanted: Wanted, claimed: Callable[[], Set[str]]) -> str | None:
        """Look for a training that a create whose answer was lost may have started; give its id.

        Raises:
            CreateUnclear: The list has one of which that cannot be told.
            RequestRefused: The list cannot be had.
        """
        taken = await asyncio.to_thread(claimed)
        ours, url = list[str](), self._url("/trainings")
        for _ in range(_MAX_PAGES):
            answer = await self._idempotent("GET", url, None)
            page = answer.json()
            items = page.get("results") if isinstance(page, dict) else None
            if not isinstance(items, list):
                raise self.refusal(answer)
            items = [item for item in items if isinstance(item, dict)]
            for item in items:
                judgement = wanted.judge(item, self.ahead_s, taken)
                if judgement == "unclear" or (judgement == "ours" and not is_id(item.get("id"))):
                    raise self._unclear()
                if judgement == "ours":
                    ours.append(item["id"])
            following = page.get("next")
            if not following or any(wanted.is_before(item, self.ahead_s) for item in items[-1:]):
                return ours[-1] if ours else None
            url = self._next_page(url, following)
        raise self._unclear()

    async def _find_twice(self, wanted: Wanted, claimed: Callable[[], Set[str]], attempt: int) -> str | None:
        """Look, and once more after a pause: a service may take a moment to show what it has taken."""
        try:
            found = await self.find(wanted, claimed)
            if found is None:
                await self._wait(attempt, "create", 0.0, None)
                found = await self.find(wanted, claimed)
        except CreateUnclear:
            raise
        except JupyterExtError as error:
            raise self._unclear(str(error)) from error
        return found

    async def _idempotent(self, method: str, url: httpx.URL, stop: asyncio.Event | None) -> Answer:
        for attempt in range(_MAX_ATTEMPTS):
            try:
                answer = await self._send(method, url, None)
            except httpx.RequestError as error:
                await self._wait(attempt, type(error).__name__, 0.0, stop)
                continue
            if answer.status not in _RETRIED:
                return answer
            await self._wait(attempt, str(answer.status), asked_pause_s(answer.headers, answer.body), stop)
        raise self._gave_up(url.path)

    async def _send(self, method: str, url: httpx.URL, body: Any) -> Answer:
        content = None if body is None else json.dumps(body).encode()
        headers = {} if content is None else {"Content-Type": "application/json"}
        async with self._http.stream(method, url, content=content, headers=headers) as response:
            self.ahead_s = clock_ahead_s(response.headers, time.time())
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > _MAX_ANSWER_BYTES:
                    raise RequestRefused(
                        f"{self._base.host} answered {url.path} with more than {_MAX_ANSWER_BYTES >> 20} MiB; it was not read."
                    )
            return Answer(response.status_code, response.headers, bytes(received), url.path)

    def refusal(self, answer: Answer) -> JupyterExtError:
        """Return what an answer that is no success says, in one line."""
        body = answer.json()
        where = f"{self._base.host} answered {answer.status}"
        if answer.status < 400:
            return RequestRefused(
                f"{where} with something that is no training; is {self._base} the right base URL?"
            )
        detail = body.get("detail") or body.get("title") if isinstance(body, dict) else None
        text = f"{where}: {' '.join(str(detail).split())[:1000]}" if detail else f"{where} to {answer.path}"
        if answer.status == 401:
            return TokenRefused(f"{text}. Set REPLICATE_API_TOKEN to a valid token.")
        if answer.status == 404:
            return UnknownId(text)
        if answer.status in (400, 422):
            return InvalidInput(text)
        return RequestRefused(text)

    async def _wait(self, attempt: int, why: str, asked_s: float, stop: asyncio.Event | None) -> None:
        """Pause before the next attempt: as long as the service asks for, and at least the backoff."""
        backoff_s = min(_MAX_BACKOFF_S, _FIRST_PAUSE_S * 2**attempt) * random.uniform(0.8, 1.2)
        pause_s = max(backoff_s, asked_s)
        log.info("%s: attempt %d failed (%s), next in %.1f s", self._base.host, attempt + 1, why, pause_s)
        _check(stop)
        if stop is None:
            await self._pause(pause_s)
            return
        pausing, stopping = asyncio.ensure_future(self._pause(pause_s)), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({pausing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pausing.cancel()
            stopping.cancel()
        _check(stop)

    def _next_page(self, url: httpx.URL, following: Any) -> httpx.URL:
        try:
            target = url.join(str(following))
        except httpx.InvalidURL:
            raise self._unclear() from None
        if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
            raise RequestRefused(
                f"{url.host} sent a next page on another host, {target.host}; it was not asked."
            )
        return target

    def _url(self, path: str) -> httpx.URL:
        return self._base.copy_with(path=self._base.path.rstrip("/") + path)

    def _gave_up(self, path: str) -> ServiceUnreachable:
        return ServiceUnreachable(
            f"{self._base.host} did not answer {path} in {_MAX_ATTEMPTS} attempts; try again later."
        )

    def _unclear(self, reason: str = "") -> CreateUnclear:
        return CreateUnclear(
            f"{reason} ".lstrip()
            + f"{self._base.host} did not say whether the training was started, nor can it be found out now; "
            "look at its own list before you start it again."
        )


def is_id(value: Any) -> bool:
    """Tell whether a value can be a training's id, which becomes part of a path."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _check(stop: asyncio.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise Stopped


def _base(base_url: str) -> httpx.URL:
    address = checked_base_url(base_url, "base_url", DEFAULT_BASE_URL, "the token in REPLICATE_API_TOKEN")
    try:
        return httpx.URL(address)
    except (httpx.InvalidURL, ValueError):
        raise InvalidInput(
            f"base_url {shown(base_url)!r} is no base URL; give one such as {DEFAULT_BASE_URL}."
        ) from None
