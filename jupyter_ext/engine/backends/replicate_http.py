"""A careful client of Replicate's Trainings API: what may be retried is, what may not be is looked up first.

Rules: the token goes to the base URL's origin only and appears in no error; no redirect is followed; a create whose answer
was lost is never sent again before the newest trainings were searched for it.

Source: Replicate's HTTP API reference; behaviour under faults as docs/architecture/06-replicate.md says.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.replicate.com/v1"
TERMINAL = frozenset({"succeeded", "failed", "canceled", "aborted"})
"""`aborted` is the service's word for a training that never began; to a notebook it is canceled."""

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_RETRIED = frozenset({429, 500, 502, 503, 504})
_MAX_ATTEMPTS = 8
_FIRST_PAUSE_S = 0.5
_MAX_PAUSE_S = 60.0
_CLOCK_SKEW = timedelta(minutes=2)
_RESETS_IN = re.compile(r"(?:resets? in|available in)\s*~?\s*(\d+(?:\.\d+)?)\s*s", re.IGNORECASE)

Pause = Callable[[float], Any]


class ServiceUnreachable(RequestRefused):
    """The service did not answer, or only with faults of its own, for as long as was tried."""


class ReplicateClient:
    """Talks to one service.

    Args:
        base_url: Where `/trainings` is, such as `https://api.replicate.com/v1`.
        token: The bearer token.
        pause: Sleeps for so many seconds; tests give a quick one.
    """

    def __init__(self, base_url: str, token: str, pause: Pause = asyncio.sleep) -> None:
        self._base = httpx.URL(base_url.rstrip("/"))
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise InvalidInput(f"{base_url!r} is no base URL; give one such as {DEFAULT_BASE_URL}.")
        self._pause = pause
        self._http = httpx.AsyncClient(
            timeout=_TIMEOUT,
            follow_redirects=False,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json"},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def create(
        self, model: str, version: str, destination: str | None, inputs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Start a training, exactly once.

        Raises:
            InvalidInput: The service refuses version, destination or inputs.
            ServiceUnreachable: It could not be asked, or nobody can tell whether it was.
        """
        body = {"input": dict(inputs)} | ({"destination": destination} if destination else {})
        path = f"/models/{model}/versions/{version}/trainings"
        asked_at = datetime.now(UTC) - _CLOCK_SKEW
        for attempt in range(_MAX_ATTEMPTS):
            try:
                response = await self._http.post(self._url(path), json=body)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                await self._wait(attempt, None, error)
                continue
            except httpx.TransportError as error:
                log.warning("the answer to a create was lost (%s); looking for it", type(error).__name__)
                found = await self._find(model, version, inputs, asked_at)
                if found is not None:
                    return found
                await self._wait(attempt, None, error)
                continue
            if response.status_code == 429:
                await self._wait(attempt, response, None)
                continue
            if response.status_code >= 500:
                found = await self._find(model, version, inputs, asked_at)
                if found is not None:
                    return found
            return self._object(response)
        raise self._gave_up(path)

    async def get(self, training_id: str) -> dict[str, Any]:
        """Give a training."""
        return self._object(await self._idempotent("GET", f"/trainings/{training_id}"))

    async def cancel(self, training_id: str) -> dict[str, Any]:
        """Cancel a training; asking twice is asking once."""
        return self._object(await self._idempotent("POST", f"/trainings/{training_id}/cancel"))

    async def pages(self, max_pages: int = 10) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield pages of trainings, newest first; a `next` on another origin is refused."""
        url = self._url("/trainings")
        for _ in range(max_pages):
            page = self._object(await self._idempotent("GET", url))
            yield [item for item in page.get("results") or [] if isinstance(item, dict)]
            following = page.get("next")
            if not following:
                return
            target = url.join(str(following))
            if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
                raise RequestRefused(
                    f"{url.host} sent a next page on another host, {target.host}; it was not asked."
                )
            url = target

    async def _find(
        self, model: str, version: str, inputs: Mapping[str, Any], since: datetime
    ) -> dict[str, Any] | None:
        """Look for a training that a lost create may have started."""
        try:
            async for page in self.pages(max_pages=1):
                for item in page:
                    same = (item.get("model"), item.get("version"), item.get("input")) == (
                        model,
                        version,
                        inputs,
                    )
                    if same and parse_time(item.get("created_at")) >= since:
                        return item
        except RequestRefused as error:
            raise ServiceUnreachable(
                f"{self._base.host} did not say whether the training was started, nor can it be asked now; "
                "look at its own list before you start it again."
            ) from error
        return None

    async def _idempotent(self, method: str, path: str | httpx.URL) -> httpx.Response:
        url = self._url(path) if isinstance(path, str) else path
        for attempt in range(_MAX_ATTEMPTS):
            try:
                response = await self._http.request(method, url)
            except httpx.TransportError as error:
                await self._wait(attempt, None, error)
                continue
            if response.status_code not in _RETRIED:
                return response
            await self._wait(attempt, response, None)
        raise self._gave_up(str(url.path))

    def _object(self, response: httpx.Response) -> dict[str, Any]:
        """Give an answer's object, or raise what its problem says."""
        try:
            body = response.json()
        except ValueError:
            body = None
        if response.is_success and isinstance(body, dict):
            return body
        where = f"{self._base.host} answered {response.status_code}"
        detail = body.get("detail") or body.get("title") if isinstance(body, dict) else None
        text = (
            f"{where}: {' '.join(str(detail).split())}"
            if detail
            else f"{where} to {response.request.url.path}"
        )
        if response.is_success or response.is_redirect:
            raise RequestRefused(
                f"{where} with something that is no JSON object; is {self._base} the right base URL?"
            )
        if response.status_code == 401:
            raise RequestRefused(f"{text}. Set REPLICATE_API_TOKEN to a valid token.")
        if response.status_code == 404:
            raise UnknownId(text)
        if response.status_code in (400, 422):
            raise InvalidInput(text)
        raise RequestRefused(text)

    async def _wait(self, attempt: int, response: httpx.Response | None, error: Exception | None) -> None:
        """Pause before the next attempt: as long as the service asks for, and at least the backoff."""
        backoff_s = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2**attempt) * random.uniform(0.8, 1.2)
        pause_s = max(backoff_s, 0.0 if response is None else asked_pause_s(response))
        why = (
            type(error).__name__
            if error is not None
            else response.status_code
            if response is not None
            else ""
        )
        log.info("%s: attempt %d failed (%s), next in %.1f s", self._base.host, attempt + 1, why, pause_s)
        await self._pause(min(pause_s, _MAX_PAUSE_S))

    def _url(self, path: str) -> httpx.URL:
        return self._base.copy_with(path=self._base.path.rstrip("/") + path)

    def _gave_up(self, path: str) -> ServiceUnreachable:
        return ServiceUnreachable(
            f"{self._base.host} did not answer {path} in {_MAX_ATTEMPTS} attempts; try again later."
        )


def asked_pause_s(response: httpx.Response) -> float:
    """Give how long an answer asks to wait, seconds: header, body field, or the body's own words; 0 if it does not."""
    asked = [_retry_after_s(response.headers.get("retry-after", ""))]
    try:
        body = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict):
        value = body.get("retry_after")
        if isinstance(value, int | float) and not isinstance(value, bool):
            asked.append(float(value))
        if match := _RESETS_IN.search(str(body.get("detail", ""))):
            asked.append(float(match[1]))
    return max(asked)


def _retry_after_s(text: str) -> float:
    """Read a Retry-After header: seconds or an HTTP date."""
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return 0.0


def parse_time(text: Any) -> datetime:
    """Read a timestamp with any number of fractional digits; one that cannot be read is long ago."""
    try:
        return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(text)))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
