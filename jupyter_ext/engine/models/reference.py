"""What a model is called: `hub:org/name[@revision]`, `url:https://…`, `file:/path`, `training:<id>`, `custom:<name>`.

A reference is checked here and nowhere else. None of its parts becomes a path as it stands, but for `file:`, which is one.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from jupyter_ext.errors import InvalidInput

RefSource = Literal["hub", "url", "file", "training", "custom"]

_REPO = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*/)?[A-Za-z0-9_][A-Za-z0-9._-]*")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]*")
_TRAINING = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_NAME = 96
_MAX_REVISION = 200
_MAX_URL = 4096

FORMS = "hub:org/name[@revision], url:https://…, file:/path or training:<id>"


@dataclass(frozen=True)
class ModelRef:
    """A checked reference.

    Attributes:
        source: Which kind it is.
        name: `org/name`, the address without its fragment, an absolute path, a training's id, or a name.
        revision: Branch, tag or commit of a hub's model; `None` is its main branch.
        sha256: What the file at an address must hash to (`url:https://…#sha256=…`), 64 hexadecimal characters.
    """

    source: RefSource
    name: str
    revision: str | None = None
    sha256: str | None = None

    def __str__(self) -> str:
        """Return it as it is written."""
        tail = f"@{self.revision}" if self.revision else f"#sha256={self.sha256}" if self.sha256 else ""
        return f"{self.source}:{self.name}{tail}"

    @property
    def is_pinned(self) -> bool:
        """Tell whether a hub's commit is named, so that what it means can never change."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None


def parse_ref(text: str) -> ModelRef:
    """Check a reference.

    Args:
        text: Such as `hub:sentence-transformers/all-MiniLM-L6-v2@main`.

    Raises:
        InvalidInput: It has none of the forms.
    """
    if _CONTROL.search(text):
        raise InvalidInput(f"{text!r} is no model; write {FORMS}.")
    source, colon, name = text.partition(":")
    if colon and source == "hub":
        return _hub(text, name)
    if colon and source == "url":
        return _url(text, name)
    if colon and source == "file":
        return _file(text, name)
    if colon and source == "training":
        if not _TRAINING.fullmatch(name):
            raise InvalidInput(f"{text!r} names no training; write training:<id>.")
        return ModelRef("training", name)
    if colon and source == "custom" and name.strip() and len(name) <= _MAX_URL:
        return ModelRef("custom", name)
    raise InvalidInput(f"{text[:200]!r} is no model; write {FORMS}.")


def _hub(text: str, name: str) -> ModelRef:
    repo, at, revision = name.partition("@")
    bad_repo = len(repo) > _MAX_NAME or "--" in repo or ".." in repo or repo.endswith((".git", "-", "."))
    if bad_repo or not _REPO.fullmatch(repo):
        raise InvalidInput(f"{text!r} names no model of a hub; write hub:org/name or hub:org/name@revision.")
    parts = revision.split("/")
    bad_revision = len(revision) > _MAX_REVISION or ".." in revision or "" in parts
    if at and (bad_revision or not _REVISION.fullmatch(revision) or any(p.startswith(".") for p in parts)):
        raise InvalidInput(f"{text!r} names no revision; write a branch, a tag or a commit after the @.")
    return ModelRef("hub", repo, revision or None)


def _url(text: str, name: str) -> ModelRef:
    address, _, fragment = name.partition("#")
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise InvalidInput(f"{text!r} holds no address; write url:https://host/file.safetensors.") from None
    if parts.username is not None or parts.password is not None:
        shown = f"{parts.scheme}://{parts.hostname}{parts.path}"
        raise InvalidInput(f"An address must not carry a name or password; write url:{shown}.")
    if parts.scheme not in ("http", "https") or not parts.hostname or len(address) > _MAX_URL:
        raise InvalidInput(f"{text!r} holds no address; write url:https://host/file.safetensors.")
    if " " in address or not address.isascii():
        raise InvalidInput(f"{text!r}: write the address with spaces and other characters percent-encoded.")
    if not fragment:
        return ModelRef("url", address)
    key, _, value = fragment.partition("=")
    if key != "sha256" or not _SHA256.fullmatch(value.lower()):
        raise InvalidInput(f"{text!r}: only #sha256= and 64 hexadecimal characters may follow an address.")
    return ModelRef("url", address, sha256=value.lower())


def _file(text: str, name: str) -> ModelRef:
    path = os.path.expanduser(name)
    if not os.path.isabs(path):
        raise InvalidInput(f"{text!r} is no absolute path; write file:/path/to/model.")
    return ModelRef("file", os.path.normpath(path))
