"""Webhooks: what happens to a run is told to its receiver, in order, and never at the run's expense.

Rules: one task per run sends one message after the other, so nothing arrives out of order and nothing comes after the
terminal message. What happens meanwhile is a flag, not a queue, so a slow receiver costs no memory and no time of the
run. Only the terminal message is sent again when it fails, for about a minute.

Source: Replicate's docs, "Receive webhooks": events `start`, `output`, `logs`, `completed`; the middle two at most once
in 500 ms; redirects are not followed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired
from urllib.parse import urlsplit

from typing_extensions import TypedDict

from jupyter_ext.engine.common import records
from jupyter_ext.engine.trainings.delivery.webhook_signature import signature_headers
from jupyter_ext.ids import is_training_id
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.protocol.addresses import secret_in, shown
from jupyter_ext.protocol.problems import InvalidField, invalid_input
from jupyter_ext.protocol.trainings import TERMINAL

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

EVENTS = ("start", "output", "logs", "completed", "alert")
THROTTLE_S = 0.5
RETRY_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Before each further attempt at the terminal message: the last one begins about a minute after the end."""
ATTEMPT_TIMEOUT_S = 5.0
MAX_LOG_BYTES = 64 << 10
"""Bodies stay below the 100 kB that common receivers accept by default."""


class WebhookRecord(TypedDict):
    """A webhook as it is kept on disk; `started` once its receiver was told the start."""

    url: str
    events: list[str]
    base_url: str
    started: NotRequired[bool]


Payload = Callable[[str, str], Awaitable[dict[str, Any]]]
"""Gives a run's object as clients see it, from its id and the base URL it was created under."""
Send = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]
"""Posts a body with headers to a URL and gives the answer's status; raises OSError where there is none."""


def webhook_of(body: Mapping[str, object], base_url: str) -> WebhookRecord | None:
    """Read the webhook out of a create's body.

    Raises:
        Problem: The URL or the filter is wrong.
    """
    url, events = body.get("webhook"), body.get("webhook_events_filter")
    if url is None:
        return None
    wrong = []
    if (refused := _refusal(url)) is not None:
        wrong.append(InvalidField("uri", "webhook", refused))
    events = [] if events is None else events if isinstance(events, list) else [events]
    for event in events:
        if event not in EVENTS:
            says = f"{str(event)[:40]!r} is none of {', '.join(EVENTS)}"
            wrong.append(InvalidField("enum", "webhook_events_filter", says))
    if wrong:
        raise invalid_input(wrong)
    return {"url": str(url), "events": [str(event) for event in events] or list(EVENTS), "base_url": base_url}


def _refusal(url: Any) -> str | None:
    """Say what is wrong with a receiver's address, without what may be secret in it."""
    if not isinstance(url, str):
        return "webhook is no http(s) URL"
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        return f"webhook={shown(url)!r} is no http(s) URL"
    if (secret := secret_in(url)) is not None:
        return f"webhook={shown(url)!r} holds {secret}; messages are signed instead (GET /v1/webhooks/default/secret)"
    return None


class Webhooks:
    """All webhooks of this engine. What is owed to a receiver is on disk until it was told the end.

    Args:
        directory: One file per run whose receiver has not heard its end.
        secret: What messages are signed with.
        payload: Gives what to send.
        send: Sends it; by default over HTTP.
    """

    def __init__(
        self, directory: Path, secret: Callable[[], str], payload: Payload, send: Send | None = None
    ) -> None:
        self._directory = directory
        self._secret = secret
        self._payload = payload
        self._http = _Http()
        self._send = send or self._http.post
        self._open: dict[str, _Webhook] = {}

    @property
    def num_pending(self) -> int:
        """Count the runs whose receivers have not heard the end."""
        return len(self._open)

    def add(self, run_id: str, record: WebhookRecord) -> None:
        """Begin to tell a receiver about a run."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        records.replace(self._directory / f"{run_id}.json", record)
        self._begin(run_id, record)

    async def open(self, is_over: Callable[[str], Awaitable[bool | None]]) -> None:
        """Take up what another engine left; `is_over` tells how a run stands, or `None` for an unknown one."""
        for path in sorted(self._directory.glob("*.json")) if self._directory.is_dir() else []:
            record = records.read_record(path, WebhookRecord) if is_training_id(path.stem) else None
            if record is None:
                continue
            over = await is_over(path.stem)
            if over is None:
                path.unlink(missing_ok=True)
                continue
            self._begin(path.stem, record)
            if over:
                self.notify(path.stem, "completed")

    def notify(self, run_id: str, event: str) -> None:
        """Say that something happened to a run; costs nothing where it has no webhook."""
        webhook = self._open.get(run_id)
        if webhook is not None:
            webhook.notify(event)

    async def close(self) -> None:
        """Stop; the next engine goes on with what is owed."""
        tasks = [webhook.task for webhook in self._open.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._http.close()

    def _begin(self, run_id: str, record: WebhookRecord) -> None:
        webhook = _Webhook(
            record,
            lambda event: self._body(run_id, record, event),
            lambda message_id, body: self._post(run_id, record, message_id, body),
            lambda: self._started(run_id, record),
        )
        self._open[run_id] = webhook
        webhook.task = asyncio.create_task(webhook.work(), name=f"webhook {run_id}")
        webhook.task.add_done_callback(lambda task: self._ended(run_id, task))

    def _started(self, run_id: str, record: WebhookRecord) -> None:
        write_json(self._directory / f"{run_id}.json", {**record, "started": True})

    def _ended(self, run_id: str, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        self._open.pop(run_id, None)
        (self._directory / f"{run_id}.json").unlink(missing_ok=True)
        if (error := task.exception()) is not None:
            log.error("the webhook of %s failed", run_id, exc_info=error)

    async def _body(self, run_id: str, record: WebhookRecord, event: str) -> bytes | None:
        """Return the body of a message, or `None` where the terminal one has overtaken it."""
        payload = await self._payload(run_id, record["base_url"])
        if event != "completed" and payload["status"] in TERMINAL:
            if event != "start":
                return None
            payload |= {
                "status": "processing",
                "completed_at": None,
                "output": None,
                "error": None,
                "metrics": {},
            }
        return json.dumps(payload, separators=(",", ":")).encode()

    async def _post(self, run_id: str, record: WebhookRecord, message_id: str, body: bytes) -> bool:
        """Make one attempt; tell whether it was received."""
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "jupyter-ext-webhook",
            **signature_headers(self._secret(), message_id, int(time.time()), body),
        }
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                status = await self._send(record["url"], body, headers)
        except (OSError, TimeoutError) as error:
            log.warning("webhook of %s: %s", run_id, str(error) or type(error).__name__)
            return False
        if not 200 <= status < 300:
            log.warning("webhook of %s: the receiver answered %s", run_id, status)
        return 200 <= status < 300


class _Webhook:
    """One run's webhook: flags for what happened, and the task that tells it."""

    task: asyncio.Task[None]

    def __init__(
        self,
        record: WebhookRecord,
        body_of: Callable[[str], Awaitable[bytes | None]],
        post: Callable[[str, bytes], Awaitable[bool]],
        on_start: Callable[[], None],
    ) -> None:
        self._body_of = body_of
        self._post = post
        self._on_start = on_start
        self._events = frozenset(record["events"])
        self._waiting: set[str] = set()
        self._started = bool(record.get("started"))
        self._wake = asyncio.Event()
        self._sent_at = 0.0

    def notify(self, event: str) -> None:
        """Take note."""
        if event in self._events or event == "completed":
            self._waiting.add(event)
            self._wake.set()

    async def work(self) -> None:
        """Tell everything in its order, the end last."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if "start" in self._waiting and not self._started:
                self._started = True
                self._on_start()
                await self._tell("start")
            self._waiting.discard("start")
            if "completed" in self._waiting:
                await self._tell_end()
                return
            if self._waiting and await self._pause():
                self._waiting.clear()
                self._sent_at = time.monotonic()
                await self._tell("logs")

    async def _tell(self, event: str) -> None:
        """Make the one attempt that a message on the way gets."""
        body = await self._body_of(event)
        if body is not None:
            await self._post(_message_id(), body)

    async def _pause(self) -> bool:
        """Wait until the next message is due; tell whether it is, or the end came first."""
        while "completed" not in self._waiting:
            rest = self._sent_at + THROTTLE_S - time.monotonic()
            if rest <= 0:
                return True
            try:
                async with asyncio.timeout(rest):
                    await self._wake.wait()
            except TimeoutError:
                return True
            self._wake.clear()
        self._wake.set()
        return False

    async def _tell_end(self) -> None:
        if "completed" not in self._events and "output" not in self._waiting and "logs" not in self._waiting:
            return
        message_id, body = _message_id(), await self._body_of("completed")
        assert body is not None
        for pause in (*RETRY_PAUSES_S, None):
            if await self._post(message_id, body) or pause is None:
                return
            await asyncio.sleep(pause)


class _Http:
    """Posts over HTTP; made when it is first needed."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Post a body and give the answer's status; its body is not read, redirects are not followed.

        Raises:
            OSError: There is no answer.
        """
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(
                trust_env=False,
                follow_redirects=False,
                timeout=ATTEMPT_TIMEOUT_S,
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        try:
            async with self._client.stream("POST", url, content=body, headers=dict(headers)) as response:
                return response.status_code
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise OSError(f"{type(error).__name__} {error}") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()


def _message_id() -> str:
    return f"msg_{secrets.token_urlsafe(20)}"
