"""Where a training runs that does not run here: a service, and a version that it knows."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.addresses import checked_base_url

DEFAULT_BASE_URL = "https://api.replicate.com/v1"
_REF = re.compile(r"([\w.-]+/[\w.-]+):([0-9a-f]{64})")
_PART = r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]*[a-zA-Z0-9])?"
_DESTINATION = re.compile(rf"{_PART}/{_PART}")


@dataclass(frozen=True)
class RemoteRef:
    """A version on a service, and the model that gets the result."""

    backend: str
    base_url: str
    model: str
    version: str
    destination: str | None = None


def is_remote(on: str) -> bool:
    """Return whether `--on` names a service: `replicate`, or a base URL."""
    return on == "replicate" or on.lower().startswith(("http://", "https://"))


def split_model(destination: str) -> tuple[str, str]:
    """Split `owner/name` of a model.

    Raises:
        InvalidInput: It is not of that form.
    """
    if not _DESTINATION.fullmatch(destination):
        raise InvalidInput(f"destination {destination!r} is not of the form owner/name.")
    owner, _, name = destination.partition("/")
    return owner, name


def remote_ref(ref: str, on: str, destination: str | None) -> RemoteRef:
    """Read what is to be trained on a service.

    Args:
        ref: `owner/name:version`, the version being 64 hexadecimal digits.
        on: `replicate`, which takes `REPLICATE_BASE_URL` where it is set, or a base URL ending in `/v1`.
        destination: `owner/name` of the model that gets the result.

    Raises:
        InvalidInput: One of them is not of that form.
    """
    found = _REF.fullmatch(ref)
    if found is None:
        raise InvalidInput(
            f"{ref!r} is not of the form owner/name:version, with the 64 digits of the version's id."
        )
    if destination is not None:
        split_model(destination)
    base_url = os.environ.get("REPLICATE_BASE_URL") or DEFAULT_BASE_URL if on == "replicate" else on
    name = "REPLICATE_BASE_URL" if on == "replicate" else "on"
    base_url = checked_base_url(base_url, name, DEFAULT_BASE_URL, "the token in REPLICATE_API_TOKEN")
    if not base_url.endswith("/v1"):
        base_url = f"{base_url}/v1"
    return RemoteRef("replicate", base_url, found[1], found[2], destination)
