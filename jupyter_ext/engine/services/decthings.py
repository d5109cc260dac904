"""A careful client of Decthings' service: reads are retried, what changes something is sent once, events survive a lost socket.

Rules: the key goes to the base URL's origin only and appears in no error; no redirect is followed; a call that may have been
carried out (`callTrain` above all, which has no idempotency key) is never sent again.

Source: docs/architecture/13-decthings.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from jupyter_ext.errors import InvalidInput, RequestRefused
from jupyter_ext.ipc.late_import import late
from jupyter_ext.protocol.addresses import checked_base_url, shown
from jupyter_ext.protocol.decthings.framing import (
    Event,
    Message,
    Reply,
    decode_frame,
    decode_response,
    encode_call,
    encode_request,
)
from jupyter_ext.protocol.decthings.varint import WireError

if TYPE_CHECKING:
    import httpx
    from websockets.asyncio import client as websockets_client
else:
    httpx = late("httpx")
    websockets_client = late("websockets.asyncio.client")

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.decthings.com/v0"
_TIMEOUT = (5.0, 600.0, 600.0, 600.0)
_RETRIED_STATUS = frozenset({429, 500, 502, 503, 504})
_MAX_ATTEMPTS = 6
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 30.0
_ANSWER_WITHIN_S = 30.0

Pause = Callable[[float], Any]


class ServiceUnreachable(RequestRefused):
    """The service did not answer, or with something that is none."""


class AnswerLost(RequestRefused):
    """A call was sent and its answer was lost: nobody can tell whether it was carried out."""


class DecthingsService:
    """One service.

    Args:
        base_url: Such as `https://api.decthings.com/v0`.
        key: The API key, or `None`.
        pause: Sleeps for so many seconds; tests give a quick one.
        transport: For tests.
    """

    def __init__(
        self,
        base_url: str,
        key: SecretStr | None,
        pause: Pause = asyncio.sleep,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        try:
            self._base = httpx.URL(
                checked_base_url(base_url, "base_url", DEFAULT_BASE_URL, "the key in DECTHINGS_API_KEY")
            )
        except httpx.InvalidURL:
            raise InvalidInput(
                f"base_url {shown(base_url)!r} is no base URL; give one such as {DEFAULT_BASE_URL}."
            ) from None
        self._key = key
        self._pause = pause
        headers = {"Content-Type": "application/octet-stream"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT, follow_redirects=False, headers=headers, transport=transport
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def call(self, api: str, method: str, params: Any, blobs: Sequence[Any] = ()) -> Message:
        """Call a method; returns `{"result": …}` or `{"error": …}` as the service said it, and blobs.

        Raises:
            WireError: The call cannot be sent, as with more than 255 blobs.
            ServiceUnreachable: Nobody answered, or with something that is no answer.
            AnswerLost: It was sent, and the answer was lost.
        """
        body = encode_request(params, blobs)
        url = self._base.copy_with(path=f"{self._base.path.rstrip('/')}/{api}/{method}")
        for attempt in range(_MAX_ATTEMPTS):
            try:
                response = await self._http.post(url, content=body)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                await self._wait(attempt, error)  # nothing was sent
                continue
            except httpx.TransportError as error:
                if not is_read(method):
                    raise self._lost(api, method, type(error).__name__) from error
                await self._wait(attempt, error)
                continue
            if response.status_code == 429 or (response.status_code in _RETRIED_STATUS and is_read(method)):
                await self._wait(attempt, None)
                continue
            message = self._answer(api, method, response)
            if (message.content.get("error") or {}).get("code") == "too_many_requests":
                await self._wait(attempt, None)  # the service says that it has not carried it out
                continue
            return message
        raise ServiceUnreachable(
            f"{self._base.host} did not answer {api}/{method} in {_MAX_ATTEMPTS} attempts; try again later."
        )

    async def events(self, session_id: str) -> AsyncGenerator[Event | None]:
        """Yield the events of a session, its exit last; `None` where the socket was lost and some may be missing.

        Raises:
            RequestRefused: The service refuses the subscription.
            ServiceUnreachable: It could not be reached for as long as was tried.
        """
        attempt, was_there = 0, False
        while attempt < _MAX_ATTEMPTS:
            try:
                async with contextlib.aclosing(self._subscribed(session_id)) as items:
                    async for event in items:
                        if event is None:
                            attempt = 0
                            if was_there:
                                yield None
                            was_there = True
                            continue
                        yield event
                        if event.name == "exit":
                            return
            except RequestRefused:
                raise  # it is an OSError too
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError, WireError) as error:
                log.info("events of %s: %s was lost (%s)", session_id, self._base.host, type(error).__name__)
            await self._wait(attempt, None)
            attempt += 1
        raise ServiceUnreachable(f"{self._base.host} takes no WebSocket; output and exit cannot be followed.")

    async def _subscribed(self, session_id: str) -> AsyncGenerator[Event | None]:
        """Yield `None` once subscribed, and then events until the socket is lost."""
        scheme = "wss" if self._base.scheme == "https" else "ws"
        url = str(self._base.copy_with(scheme=scheme, path=f"{self._base.path.rstrip('/')}/ws"))
        content: dict[str, Any] = {
            "api": "Debug",
            "method": "subscribeToEvents",
            "params": {"debugSessionId": session_id},
        }
        if self._key is not None:
            content["apiKey"] = self._key.get_secret_value()
        try:
            connecting = websockets_client.connect(url, max_size=None, proxy=None)
        except InvalidURI as error:
            raise InvalidInput(f"{self._base} is no base URL.") from error
        async with connecting as socket:
            await socket.send(encode_call(1, content))
            early: list[Event] = []
            while True:
                async with asyncio.timeout(_ANSWER_WITHIN_S):
                    frame = decode_frame(_bytes(await socket.recv()))
                if isinstance(frame, Reply):
                    break
                early.append(frame)
            refused = (frame.message.content or {}).get("error")
            if refused is not None:
                raise RequestRefused(
                    f"{self._base.host} refuses the events of {session_id}: {refused.get('code')}."
                )
            yield None
            for event in early:
                yield event
            while True:
                frame = decode_frame(_bytes(await socket.recv()))
                if isinstance(frame, Event) and frame.params.get("debugSessionId") == session_id:
                    yield frame

    def _answer(self, api: str, method: str, response: httpx.Response) -> Message:
        where = f"{self._base.host} answered {api}/{method} with"
        if response.status_code == 404:
            raise ServiceUnreachable(
                f"{where} 404; it has no such method, or {self._base} is not its base URL."
            )
        if response.status_code != 200:
            if not is_read(method) and response.status_code >= 500:
                raise self._lost(api, method, f"status {response.status_code}")
            raise ServiceUnreachable(f"{where} status {response.status_code}.")
        try:
            message = decode_response(response.content)
        except WireError as error:
            if not is_read(method):
                raise self._lost(api, method, "an answer that is cut or is none") from error
            raise ServiceUnreachable(f"{where} something else than Decthings' answers: {error}") from error
        content = message.content
        if not isinstance(content, dict) or not (
            isinstance(content.get("result"), dict) or isinstance(content.get("error"), dict)
        ):
            raise ServiceUnreachable(f"{where} neither a result nor an error.")
        return message

    def _lost(self, api: str, method: str, why: str) -> AnswerLost:
        return AnswerLost(
            f"{self._base.host} was sent {api}/{method}, but its answer was lost ({why}); it was not sent again, as it may "
            "have been carried out. Look at the session's trainings before you repeat it."
        )

    async def _wait(self, attempt: int, error: Exception | None) -> None:
        pause_s = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2**attempt) * random.uniform(0.8, 1.2)
        why = "" if error is None else type(error).__name__
        log.info("%s: attempt %d failed %s, next in %.1f s", self._base.host, attempt + 1, why, pause_s)
        await self._pause(pause_s)


def is_read(method: str) -> bool:
    """Return whether a method can be asked twice without harm."""
    return method.startswith(("get", "download", "find", "wait")) or method in (
        "terminateDebugSession",
        "cancelTrainingSession",
        "deleteDataset",
    )


def _bytes(frame: str | bytes) -> bytes:
    return frame.encode() if isinstance(frame, str) else frame
