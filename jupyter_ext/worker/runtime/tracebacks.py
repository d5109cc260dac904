"""An exception of the user's code, cut to the user's frames. Standard library only.

Rule: our own frames never show, the frames of libraries are counted, not listed, but for the innermost one, and no path of the
run's directory shows. What Python would print besides shows too: notes, causes, and the exceptions of a group.
"""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from jupyter_ext.ipc.json_values import clean_text
from jupyter_ext.ipc.run_files import ErrorFile, ErrorFrame

_OURS = str(Path(__file__).resolve().parents[2]) + os.sep
_LIBRARIES = tuple(
    path
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
    if (path := sysconfig.get_paths().get(name))
)
_MAX_FRAMES = 40
_MAX_IN_GROUP = 15
_MAX_GROUP_DEPTH = 10
_MAX_CHAIN = 20
_MAX_TEXT = 200_000
_MAX_SUMMARY = 300
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


def describe(
    error: BaseException, labels: Mapping[str, str], cwd: Path, run_dir: Path | None = None
) -> ErrorFile:
    """Describe an exception for `error.json`.

    Args:
        error: The exception, with its traceback.
        labels: What to call a file, such as "cell digits".
        cwd: Files below it are named relative to it.
        run_dir: The run's directory, whose paths are not shown.

    Returns:
        `type`, `message`, `summary` (one line), `frames` (outermost first; `file`, `line`, `function`, `source`) and `text`.
    """
    described = _Description(labels, cwd, run_dir)
    frames = [frame for frame, _ in described.frames_of(error) if frame is not None]
    if len(frames) > _MAX_FRAMES:
        frames = frames[: _MAX_FRAMES // 2] + frames[-_MAX_FRAMES // 2 :]
    message = described.clean(message_of(error))
    text = described.clean("\n".join(described.chain(error, 0)))
    if len(text) > _MAX_TEXT:
        text = f"{text[: _MAX_TEXT // 2]}\n… {len(text) - _MAX_TEXT:,} characters left out\n{text[-_MAX_TEXT // 2 :]}"
    summary = described.clean(summary_of(error))
    return {"type": type_name(error), "message": message, "summary": summary, "frames": frames, "text": text}


class _Description:
    """Puts exceptions into words.

    Args:
        labels: What to call a file.
        cwd: Files below it are named relative to it.
        run_dir: The run's directory.
    """

    def __init__(self, labels: Mapping[str, str], cwd: Path, run_dir: Path | None) -> None:
        self._labels = labels
        self._cwd = cwd
        self._run_dir = run_dir
        self._seen: set[int] = set()

    def clean(self, text: str) -> str:
        """Return a text without paths of the run's directory, and with characters only that UTF-8 can carry."""
        for filename, label in self._labels.items():
            text = text.replace(f'"{filename}"', label).replace(filename, label)
        if self._run_dir is not None:
            text = text.replace(f"{self._run_dir}{os.sep}", "").replace(
                str(self._run_dir), "the run's directory"
            )
        return clean_text(text)

    def chain(self, error: BaseException, depth: int) -> list[str]:
        """Return the lines of an exception and, before it, of what it came from."""
        parts: list[str] = []
        current: BaseException | None = error
        num = 0
        while current is not None and id(current) not in self._seen and num < _MAX_CHAIN:
            self._seen.add(id(current))
            num += 1
            parts[:0] = self._one(current, depth)
            cause = current.__cause__
            before = cause or (None if current.__suppress_context__ else current.__context__)
            if before is not None and id(before) not in self._seen:
                parts[:0] = ["", _CONTEXT if cause is None else _CAUSE, ""]
            current = before
        return parts

    def _one(self, error: BaseException, depth: int) -> list[str]:
        """Return the lines of one exception: its frames, its name and message, its notes, and what is grouped in it."""
        lines = [line for _, texts in self.frames_of(error) for line in texts]
        if len(lines) > 2 * _MAX_FRAMES:
            left_out = f"  … {len(lines) - 2 * _MAX_FRAMES} lines left out"
            lines = [*lines[:_MAX_FRAMES], left_out, *lines[-_MAX_FRAMES:]]
        head = ["Traceback (your frames only, most recent call last):"] if lines else []
        name, message = type_name(error), message_of(error)
        last = f"{name}: {message}" if message else name
        return [*head, *lines, *last.split("\n"), *_notes(error), *self._grouped(error, depth)]

    def _grouped(self, error: BaseException, depth: int) -> Iterator[str]:
        if not isinstance(error, BaseExceptionGroup):
            return
        if depth >= _MAX_GROUP_DEPTH:
            yield "  … more groups within"
            return
        for number, inner in enumerate(error.exceptions[:_MAX_IN_GROUP], 1):
            yield f"  ── {number} of {len(error.exceptions)} ──"
            yield from (f"  {line}" for line in self.chain(inner, depth + 1))
        if len(error.exceptions) > _MAX_IN_GROUP:
            yield f"  … and {len(error.exceptions) - _MAX_IN_GROUP} more"

    def frames_of(self, error: BaseException) -> Iterator[tuple[ErrorFrame | None, list[str]]]:
        """Yield what is told of each frame: the frame, where it is one of the user's, and its lines."""
        frames = list(traceback.extract_tb(error.__traceback__))
        if isinstance(error, SyntaxError) and error.filename in self._labels and error.lineno:
            frames.append(traceback.FrameSummary(error.filename or "", error.lineno, "<module>"))
        hidden, library = 0, ""
        for position, frame in enumerate(frames):
            if _is_ours(frame.filename):
                continue
            if not is_shown(frame.filename, self._labels, innermost=position == len(frames) - 1):
                hidden, library = hidden + 1, _library_of(frame.filename)
                continue
            if hidden:
                yield None, [f"  … {hidden} frame{'s' if hidden > 1 else ''} in {library}"]
                hidden = 0
            yield self._shown(frame)

    def _shown(self, frame: traceback.FrameSummary) -> tuple[ErrorFrame, list[str]]:
        name = self.clean(_name(frame.filename, self._labels, self._cwd))
        line = frame.lineno or 0
        source = linecache.getline(frame.filename, line).strip() or frame.line or None
        source = None if source is None else self.clean(source)
        lines = [f"  {name}, line {line}, in {frame.name}", *([f"    {source}"] if source else [])]
        return {"file": name, "line": line, "function": frame.name, "source": source}, lines


def type_name(error: BaseException) -> str:
    """Return how Python calls an exception's class."""
    kind = type(error)
    if kind.__module__ in ("builtins", "__main__", "__mp_main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def message_of(error: BaseException) -> str:
    """Return an exception's message, whatever its `__str__` does."""
    try:
        return str(error.msg) if isinstance(error, SyntaxError) else str(error)
    except Exception as broken:  # noqa: BLE001  a user's __str__ may do anything
        return f"<str() of it failed: {type(broken).__name__}>"


def summary_of(error: BaseException, depth: int = 0) -> str:
    """Return an exception in one line: name, message and notes; of a group the first that is no group itself."""
    words = " ".join(
        [*_in_one_line(message_of(error)), *(f"({' '.join(note.split())})" for note in _notes(error))]
    )
    line = f"{type_name(error)}: {words}" if words else type_name(error)
    line = line if len(line) <= _MAX_SUMMARY else f"{line[: _MAX_SUMMARY - 1]}…"
    if isinstance(error, BaseExceptionGroup) and depth < _MAX_GROUP_DEPTH:
        return f"{line}; first: {summary_of(error.exceptions[0], depth + 1)}"
    return line


def _in_one_line(message: str) -> list[str]:
    """Return the words of a message; of one that quotes a traceback (of another process) its first and its last line."""
    lines = [line for line in message.splitlines() if line.strip()]
    if any(line.lstrip().rstrip(":").endswith("Traceback (most recent call last)") for line in lines):
        first = [] if "Traceback" in lines[0] else [lines[0].strip()]
        return [*first, lines[-1].strip()]
    return message.split()


def _notes(error: BaseException) -> list[str]:
    notes = getattr(error, "__notes__", None)
    return [str(note) for note in notes if isinstance(note, str)] if isinstance(notes, list | tuple) else []


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
