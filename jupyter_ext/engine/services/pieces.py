"""A careful client of a running service that speaks Pieces' Model and Models API: Pieces OS, or another engine.

Rules: the token goes to the base URL's origin only; no redirect is followed; what the service leaves out or gets wrong is
taken as unknown, and only a model without an id is left out. Real services answer the progress by WebSocket alone.

Source: Pieces' OpenAPI description; docs/architecture/11-pieces.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from websockets.exceptions import ConnectionClosed, InvalidHandshake

from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId
from jupyter_ext.ipc.late_import import late
from jupyter_ext.protocol.addresses import checked_base_url, shown
from jupyter_ext.protocol.models import LocalModel, ModelState

if TYPE_CHECKING:
    import httpx
    from websockets.asyncio import client as websockets_client
else:
    httpx = late("httpx")
    websockets_client = late("websockets.asyncio.client")

log = logging.getLogger(__name__)

PORTS = range(39300, 39334)
"""Where Pieces OS listens."""
PREFIX = "service:"
_TIMEOUT = (2.0, 10.0, 10.0, 10.0)
_PATIENT = (2.0, None, None, None)
_HEALTH_TIMEOUT_S = 1.0
_LONG_AGO = "1970-01-01T00:00:00Z"
_POLL_S = 1.0
_MOST = 2.0**63
_KEPT = (
    "version",
    "type",
    "usage",
    "foundation",
    "provider",
    "quantization",
    "unique",
    "denied",
    "capabilities",
)


class ServiceUnreachable(RequestRefused):
    """The service does not answer."""


class PiecesClient:
    """Talks to one service.

    Args:
        base_url: Such as `http://127.0.0.1:39300`.
        token: What an engine's port wants; Pieces OS wants none.
    """

    def __init__(self, base_url: str, token: str | None = None) -> None:
        self.base_url = normal_base_url(base_url)
        headers = {"Accept": "application/json"} | ({"X-Application-ID": token} if token else {})
        self._headers = headers
        self._http = httpx.AsyncClient(
            base_url=self.base_url, headers=headers, timeout=_TIMEOUT, follow_redirects=False, trust_env=False
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def models(self) -> list[LocalModel]:
        """List the service's models."""
        content = await self._json("GET", "/models")
        items = content.get("iterable") if isinstance(content, dict) else None
        if not isinstance(items, list):
            raise RequestRefused(
                f"{self.base_url} sent no list of models; is it a service that speaks Pieces' API?"
            )
        found = (self._read(item) for item in items)
        return [model for model in found if model is not None]

    async def get(self, id: str) -> LocalModel:
        """Return a model by the service's own id.

        Raises:
            UnknownId: The service has none such.
        """
        return self._one(id, await self._json("GET", f"/model/{_quoted(id)}"))

    async def act(self, id: str, action: str) -> LocalModel:
        """Do one of `download`, `download/cancel`, `load`, `unload`; a load answers when it is true."""
        path = f"/model/{_quoted(id)}/{action}"
        return self._one(id, await self._json("POST", path, timeout=_PATIENT))

    async def unload_all(self) -> None:
        """Unload everything that can be."""
        await self._json("POST", "/models/unload", timeout=_PATIENT)

    async def update(self, id: str, changes: Mapping[str, object]) -> LocalModel:
        """Change what is said of a custom model."""
        before = await self._json("GET", f"/model/{_quoted(id)}")
        body = {**(before if isinstance(before, dict) else {}), **changes, "id": id}
        return self._one(id, await self._json("POST", "/model/update", json=body))

    async def delete(self, id: str) -> None:
        """Forget a custom model."""
        await self._json("POST", f"/models/{_quoted(id)}/delete")

    async def delete_cache(self, id: str) -> None:
        """Delete a model's files."""
        await self._json("POST", f"/models/{_quoted(id)}/delete/cache", json={})

    async def progress(self, id: str) -> AsyncGenerator[tuple[str, float | None]]:
        """Yield status and percentage of a download until it is over, by socket, or by asking where there is none."""
        try:
            async with contextlib.aclosing(self._frames(id)) as items:
                async for frame in items:
                    yield frame
                    if frame[0] in ("COMPLETED", "FAILED", "CANCELED"):
                        return
        except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
            log.info("no progress socket at %s: %s", self.base_url, type(error).__name__)
        while True:
            model = await self.get(id)
            if not model.meta["downloading"]:
                yield ("COMPLETED" if model.state in ("downloaded", "loaded") else "CANCELED"), None
                return
            yield "IN-PROGRESS", None
            await asyncio.sleep(_POLL_S)

    async def _frames(self, id: str) -> AsyncGenerator[tuple[str, float | None]]:
        url = f"{self.base_url.replace('http', 'ws', 1)}/model/{_quoted(id)}/download/progress"
        headers = {name: value for name, value in self._headers.items() if name == "X-Application-ID"}
        async with websockets_client.connect(
            url, additional_headers=headers, proxy=None, open_timeout=5, compression=None
        ) as socket:
            async for message in socket:
                yield read_progress(message)

    async def _json(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ServiceUnreachable(
                f"{self.base_url} does not answer ({type(error).__name__}); is the service running?"
            ) from error
        if response.status_code in (404, 410):
            raise UnknownId(f"{self.base_url}: {_text(response) or 'the model was not found.'}")
        if not response.is_success:
            reason = _text(response) or "no reason was given"
            raise RequestRefused(f"{self.base_url} answered {response.status_code}: {reason}")
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError:
            raise RequestRefused(
                f"{self.base_url} sent no JSON for {path}; is it a service that speaks Pieces' API?"
            ) from None

    def _one(self, id: str, content: Any) -> LocalModel:
        model = self._read(content)
        if model is None:
            raise RequestRefused(f"{self.base_url} sent no model for {id!r}.")
        return model

    def _read(self, raw: Any) -> LocalModel | None:
        """Read a model as far as it makes sense."""
        if not isinstance(raw, dict) or not isinstance(raw.get("id"), str) or not raw["id"]:
            return None
        downloading, downloaded = raw.get("downloading") is True, raw.get("downloaded") is True
        state: ModelState = "downloaded" if downloaded else "absent"
        state = (
            "loaded"
            if raw.get("loaded") is True
            else "downloading"
            if downloading and not downloaded
            else state
        )
        parameters = _count(_number(raw.get("parameters")), 1e9)
        return LocalModel(
            id=f"{PREFIX}{self.base_url}#{raw['id']}",
            name=_string(raw.get("name")) or raw["id"],
            source="service",
            description=_string(raw.get("description")),
            state=state,
            custom=raw.get("custom") is True,
            cloud=raw.get("cloud") is True,
            bytes=_size(raw.get("bytes")),
            memory_bytes=_size(raw.get("ram")),
            num_parameters=parameters,
            dtype=_string(raw.get("quantization")),
            created_at=_time(raw.get("created")),
            meta={
                "downloading": downloading,
                "pieces": {name: raw[name] for name in _KEPT if raw.get(name) is not None},
            },
        )


async def discover(besides: frozenset[str] = frozenset()) -> str:
    """Find a service in Pieces' range on this machine, and return its base URL.

    Args:
        besides: Base URLs that do not count, as they are our own.

    Raises:
        ServiceUnreachable: There is none.
    """

    async def ask(port: int) -> str | None:
        url = f"http://127.0.0.1:{port}"
        if url in besides:
            return None
        try:
            response = await http.get(f"{url}/.well-known/health")
        except httpx.TransportError:
            return None
        return url if response.status_code == 200 and response.text.lower().startswith("ok") else None

    async with httpx.AsyncClient(timeout=_HEALTH_TIMEOUT_S, trust_env=False) as http:
        found = [url for url in await asyncio.gather(*map(ask, PORTS)) if url]
    if not found:
        raise ServiceUnreachable(
            f"No service like Pieces OS answers on ports {PORTS.start} to {PORTS.stop - 1} of this machine; start it, or "
            "give its base URL."
        )
    return found[0]


def normal_base_url(text: str) -> str:
    """Check a base URL.

    Raises:
        InvalidInput: It is none.
    """
    address = checked_base_url(text, "on", "http://127.0.0.1:39300, or pieces")
    try:
        return str(httpx.URL(address)).rstrip("/")
    except httpx.InvalidURL:
        raise InvalidInput(
            f"on {shown(text)!r} is no base URL; give one such as http://127.0.0.1:39300."
        ) from None


def split_id(model_id: str) -> tuple[str, str]:
    """Return base URL and the service's own id.

    Raises:
        UnknownId: It is no id of a service's model.
    """
    base_url, mark, id = model_id.removeprefix(PREFIX).partition("#")
    if not model_id.startswith(PREFIX) or not mark or not id:
        raise UnknownId(
            f"There is no model {model_id[:200]!r}; `%models --on pieces` lists those of a service."
        )
    return base_url, id


def read_progress(message: str | bytes) -> tuple[str, float | None]:
    """Read one frame: a status, and 0 to 100 where it is told; what makes no sense is `UNKNOWN`."""
    try:
        content = json.loads(message)
    except ValueError:
        return "UNKNOWN", None
    if not isinstance(content, dict):
        return "UNKNOWN", None
    status, percentage = content.get("status"), _number(content.get("percentage"))
    text = status.upper().replace("_", "-") if isinstance(status, str) else "UNKNOWN"
    return text, None if percentage is None else min(100.0, max(0.0, percentage))


def _number(value: Any) -> float | None:
    """Return a finite number, or `None` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON's whole numbers have no end
        return None
    return number if math.isfinite(number) else None


def _quoted(id: str) -> str:
    return quote(id, safe="")


def _text(response: httpx.Response) -> str:
    """Return a refusal's reason in one short line."""
    text = response.text
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        text = str(content.get("detail") or content.get("message") or content.get("title") or "")
    elif isinstance(content, str):
        text = content
    return " ".join(text.split())[:300]


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _size(value: Any) -> int | None:
    return _count(_number(value.get("value") if isinstance(value, dict) else value))


def _count(number: float | None, unit: float = 1.0) -> int | None:
    """Return a whole number that anybody can have so many of, or `None`."""
    return None if number is None or not 0 <= number * unit < _MOST else round(number * unit)


def _time(value: Any) -> str:
    text = value.get("value") if isinstance(value, dict) else value
    return text if isinstance(text, str) and text else _LONG_AGO
