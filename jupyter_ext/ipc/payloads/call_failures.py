"""How a call into a live process fails, as it travels. Standard library only."""

from __future__ import annotations

from typing import NotRequired, TypedDict

from jupyter_ext.ipc.payloads.value_summaries import LocalValue
from jupyter_ext.ipc.run_files import ErrorFile, ErrorFrame


class Frame(ErrorFrame):
    """A frame of a failure or a stack."""

    locals: NotRequired[list[LocalValue]]


class ExceptionReport(TypedDict):
    """An exception of the user's code, its frames with their locals."""

    type: str
    message: str
    text: str
    frames: list[Frame]
    summary: NotRequired[str]


class CallFailure(TypedDict):
    """Why a call was refused or failed.

    Attributes:
        code: Which kind of failure.
        message: It in one line, for people.
        exception: What the user's code in a session raised.
        op: What was called.
        key: The key of a state that is not there.
        parameter: The parameter that was wrong.
        type: The exception's class, where a model's code raised; `frames`, `text` and `summary` as in `error.json`.
    """

    code: str
    message: str
    exception: NotRequired[ExceptionReport]
    op: NotRequired[str]
    key: NotRequired[str]
    parameter: NotRequired[str]
    type: NotRequired[str]
    frames: NotRequired[list[ErrorFrame]]
    text: NotRequired[str]
    summary: NotRequired[str]


def of_exception(error: ErrorFile) -> CallFailure:
    """Return the failure of a call whose code raised."""
    failure: CallFailure = {
        "code": "exception",
        "type": error["type"],
        "message": error["message"],
        "frames": error["frames"],
        "text": error["text"],
    }
    if "summary" in error:
        failure["summary"] = error["summary"]
    return failure
