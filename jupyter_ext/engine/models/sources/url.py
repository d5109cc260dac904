"""A model that is one file at an address: what its server says of it before it is fetched. Waits for the network."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources import file_selection
from jupyter_ext.engine.models.sources.http_range import Connector
from jupyter_ext.engine.models.sources.http_rules import TryAgain, validator_of
from jupyter_ext.engine.models.sources.http_settings import HttpSettings
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import ManifestFile
from jupyter_ext.errors import DownloadFailed, InvalidInput
from jupyter_ext.weights import formats

_ATTEMPTS = 3
_SIZE = re.compile(r"[0-9]{1,18}")
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


def repo_dir(ref: ModelRef, directory: Path) -> Path:
    """Return where the model of an address lies, in the same layout as a hub's."""
    host = _PLAIN.sub("-", urlsplit(ref.name).hostname or "")[:60]
    return directory / "urls" / f"{host}-{hashlib.sha256(str(ref).encode()).hexdigest()[:24]}"


def look_up(
    ref: ModelRef, settings: HubSettings, http_settings: HttpSettings, weights: Sequence[str]
) -> tuple[str, ManifestFile]:
    """Ask for size and version of the file at an address.

    Returns:
        A digest that stands for this version, 40 hexadecimal characters, and the file.

    Raises:
        InvalidInput: It is no file that may be fetched.
        DownloadFailed: The server does not answer as it must.
    """
    name = file_name(ref)
    if formats.can_run_code(name) and not file_selection.is_weights(name, weights):
        raise InvalidInput(
            f"{name} can run code when it is opened; to take it nevertheless, name it: weights=[{name!r}]."
        )
    if not file_selection.is_weights(name, weights):
        raise InvalidInput(f"{name!r} is no safetensors file; give the address of one.")
    if settings.offline:
        raise DownloadFailed(f"{ref} cannot be looked up: HF_HUB_OFFLINE is set.")
    num_bytes, validator = _ask(ref, settings, http_settings)
    if ref.sha256 is None and validator is None:
        raise DownloadFailed(
            f"{_where(ref)} says nothing that tells versions of the file apart; add #sha256=… to the address."
        )
    version = hashlib.sha256(f"{ref.name}\n{ref.sha256 or validator}\n{num_bytes}".encode()).hexdigest()
    blob = ref.sha256 or version
    file = ManifestFile(name, num_bytes, ref.name, blob, sha256=ref.sha256, validator=validator)
    return version[:40], file


def file_name(ref: ModelRef) -> str:
    """Return what the file is called here, from the end of the address's path.

    Raises:
        InvalidInput: The path has no such end.
    """
    name = PurePosixPath(unquote(urlsplit(ref.name).path)).name
    if not name:
        raise InvalidInput(f"{ref} names no file; give the address of a safetensors file.")
    if (why := file_selection.why_not_storable(file_selection.check_name(name))) is not None:
        raise InvalidInput(f"The file at {ascii(str(ref))[:300]} cannot be kept: {why}.")
    return name


def _ask(ref: ModelRef, settings: HubSettings, http_settings: HttpSettings) -> tuple[int, str | None]:
    connector = Connector(settings, http_settings.stall_s)
    try:
        for attempt in range(_ATTEMPTS):
            try:
                _, response = connector.head(ref.name, may_leave=ref.sha256 is not None)
            except TryAgain as problem:
                if attempt == _ATTEMPTS - 1:
                    raise DownloadFailed(
                        f"{_where(ref)} could not be asked: {problem}; try again later."
                    ) from None
                time.sleep(max(min(problem.pause_s, 10.0), http_settings.first_pause_s * 2**attempt))
                continue
            total = response.getheader("Content-Range", "").rpartition("/")[2]
            size = total if response.status == 206 else response.getheader("Content-Length", "")
            if not _SIZE.fullmatch(size):
                raise DownloadFailed(f"{_where(ref)} does not say how big the file is; nothing was fetched.")
            return int(size), validator_of(response)
    finally:
        connector.drop()
    raise AssertionError("unreachable")


def _where(ref: ModelRef) -> str:
    parts = urlsplit(ref.name)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
