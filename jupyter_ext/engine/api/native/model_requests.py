"""Bodies of requests about local models.

Rule: a field of another kind is refused by name before anything is done; unknown fields are ignored but where they would
be a change that nobody makes.
"""

from __future__ import annotations

import sys
import time
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from starlette.requests import Request

from jupyter_ext.engine.api.http.requests import json_object
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.models.interfaces import LoadOptions
from jupyter_ext.protocol.model_refs import HUB_VARIABLES
from jupyter_ext.protocol.models import ModelUser
from jupyter_ext.protocol.problems import InvalidField, Problem

MAX_S = 1e9
"""Longest keep-alive that is taken, seconds: 31 years. Below 0 is for ever."""
_MAX_SHOWN = 200


def _text_of_anything(value: Any) -> Any:
    return {str(name): str(item) for name, item in value.items()} if isinstance(value, dict) else value


def _only_hub(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: str(value[name]) for name in HUB_VARIABLES if value.get(name) is not None}


Variables = Annotated[dict[str, str], BeforeValidator(_text_of_anything)]
HubVariables = Annotated[dict[str, str], BeforeValidator(_only_hub)]
Seconds = Annotated[float, Field(ge=-MAX_S, le=MAX_S, allow_inf_nan=False)]


class Body(BaseModel):
    """Base of all bodies."""

    model_config = ConfigDict(strict=True, defer_build=True)


class AddBody(Body):
    """Begin to know a model; with `look` its hub is asked how big it is."""

    id: str
    name: str | None = None
    description: str | None = None
    look: bool | None = None
    environ: HubVariables | None = None


class ServiceBody(Body):
    """Begin to know a service."""

    on: str
    token: str | None = None


class ChangeBody(Body):
    """Change what is said of a model, or how long it stays."""

    model_config = ConfigDict(strict=True, extra="forbid", defer_build=True)

    name: str | None = None
    description: str | None = None
    pinned: bool | None = None
    keep_alive_s: Seconds | None = None


class DownloadBody(Body):
    """Download; `weights` names files that are no safetensors."""

    environ: HubVariables | None = None
    weights: list[str] | None = None


class UpdateBody(Body):
    """Look for a newer revision; with `check` nothing is fetched."""

    environ: HubVariables | None = None
    check: bool | None = None


class UnloadBody(Body):
    """Unload."""

    wait: bool | None = None


class UserBody(Body):
    """Who uses a model."""

    id: str
    name: str | None = None
    pid: int | None = None
    since: str | None = None

    def user(self) -> ModelUser:
        """Return the user."""
        return ModelUser(
            id=self.id[:_MAX_SHOWN],
            name=(self.name or self.id)[:_MAX_SHOWN],
            pid=self.pid,
            since=self.since or rfc3339(time.time()),
        )


class AttachBody(Body):
    """Note a user."""

    user: UserBody


class WorkerBody(Body):
    """Where a model's process runs."""

    python: str | None = None
    cwd: str | None = None
    environ: Variables | None = None


class LoadBody(Body):
    """Load."""

    device: str | None = None
    dtype: str | None = None
    keep_alive_s: Seconds | None = None
    pin: bool | None = None
    force: bool | None = None
    wait: bool | None = None
    options: dict[str, Any] | None = None
    worker: WorkerBody | None = None
    environ: HubVariables | None = None
    user: UserBody | None = None

    def load_options(self) -> LoadOptions:
        """Return how the model is to be loaded."""
        worker = self.worker or WorkerBody()
        return LoadOptions(
            python=worker.python or sys.executable,
            cwd=worker.cwd or "/",
            device=self.device,
            dtype=self.dtype,
            keep_alive_s=self.keep_alive_s,
            pin=bool(self.pin),
            force=bool(self.force),
            environ=worker.environ or {},
            hub_environ=self.environ or {},
            extra=self.options or {},
            user=None if self.user is None else self.user.user(),
        )


B = TypeVar("B", bound=Body)


async def read(request: Request, kind: type[B]) -> B:
    """Read a request's body, which may be missing where no field must be given.

    Raises:
        Problem: It is no JSON object, or a field is of another kind; each is named.
    """
    content = await json_object(request) if await request.body() else {}
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        fields = [
            InvalidField("value", where, f"{where}: {item['msg'][0].lower()}{item['msg'][1:]}.")
            for item in error.errors(include_url=False, include_input=False)
            for where in [".".join(map(str, item["loc"])) or "the body"]
        ]
        text = " ".join(field.description for field in fields[:5])
        raise Problem(422, "Invalid value", text, fields) from None
