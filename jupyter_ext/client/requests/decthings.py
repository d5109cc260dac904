"""Where Decthings' service is, what opens it, and calls to it through the engine, with its errors as ours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import httpx
from pydantic import SecretStr
from typing_extensions import TypeVar

from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.errors import InvalidInput, RequestRefused, SessionCallFailed, SessionEnded, UnknownId
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.addresses import checked_base_url, shown
from jupyter_ext.protocol.decthings.framing import decode_response, encode_request
from jupyter_ext.protocol.decthings.varint import WireError

DEFAULT_BASE_URL = "https://api.decthings.com/v0"
KEY_VARIABLE, BASE_URL_VARIABLE = "DECTHINGS_API_KEY", "DECTHINGS_BASE_URL"
A = TypeVar("A", default=JsonObject)
_TIMEOUT = httpx.Timeout(None, connect=5.0)


@dataclass(frozen=True)
class Service:
    """A service and the key to it; the key shows itself nowhere."""

    base_url: str
    key: SecretStr | None

    def call(
        self, method: str, params: Any, blobs: Sequence[Any] = (), answer: type[A] | None = None
    ) -> tuple[A, list[bytes]]:
        """Call a method such as `Debug/callTrain`.

        Raises:
            InvalidInput: A parameter is wrong; the text names it.
            UnknownId: Something is not there.
            SessionCallFailed: The model's code raised; the text is its traceback.
            RequestRefused: It was refused, or nobody answered.
        """
        headers = {"x-decthings-base-url": self.base_url}
        if self.key is not None:
            headers["x-decthings-key"] = self.key.get_secret_value()
        try:
            body = encode_request(params, blobs)
        except WireError as error:
            raise InvalidInput(str(error)) from None
        asking = client().transport.ask_bytes(
            "POST", f"/native/decthings/{method}", content=body, headers=headers, timeout=_TIMEOUT
        )
        message = decode_response(loop_thread().run(asking))
        refused = message.content.get("error")
        if refused is None:
            return cast("A", message.content["result"]), [bytes(blob) for blob in message.blobs]
        raise error_of(method, refused)


def service(on: str) -> Service:
    """Find a service and its key.

    Args:
        on: `decthings`, which takes `DECTHINGS_BASE_URL` where it is set, or a base URL.

    The key is `DECTHINGS_API_KEY` of the environment; without it the engine looks into the keyring, where
    `keyring set jupyter-ext api.decthings.com` keeps it.
    """
    base_url = (os.environ.get(BASE_URL_VARIABLE) or DEFAULT_BASE_URL) if on == "decthings" else on
    if not base_url.lower().startswith(("http://", "https://")):
        raise InvalidInput(
            f"on={shown(on)!r} is none of local, decthings, or a base URL such as {DEFAULT_BASE_URL}."
        )
    name = BASE_URL_VARIABLE if on == "decthings" else "on"
    base_url = checked_base_url(base_url, name, DEFAULT_BASE_URL, f"the key in {KEY_VARIABLE}")
    key = os.environ.get(KEY_VARIABLE, "").strip()
    return Service(base_url, SecretStr(key) if key else None)


def error_of(method: str, error: JsonObject) -> Exception:
    """Return the exception for an error of the service."""
    code = str(error.get("code"))
    if code == "invalid_parameter":
        return InvalidInput(f"{error.get('parameterName')}: {error.get('reason')}")
    if code == "exception":
        text = str(error.get("exceptionDetails") or "The model's code raised an exception.").strip()
        return SessionCallFailed(text.splitlines()[-1], text)
    if code == "bad_credentials":
        return RequestRefused(f"{method}: the service refuses the key; set {KEY_VARIABLE} to a valid one.")
    if code == "dataset_not_found":
        return UnknownId(f"{method}: the service has no dataset {error.get('datasetId')!r}.")
    if code == "dataset_key_not_found":
        return UnknownId(
            f"{method}: dataset {error.get('datasetId')!r} has no key {error.get('datasetKey')!r}."
        )
    if code.endswith("_not_found"):
        return UnknownId(
            f"{method}: the service knows no such {code.removesuffix('_not_found').replace('_', ' ')}."
        )
    if code == "debug_session_terminated":
        return SessionEnded(f"{method}: the session has ended.")
    return RequestRefused(f"{method}: the service answered {code.replace('_', ' ')}.")
