"""What a local model's id says: where it comes from, which one it is, and which revision.

    hub:org/name[@revision]     of a Hugging Face-shaped hub; `org/name` alone means the same
    url:https://…               files at an address; an address alone means the same
    file:/path                  a folder or a file of this machine; an absolute path alone means the same
    training:<id>               the weights that a training left
    custom:<name>               described by the user, without files of its own

Rule: an id is text. It never becomes a file's name; files are named by its hash.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Literal

from jupyter_ext.errors import InvalidInput

Source = Literal["hub", "url", "file", "training", "custom"]

HUB_VARIABLES = (
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HUGGINGFACE_HUB_CACHE",
    "XDG_CACHE_HOME",
    "HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
"""The variables of whoever asks that say which hub, who asks, and where its cache lies; in memory only."""

MAX_ID_CHARACTERS = 1000
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
_REVISION = re.compile(r"[\w.][\w./-]{0,199}")
_NEXT = "Give one such as hub:org/name, /path/to/folder, https://… or training:<id>"


@dataclass(frozen=True)
class ModelRef:
    """One model's id, taken apart.

    `name` is `org/name`, an address, an absolute path, a training's id or a name; `revision` is a branch, tag or commit
    of a hub's model, `None` for its main branch.
    """

    source: Source
    name: str
    revision: str | None = None

    @property
    def id(self) -> str:
        """The id that says all of it."""
        return f"{self.source}:{self.name}" + (f"@{self.revision}" if self.revision else "")

    @property
    def short_name(self) -> str:
        """What a person calls it."""
        return os.path.basename(self.name.rstrip("/")) if self.source in ("file", "url") else self.name

    @property
    def key(self) -> str:
        """32 hexadecimal digits that name its files."""
        return key_of(self.id)


def key_of(model_id: str) -> str:
    """Give the 32 hexadecimal digits that files of a model are named by."""
    return hashlib.sha256(model_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def parse_ref(text: str) -> ModelRef:
    """Take an id apart, also one in a short form.

    Raises:
        InvalidInput: It is none.
    """
    text = text.strip()
    if not text or len(text) > MAX_ID_CHARACTERS or "\0" in text or "\n" in text:
        raise InvalidInput(f"{text[:60]!r} is no model's id. {_NEXT}.")
    if text.startswith(("http://", "https://")):
        return ModelRef("url", text)
    if text.startswith(("/", "~/", "./", "../")):
        return ModelRef("file", os.path.abspath(os.path.expanduser(text)))
    source, colon, rest = text.partition(":")
    if not colon:
        return _hub(text, text)
    match source:
        case "hub":
            return _hub(rest, text)
        case "url" if rest.startswith(("http://", "https://")):
            return ModelRef("url", rest)
        case "file" if rest.startswith(("/", "~/")):
            return ModelRef("file", os.path.abspath(os.path.expanduser(rest)))
        case "training" if rest.isalnum():
            return ModelRef("training", rest)
        case "custom" if rest:
            return ModelRef("custom", rest)
    raise InvalidInput(f"{text[:100]!r} is no model's id. {_NEXT}.")


def _hub(rest: str, text: str) -> ModelRef:
    name, at, revision = rest.partition("@")
    bad_revision = bool(at) and (not _REVISION.fullmatch(revision) or ".." in revision)
    if not _REPO.fullmatch(name) or ".." in name or "--" in name or bad_revision:
        raise InvalidInput(f"{text[:100]!r} is no model's id. {_NEXT}.")
    return ModelRef("hub", name, revision or None)
