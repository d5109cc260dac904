"""What a local model is called on the wire, and the short forms that people type.

    hub:org/name[@revision]     of a Hugging Face-shaped hub; `org/name` alone means the same
    url:https://…               a file at an address; an address alone means the same
    file:/path                  a folder or a file of this machine; a path alone means the same
    training:<id>               the weights that a training left
    custom:<name>               described by a client, without files of its own
    service:<base URL>#<id>     a model of a running service, under its own id

Rule: an id is text. It never becomes a file's name; files are named by its hash. Whether it is a good one, the engine says.
"""

from __future__ import annotations

import hashlib
import os
import re

_SOURCES = frozenset({"hub", "url", "file", "training", "custom", "service"})
_HUB_FORM = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?(@\w[\w./+-]*)?")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@.*)?|[\w.-]+@.+")

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
    "JUPYTER_EXT_MODEL_FOLDERS",
)
"""The variables of whoever asks that say which hub, who asks, and where its cache lies; in memory only."""


def full_id(text: str) -> str:
    """Return the id that a short form stands for; what is none stays as it is."""
    text = text.strip()
    if text.startswith(("http://", "https://")):
        return f"url:{text}"
    if text.startswith(("/", "~/", "./", "../")) or text in (".", ".."):
        return f"file:{os.path.abspath(os.path.expanduser(text))}"
    return text if ":" in text or not text else f"hub:{text}"


def is_reference(text: str) -> bool:
    """Tell whether a text names one model wholly, wherever it is: with its owner, a revision, a source, a path or an address.

    Such a text means that model and no other, however close another's name is.
    """
    text = text.strip()
    source, colon, _ = text.partition(":")
    is_place = full_id(text).startswith(("url:", "file:"))
    return is_place or (bool(colon) and source in _SOURCES) or _HUB_NAME.fullmatch(text) is not None


def is_hub_name(text: str) -> bool:
    """Tell whether a text has the form of a hub's model: `[hub:]name` or `[hub:]org/name`, with or without a revision."""
    return _HUB_FORM.fullmatch(text.strip().removeprefix("hub:")) is not None


def short_id(model_id: str) -> str:
    """Return an id without the source that people leave out; what is left means the same, or nearly, when it is typed."""
    for source in ("hub:", "training:", "custom:"):
        if model_id.startswith(source):
            return model_id.removeprefix(source)
    return model_id


def key_of(model_id: str) -> str:
    """Return the 32 hexadecimal digits that files of a model are named by."""
    return hashlib.sha256(model_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
