"""Where the hub is, who asks and where its cache lies: from the usual variables of the notebook that asks.

The engine's own environment counts only where no notebook's is given.

Source: huggingface_hub's "Environment variables" page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.addresses import checked_base_url
from jupyter_ext.protocol.model_refs import HUB_VARIABLES

DEFAULT_ENDPOINT = "https://huggingface.co"

VARIABLES = HUB_VARIABLES
"""What a client sends along of its environment; nothing else is read."""

_TRUE = {"1", "on", "yes", "true"}
_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")


@dataclass(frozen=True)
class HubSettings:
    """One notebook's hub.

    Attributes:
        endpoint: Base address of the hub, without a slash at its end.
        cache_dir: Directory in the Hugging Face cache layout.
        token: Sent to the endpoint's own origin and nowhere else.
        offline: Nothing may be asked of the network.
        proxies: Proxy by scheme, such as `{"https": "http://proxy:3128"}`.
        no_proxy: Hosts that are asked directly, comma-separated.
        ca_file: Certificates to trust, instead of the system's.
        look_in: Folders whose files are taken by their hash before they are fetched (`JUPYTER_EXT_MODEL_FOLDERS`,
            separated like `PATH`).
    """

    endpoint: str
    cache_dir: Path
    token: SecretStr | None = None
    offline: bool = False
    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    no_proxy: str = ""
    ca_file: str | None = None
    look_in: tuple[Path, ...] = ()

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> HubSettings:
        """Read the variables.

        Args:
            environ: The asking notebook's environment, or the part of it in `VARIABLES`; without it, this process's.

        Raises:
            InvalidInput: The endpoint or the token cannot be one.
        """
        environ = os.environ if environ is None else environ
        home = Path(environ.get("HOME") or Path.home())
        cache_home = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
        hf_home = _path(environ.get("HF_HOME"), home) or cache_home / "huggingface"
        cache = _path(_first(environ, "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"), home)
        offline = _first(environ, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE") or ""
        return cls(
            endpoint=_endpoint(environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT),
            cache_dir=cache or hf_home / "hub",
            token=_token(environ, _path(environ.get("HF_TOKEN_PATH"), home) or hf_home / "token"),
            offline=offline.strip().lower() in _TRUE,
            proxies=_proxies(environ),
            no_proxy=_first(environ, "no_proxy", "NO_PROXY") or "",
            ca_file=_first(environ, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"),
            look_in=_folders(environ.get("JUPYTER_EXT_MODEL_FOLDERS"), home),
        )


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    """Return the first of some variables that is set to something."""
    return next((environ[name] for name in names if environ.get(name)), None)


def _folders(text: str | None, home: Path) -> tuple[Path, ...]:
    return tuple(path for part in (text or "").split(os.pathsep) if (path := _path(part, home)) is not None)


def _path(text: str | None, home: Path) -> Path | None:
    if not text:
        return None
    return home / text[2:] if text.startswith("~/") else Path(os.path.abspath(text))


def _endpoint(text: str) -> str:
    return checked_base_url(text, "HF_ENDPOINT", DEFAULT_ENDPOINT, "the token in HF_TOKEN")


def _token(environ: Mapping[str, str], path: Path) -> SecretStr | None:
    if environ.get("HF_HUB_DISABLE_IMPLICIT_TOKEN", "").strip().lower() in _TRUE:
        return None
    text = (_first(environ, "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") or "").strip()
    where = "HF_TOKEN"
    if not text:
        where = str(path)
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return None
    if not text:
        return None
    if not _TOKEN.fullmatch(text):
        raise InvalidInput(f"The token in {where} holds characters that no token has; log in again.")
    return SecretStr(text)


def _proxies(environ: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for scheme in ("http", "https"):
        name = f"{scheme}_proxy"
        if value := _first(environ, name, name.upper(), "all_proxy", "ALL_PROXY"):
            found[scheme] = value if "://" in value else f"http://{value}"
    return found
