"""What a session tells, as text for people: a failure with its locals, stacks, parameters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jupyter_ext.ipc.payloads.call_failures import ExceptionReport
from jupyter_ext.ipc.payloads.session_messages import Failure, Stack
from jupyter_ext.ipc.payloads.value_summaries import LocalValue

MAX_SHOWN_FRAMES = 2
"""Frames whose locals are shown with an exception, the innermost ones; `frames` shows the others."""
MAX_SHOWN_LOCALS = 12
_WIDTH = 96


def failure_text(exception: ExceptionReport, name: str) -> str:
    """Return the user's own traceback, the locals of its innermost frames, and what can be done now."""
    parts = [str(exception["text"])]
    frames = exception.get("frames") or []
    for number in range(max(0, len(frames) - MAX_SHOWN_FRAMES), len(frames)):
        if found := frames[number].get("locals"):
            head = f"Locals of frame {number}, {frames[number]['function']}:"
            parts.append("\n".join([head, *locals_lines(found[:MAX_SHOWN_LOCALS])]))
    if frames:
        parts.append(f"The session is stopped there: `%%in_session {name}` evaluates in that frame.")
    return "\n\n".join(parts)


def locals_lines(found: Sequence[LocalValue]) -> list[str]:
    """Return a table of names, types and values."""
    width = min(24, max((len(one["name"]) for one in found), default=0))
    kind = min(20, max((len(one["type"]) for one in found), default=0))
    lines = [f"  {one['name']:<{width}}  {one['type']:<{kind}}  {one['text']}" for one in found]
    return [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in lines]


def frames_text(answer: Failure) -> str:
    """Return all frames of the last failure, the selected one marked and with its locals."""
    lines = [f"{answer['type']}: {answer['message']}   (in {answer['op']})"]
    for number, frame in enumerate(answer["frames"]):
        mark = "→" if number == answer["selected"] else " "
        lines.append(f"{mark} {number}  {frame['file']}, line {frame['line']}, in {frame['function']}")
        if frame.get("source"):
            lines.append(f"       {frame['source']}")
        selected = answer["frame"]
        if number == answer["selected"] and selected is not None:
            lines += ["   " + line for line in locals_lines(selected.get("locals", []))]
    return "\n".join(lines)


def stacks_text(threads: Iterable[Stack]) -> str:
    """Return where each thread stands."""
    lines = []
    for thread in threads:
        lines.append(f"{thread['name']}:")
        for frame in thread["frames"]:
            lines.append(f"  {frame['file']}, line {frame['line']}, in {frame['function']}")
            if frame.get("source"):
                lines.append(f"    {frame['source']}")
    return "\n".join(lines)


def clock(seconds: float) -> str:
    """Return a duration as `45 s`, `12 min` or `3 h`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
