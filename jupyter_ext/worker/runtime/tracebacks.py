"""An exception of the user's code, cut to the user's frames. Standard library only.

Rule: our own frames never show, and the frames of libraries are counted, not listed, but for the innermost one.
"""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_OURS = str(Path(__file__).resolve().parents[2]) + os.sep
_LIBRARIES = tuple(
    path
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
    if (path := sysconfig.get_paths().get(name))
)
_MAX_FRAMES = 40


def describe(error: BaseException, labels: Mapping[str, str], cwd: Path) -> dict[str, Any]:
    """Describe an exception for `error.json`.

    Args:
        error: The exception, with its traceback.
        labels: What to call a file, such as "cell digits".
        cwd: Files below it are named relative to it.

    Returns:
        `type`, `message`, `frames` (outermost first; `file`, `line`, `function`, `source`) and `text`.
    """
    told = _one(error, labels, cwd)
    texts = [told["text"]]
    seen = {id(error)}
    while True:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            break
        joint = (
            "The above exception was the direct cause of the following exception:"
            if error.__cause__
            else "During handling of the above exception, another exception occurred:"
        )
        texts[:0] = [_one(cause, labels, cwd)["text"], joint]
        seen.add(id(cause))
        error = cause
    return {**told, "text": "\n\n".join(texts)}


def _one(error: BaseException, labels: Mapping[str, str], cwd: Path) -> dict[str, Any]:
    frames: list[dict[str, Any]] = []
    lines: list[str] = []
    walked = traceback.extract_tb(error.__traceback__)
    extra: list[traceback.FrameSummary] = []
    if isinstance(error, SyntaxError) and error.filename and error.filename in labels and error.lineno:
        extra = [traceback.FrameSummary(error.filename, error.lineno, "<module>")]
    hidden, library = 0, ""
    everything = [*walked, *extra]
    for position, frame in enumerate(everything):
        if _is_ours(frame.filename):
            continue
        if not is_shown(frame.filename, labels, innermost=position == len(everything) - 1):
            hidden, library = hidden + 1, _library_of(frame.filename)
            continue
        if hidden:
            lines.append(f"  … {hidden} frame{'s' if hidden > 1 else ''} in {library}")
            hidden = 0
        name = _name(frame.filename, labels, cwd)
        source = linecache.getline(frame.filename, frame.lineno or 0).strip() or frame.line or None
        frames.append({"file": name, "line": frame.lineno or 0, "function": frame.name, "source": source})
        lines.append(f"  {name}, line {frame.lineno}, in {frame.name}")
        if source:
            lines.append(f"    {source}")
    if len(frames) > _MAX_FRAMES:
        frames = frames[: _MAX_FRAMES // 2] + frames[-_MAX_FRAMES // 2 :]
        lines = [
            *lines[:_MAX_FRAMES],
            f"  … {len(lines) - 2 * _MAX_FRAMES} lines left out",
            *lines[-_MAX_FRAMES:],
        ]
    kind = type(error)
    name = (
        kind.__qualname__
        if kind.__module__ in ("builtins", "__main__")
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    message = error.msg if isinstance(error, SyntaxError) else _message(error)
    head = ["Traceback (your frames only, most recent call last):"] if lines else []
    text = "\n".join([*head, *lines, f"{name}: {message}" if message else name])
    return {"type": name, "message": message, "frames": frames, "text": text}


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  a user's __str__ may do anything
        return f"<str() of it failed: {type(broken).__name__}>"


def is_shown(filename: str, labels: Mapping[str, str], *, innermost: bool) -> bool:
    """Tell whether a frame of this file is listed: the user's, and the innermost one of whoever's but ours."""
    return not _is_ours(filename) and (innermost or _is_users(filename, labels))


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OURS) or filename.startswith("<frozen")


def _is_users(filename: str, labels: Mapping[str, str]) -> bool:
    return filename in labels or not (filename.startswith("<") or filename.startswith(_LIBRARIES))


def _library_of(filename: str) -> str:
    for root in _LIBRARIES[::-1]:
        if filename.startswith(root):
            return Path(filename).relative_to(root).parts[0].removesuffix(".py")
    return "libraries"


def _name(filename: str, labels: Mapping[str, str], cwd: Path) -> str:
    if filename in labels:
        return labels[filename]
    path = Path(filename)
    for root in _LIBRARIES[::-1]:
        if filename.startswith(root):
            return str(path.relative_to(root))
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else filename
