"""Inputs that are files: what a client gave as a URL becomes a local file before the user's function is called.

Rule: only inputs declared as `Path` are touched, and the engine fetches from this machine only: its own files, data:
URIs, and http(s) on a loopback address.
"""

from __future__ import annotations

import base64
import binascii
import io
import ipaddress
import mimetypes
import os
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from jupyter_ext.engine.files.names import file_id, safe_name
from jupyter_ext.engine.files.uploads import FileStore
from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input
from jupyter_ext.protocol.schema.inputs import Parameter, TrainingInput

MAX_FETCHED_BYTES = 10 * 2**30
_FETCH_TIMEOUT_S = 30.0
_KEEP_ALIVE_S = 5.0
_OURS = re.compile(r"/v1(?:/v1)?/files/([0-9a-v]{26})(?:/download)?")

MAX_SHOWN_CHARACTERS = 64 << 10
"""A longer text among the inputs is shown to clients of `/v1` as the URL of a file."""


class FetchError(Exception):
    """A file input could not be had; the text says why in one line."""


class FileInputs:
    """Finds and makes the local files of a run."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    def check(self, declared: TrainingInput | None, given: Mapping[str, object]) -> list[str]:
        """Name the inputs that hold URLs to resolve.

        Raises:
            Problem: One is a URL that the engine does not fetch.
        """
        names, wrong = [], []
        for parameter in declared.parameters if declared else ():
            value = given.get(parameter.name)
            texts = [item for item in value if isinstance(item, str)] if isinstance(value, list) else [value]
            urls = [text for text in texts if isinstance(text, str) and _scheme(text)]
            if not urls or not takes_path(parameter):
                continue
            names.append(parameter.name)
            for url in urls:
                if (says := self._refusal(url)) is not None:
                    wrong.append(InvalidField("uri", f"input.{parameter.name}", f"{parameter.name}: {says}"))
        if wrong:
            raise invalid_input(wrong)
        return names

    def resolve(self, names: Sequence[str], given: Mapping[str, JsonValue], run_dir: Path) -> JsonObject:
        """Return the inputs with local paths in place of URLs. Blocks: call it in a thread.

        Raises:
            FetchError: A file cannot be had.
        """
        resolved = dict(given)
        for name in names:
            value = resolved[name]
            folder = run_dir / "inputs" / safe_name(name)
            if isinstance(value, list):
                resolved[name] = [
                    self._resolve(str(item), folder / str(number), run_dir) if _scheme(item) else item
                    for number, item in enumerate(value)
                ]
            else:
                resolved[name] = self._resolve(str(value), folder, run_dir)
        return resolved

    def keep_large(self, run_id: str, given: Mapping[str, object]) -> None:
        """Keep a file of each long text among a run's inputs, so that lists of runs need not carry it. Blocks."""
        for name, value in given.items():
            if isinstance(value, str) and len(value) > MAX_SHOWN_CHARACTERS:
                text = value.encode("utf-8", "replace")
                self._files.add(
                    large_input_id(run_id, name), io.BytesIO(text), f"{name}.txt", "text/plain", {}
                )

    def link(self, file_id: str, folder: Path) -> str:
        """Put a stored file into a run's folder under the name that it was stored with; return its path.

        Raises:
            Problem: It was deleted.
        """
        stored = self._files.get(file_id)
        if stored is None:
            raise Problem(422, "No weights", f"The weights {file_id} of this version were deleted.")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return str(_link(self._files.content(file_id), folder / safe_name(stored.name)))

    def _refusal(self, url: str) -> str | None:
        if _scheme(url) == "data":
            return None if "," in url else "this data: URI has no comma"
        parts = urlsplit(url)
        if not _is_loopback(parts.hostname):
            return (
                f"the engine does not fetch from {str(parts.hostname)[:60]!r}; upload the file to /v1/files, "
                "or download it inside your own code"
            )
        found = _OURS.fullmatch(parts.path)
        if found and self._files.get(found[1]) is None:
            return f"there is no file {found[1]}; it may have been deleted"
        return None

    def _resolve(self, url: str, folder: Path, run_dir: Path) -> str:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = None if _scheme(url) == "data" else _OURS.fullmatch(urlsplit(url).path)
        try:
            if _scheme(url) == "data":
                return str(_write_data(url, folder))
            if found and (stored := self._files.get(found[1])):
                return str(_link(self._files.content(stored.id), folder / safe_name(stored.name)))
            return str(_fetch(url, folder, run_dir))
        except (OSError, LookupError) as error:
            raise FetchError(f"{url[:100]} could not be made a file: {error}") from error


def large_input_id(run_id: str, name: str) -> str:
    """Return the id of the file that a long text among a run's inputs is kept in."""
    return file_id(run_id, f"input/{name}")


def takes_path(parameter: Parameter) -> bool:
    """Tell whether an input is declared as a path, or several."""
    return bool(re.search(r"\bPath\b", parameter.type_text)) and "str" not in parameter.type_text


def _scheme(text: Any) -> str | None:
    found = re.match(r"(data|https?):", text) if isinstance(text, str) else None
    return found[1] if found else None


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _link(source: Path, target: Path) -> Path:
    if not target.exists():
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    return target


def _write_data(url: str, folder: Path) -> Path:
    head, _, body = url[5:].partition(",")
    mime, *words = head.split(";")
    try:
        data = (
            base64.b64decode(unquote_to_bytes(body), validate=True)
            if "base64" in words
            else unquote_to_bytes(body)
        )
    except binascii.Error as error:
        raise FetchError(f"a data: URI is not base64: {error}") from error
    path = folder / f"file{mimetypes.guess_extension(mime or 'text/plain') or ''}"
    path.write_bytes(data)
    return path


def _fetch(url: str, folder: Path, run_dir: Path) -> Path:
    """Download from a loopback address, without following it elsewhere."""
    import httpx

    path = folder / safe_name(unquote(urlsplit(url).path))
    size, told_at = 0, time.monotonic()
    try:
        with (
            httpx.Client(trust_env=False, timeout=_FETCH_TIMEOUT_S) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != 200:
                raise FetchError(f"{url[:100]} answered {response.status_code}, not 200")
            with open(path, "wb") as file:
                for chunk in response.iter_bytes(1 << 20):
                    size += len(chunk)
                    if size > MAX_FETCHED_BYTES:
                        raise FetchError(f"{url[:100]} is larger than 10 GiB")
                    file.write(chunk)
                    if time.monotonic() - told_at > _KEEP_ALIVE_S:
                        os.utime(run_dir / "spec.json")  # its age tells whether the start was given up
                        told_at = time.monotonic()
    except httpx.HTTPError as error:
        raise FetchError(
            f"{url[:100]} could not be downloaded: {str(error) or type(error).__name__}"
        ) from error
    return path
