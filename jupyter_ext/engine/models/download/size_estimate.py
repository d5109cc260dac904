"""What a model's weights will take, from the first bytes of its files; one small request per file. Waits for the network."""

from __future__ import annotations

import http.client
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from jupyter_ext.engine.models.cache import hf_cache
from jupyter_ext.engine.models.cache.checksums import new_hash
from jupyter_ext.engine.models.download.reuse import digest_of
from jupyter_ext.engine.models.sources.http_range import Connector, Remote
from jupyter_ext.engine.models.sources.http_rules import Changed, TryAgain
from jupyter_ext.engine.models.sources.http_settings import HttpSettings
from jupyter_ext.engine.models.sources.manifest import Manifest, ManifestFile
from jupyter_ext.errors import DownloadFailed
from jupyter_ext.weights.json_documents import MAX_CONFIG_BYTES, BadJson, parse_document
from jupyter_ext.weights.safetensors import (
    FIRST_READ_BYTES,
    LENGTH_BYTES,
    BadHeader,
    Header,
    WeightsSummary,
    header_length,
    parse_header,
    read_header,
    summarize,
)

log = logging.getLogger(__name__)

_AT_ONCE = 8
_ATTEMPTS = 3


def look_ahead(
    manifest: Manifest, http_settings: HttpSettings
) -> tuple[dict[str, Any] | None, WeightsSummary | None]:
    """Read the config and the headers of all safetensors files, here or at the server.

    Returns:
        The parsed `config.json`, and what the tensors add up to; `None` for what cannot be had.

    Raises:
        DownloadFailed: A file is no safetensors file, or its size is not what its header says: nothing needs to be
            fetched to know that.
    """
    config_file = next((file for file in manifest.files if file.name == "config.json"), None)
    weights = [file for file in manifest.files if file.name.endswith(".safetensors")]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="models-ahead") as pool:
        config = pool.submit(_config, manifest, config_file, http_settings) if config_file else None
        headers = list(pool.map(lambda file: _header(manifest, file, http_settings), weights))
    known = [header for header in headers if header is not None]
    summary = summarize(known) if known and len(known) == len(headers) else None
    return config.result() if config else None, summary


def _config(manifest: Manifest, file: ManifestFile, http_settings: HttpSettings) -> dict[str, Any] | None:
    if not 0 < file.bytes <= MAX_CONFIG_BYTES:
        return None
    try:
        content = _local(manifest, file) or _first_bytes(manifest, file, file.bytes, http_settings)
        parsed = parse_document(content)
    except (BadJson, TryAgain, Changed) as error:
        log.info("the config of %s could not be read ahead (%s)", manifest.ref, type(error).__name__)
        return None
    return parsed if isinstance(parsed, dict) else None


def _local(manifest: Manifest, file: ManifestFile) -> bytes | None:
    """Return a small file that is here with the right content."""
    algorithm, wanted = digest_of(file)
    try:
        content = hf_cache.blob_path(manifest, file).read_bytes()
    except OSError:
        return None
    hasher = new_hash(algorithm, len(content))
    hasher.update(content)
    return content if hasher.hexdigest() == wanted else None


def _header(manifest: Manifest, file: ManifestFile, http_settings: HttpSettings) -> Header | None:
    blob = hf_cache.blob_path(manifest, file)
    try:
        header = read_header(blob)
        if header.file_bytes == file.bytes:
            return header
    except (OSError, BadHeader):
        # Not here, or wrong: then the transfer will find that out by its hash.
        pass
    try:
        head = _first_bytes(manifest, file, min(file.bytes, FIRST_READ_BYTES), http_settings)
        needed = LENGTH_BYTES + header_length(head)
        if needed > file.bytes:
            raise BadHeader("its header would be longer than the file")
        if needed > len(head):
            head = _first_bytes(manifest, file, needed, http_settings)
        header = parse_header(head)
    except (TryAgain, Changed) as error:
        log.info("the header of %s could not be read ahead (%s)", file.name, error)
        return None
    except BadHeader as error:
        raise DownloadFailed(f"{file.name} of {manifest.ref} is not what it should be: {error}.") from None
    if header.file_bytes != file.bytes:
        raise DownloadFailed(
            f"{file.name} of {manifest.ref} has {file.bytes} bytes, and {header.file_bytes} by its own header; "
            "it was not fetched."
        )
    return header


def _first_bytes(
    manifest: Manifest, file: ManifestFile, num_bytes: int, http_settings: HttpSettings
) -> bytes:
    """Ask the server for a file's first bytes.

    Raises:
        TryAgain: The server did not give them, several times.
        Changed: It has another file.
        DownloadFailed: It refuses.
    """
    remote = Remote(file.url, file.bytes, file.has_hash, validator=None if file.has_hash else file.validator)
    connector = Connector(manifest.settings, http_settings.stall_s)
    try:
        for attempt in range(_ATTEMPTS):
            try:
                body = connector.open_range(remote, 0, num_bytes)
                head = body.response.read(num_bytes)
            except TryAgain:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            except (OSError, http.client.HTTPException) as error:
                connector.drop()
                log.info("%s broke off (%s)", remote.host, type(error).__name__)
                continue
            if len(head) == num_bytes:
                return head
    finally:
        connector.drop()
    raise TryAgain(f"{remote.host} sent too little")
