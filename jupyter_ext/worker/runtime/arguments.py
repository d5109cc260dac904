"""From JSON inputs to the arguments that a signature declares: paths, secrets, defaults. Standard library only.

Rule: a secret's text comes in memory and goes to the user's code only; see `redaction`.
"""

from __future__ import annotations

import base64
import inspect
import mimetypes
import os
import re
import shutil
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from jupyter_ext.worker.runtime.conversion import as_declared, declared_types
from jupyter_ext.worker.sdk.inputs import MISSING, InputSpec

_DOWNLOAD_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Files:
    """Where inputs that are files come from and go to.

    Attributes:
        base: Relative paths are meant from here, the notebook's directory.
        directory: Data URIs and downloads are written here.
        must_exist: Whether a path has to be a file or directory that is there.
    """

    base: Path
    directory: Path
    must_exist: bool = False


def arguments(function: Any, inputs: Mapping[str, object], files: Files) -> dict[str, Any]:
    """Return the keyword arguments to call a function with.

    Raises:
        FileNotFoundError: An input is to be a file, and there is none of this path.
    """
    found: dict[str, Any] = dict(inputs)
    kinds = declared_types(function)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        name = parameter.name
        if name in inputs:
            value = _declared(name, inputs[name], parameter.annotation, files)
            found[name] = as_declared(name, value, kinds.get(name))
        elif _is_field(parameter.default):
            here = Files(Path.cwd(), files.directory)
            found[name] = _declared(name, _default_of(parameter.default), parameter.annotation, here)
    return found


def by_position(function: Any, found: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Return arguments as a call takes them: those that a signature takes by position only, and the others by name."""
    positional, named = [], dict(found)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is not parameter.POSITIONAL_ONLY:
            break
        value = named.pop(parameter.name, parameter.default)
        if value is parameter.empty:
            break  # one is missing: Python says which
        positional.append(value)
    return positional, named


def _is_field(default: Any) -> bool:
    """Tell whether a default is `Input(…)`, ours, Cog's or pydantic's, and not a value."""
    return isinstance(default, InputSpec) or type(default).__name__ == "FieldInfo"


def _default_of(field: Any) -> Any:
    if isinstance(field, InputSpec):
        return None if field.default is MISSING else field.default
    if hasattr(field, "get_default"):
        return field.get_default(call_default_factory=True)
    return field.default


def _declared(name: str, value: Any, annotation: Any, files: Files) -> Any:
    """Return a `Path` or a secret where the signature says so; JSON has carried it as text."""
    words = set(re.findall(r"\w+", inspect.formatannotation(annotation)))
    if not words & {"Path", "SecretStr", "Secret"}:
        return value
    if isinstance(value, list):
        return [_declared(name, item, annotation, files) for item in value]
    if not isinstance(value, str):
        return value
    if "Path" in words and "str" not in words:
        return _path(name, value, files)
    if "SecretStr" in words:
        return sys.modules["pydantic"].SecretStr(value)
    if "Secret" in words and "cog" in sys.modules:
        return sys.modules["cog"].Secret(value)
    return value


def _path(name: str, text: str, files: Files) -> Path:
    kind: type[Path] = getattr(sys.modules.get("cog"), "Path", Path)
    scheme = urlsplit(text).scheme
    if scheme == "data":
        return kind(_write_data_uri(name, text, files.directory))
    if scheme in ("http", "https"):
        return kind(_download(name, text, files.directory))
    if scheme == "file":
        text = os.fsdecode(unquote_to_bytes(urlsplit(text).path))
    path = os.path.expanduser(text)
    if files.must_exist:
        path = os.path.join(files.base, path)
        if not os.path.exists(path):
            raise FileNotFoundError(f"input {name}: there is no file {path}")
    return kind(path)


def _write_data_uri(name: str, text: str, directory: Path) -> Path:
    head, comma, data = text.partition(",")
    media_type, *parameters = head.removeprefix("data:").split(";")
    if not comma:
        raise ValueError(f"input {name}: the data URI has no comma before its data")
    raw = unquote_to_bytes(data)
    content = base64.b64decode(raw, validate=True) if "base64" in parameters else raw
    path = _new_file(directory, name, mimetypes.guess_extension(media_type) or "")
    path.write_bytes(content)
    return path


def _download(name: str, url: str, directory: Path) -> Path:
    path = _new_file(directory, name, os.path.splitext(urlsplit(url).path)[1])
    with urllib.request.urlopen(url, timeout=_DOWNLOAD_TIMEOUT_S) as source, open(path, "wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    return path


def _new_file(directory: Path, name: str, extension: str) -> Path:
    directory.mkdir(mode=0o700, exist_ok=True)
    extension = extension if re.fullmatch(r"\.\w{1,10}", extension) else ""
    number = len(list(directory.iterdir()))
    return directory / f"{name}{f'-{number}' if number else ''}{extension}"
