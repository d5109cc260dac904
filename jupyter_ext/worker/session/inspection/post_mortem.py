"""The last exception of a session, kept alive: its frames, their locals, and a place to evaluate in. Standard library only.

Rule: one is kept, for ten minutes or until a call succeeds, because it keeps every tensor of its frames.
"""

from __future__ import annotations

import ast
import contextlib
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from jupyter_ext.ipc.payloads.call_failures import ExceptionReport, Frame
from jupyter_ext.ipc.payloads.session_messages import NumberedFrame
from jupyter_ext.ipc.payloads.value_summaries import LocalValue
from jupyter_ext.ipc.run_files import ErrorFile, ErrorFrame
from jupyter_ext.worker.runtime import tracebacks
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.inspection.value_summary import summarize

KEEP_S = 600.0
MAX_LOCALS = 40
_OF_IPYTHON = frozenset(
    [
        "_ih",
        "_oh",
        "_dh",
        "In",
        "Out",
        "get_ipython",
        "exit",
        "quit",
        "open",
        "_",
        "__",
        "___",
        "_i",
        "_ii",
        "_iii",
    ]
)
"""Names that IPython puts beside the user's."""
MAX_FRAMES = 40


class PostMortem:
    """One exception, stopped where it was raised.

    Args:
        error: The exception, with its traceback.
        labels: What to call a file, such as "Cell net".
        cwd: Files below it are named relative to it.
        redactor: Keeps secrets out of what is told.
        op: The call that it ended.
    """

    def __init__(
        self, error: BaseException, labels: Mapping[str, str], cwd: Path, redactor: Redactor, op: str
    ) -> None:
        self.error = error
        self.op = op
        self.at = time.time()
        self._kept_since = time.monotonic()
        self._redactor = redactor
        self._frames = _frames(error, labels)
        self._namespaces: dict[int, dict[str, object]] = {}
        self.selected = len(self._frames) - 1
        told: ErrorFile = redactor.json(tracebacks.describe(error, labels, cwd))
        self.payload: ExceptionReport = {
            "type": told["type"],
            "message": told["message"],
            "text": told["text"],
            "frames": self._with_locals(told["frames"]),
        }
        if "summary" in told:
            self.payload["summary"] = told["summary"]

    @property
    def num_frames(self) -> int:
        """How many frames of the user's there are."""
        return len(self._frames)

    @property
    def age_s(self) -> float:
        """How long it has been kept, seconds."""
        return time.monotonic() - self._kept_since

    def select(self, number: int) -> NumberedFrame:
        """Choose the frame to evaluate in.

        Args:
            number: 0 is the outermost; negative numbers count from the innermost.

        Raises:
            IndexError: There is no such frame.
        """
        number = number + self.num_frames if number < 0 else number
        if not 0 <= number < self.num_frames:
            raise IndexError(f"there is no frame {number}; they are 0 to {self.num_frames - 1}")
        self.selected = number
        return self.describe_frame(number)

    def describe_frame(self, number: int) -> NumberedFrame:
        """Describe a frame: place and locals, as they are now."""
        payload = self.payload["frames"][number]
        namespace = self._namespaces.get(number)
        values = self._frames[number].f_locals if namespace is None else self._own(number, namespace)
        return {**payload, "number": number, "locals": describe_locals(values, self._redactor)}

    def namespace(self, number: int | None = None) -> dict[str, object]:
        """Return what code is evaluated with in a frame: its globals below its locals, kept from cell to cell."""
        number = self.selected if number is None else number
        if number not in self._namespaces:
            frame = self._frames[number]
            self._namespaces[number] = {**frame.f_globals, **frame.f_locals}
        return self._namespaces[number]

    def publish(self) -> None:
        """Let `%debug` and `pdb.pm()` of the kernel find it."""
        sys.last_type, sys.last_value = type(self.error), self.error
        sys.last_traceback = self.error.__traceback__
        sys.last_exc = self.error  # type: ignore[attr-defined]  # of Python 3.12

    def drop(self) -> None:
        """Let go of all it keeps."""
        if getattr(sys, "last_value", None) is self.error:
            for name in ("last_type", "last_value", "last_traceback", "last_exc"):
                sys.__dict__.pop(name, None)
        self._frames, self._namespaces = [], {}
        self.error = RuntimeError("its frames were let go of")

    def _own(self, number: int, namespace: Mapping[str, object]) -> dict[str, object]:
        outer, ours = self._frames[number].f_globals, {"get_ipython"} - self._frames[number].f_locals.keys()
        return {
            name: value
            for name, value in namespace.items()
            if outer.get(name, self) is not value and name not in ours
        }

    def _with_locals(self, frames: list[ErrorFrame]) -> list[Frame]:
        values = [describe_locals(frame.f_locals, self._redactor) for frame in self._frames]
        # a syntax error's last line is a place, not a frame
        return [
            {**payload, "locals": values[i] if i < len(values) else []} for i, payload in enumerate(frames)
        ]


def describe_locals(values: Mapping[str, object], redactor: Redactor) -> list[LocalValue]:
    """Describe names and values of a frame, in a line each."""
    of_ipython = (
        _OF_IPYTHON if "_oh" in values else ()
    )  # at the top level, where locals are the session's names
    names = [name for name in values if not name.startswith(("__", "@")) and name not in of_ipython]
    return [summarize(name, values[name], redactor) for name in names[:MAX_LOCALS]]


def _frames(error: BaseException, labels: Mapping[str, str]) -> list[FrameType]:
    """List the frames that `tracebacks.describe` shows, outermost first."""
    found: list[FrameType] = []
    entry = error.__traceback__
    while entry is not None:
        filename = entry.tb_frame.f_code.co_filename
        if tracebacks.is_shown(filename, labels, innermost=entry.tb_next is None):
            found.append(entry.tb_frame)
        entry = entry.tb_next
    return found[: MAX_FRAMES // 2] + found[-MAX_FRAMES // 2 :] if len(found) > MAX_FRAMES else found


def install_in_shell(shell: Any, holder: Any) -> None:
    """Register `%%jx_frame` in the kernel's shell: it runs a cell in the selected frame of the failure that `holder` has.

    Args:
        shell: IPython's.
        holder: Has the last `failure`, or `None`.
    """

    def jx_frame(line: str, cell: str) -> None:
        __tracebackhide__ = True
        failure: PostMortem | None = holder.failure
        in_frame = failure is not None and failure.num_frames
        namespace = failure.namespace() if failure is not None and in_frame else shell.user_ns
        text = shell.transform_cell(cell)
        name = shell.compile.cache(text, shell.execution_count)
        try:
            tree = ast.parse(text, name)
        except SyntaxError:
            shell.showsyntaxerror()
            return
        try:
            shown = _run_in(shell, tree, name, namespace)
        except Exception as error:
            _show_from_the_cell(shell, error)
            raise
        if not cell.rstrip().endswith(";"):
            shell.displayhook(shown)

    shell.register_magic_function(jx_frame, "cell", "jx_frame")


def _show_from_the_cell(shell: Any, error: Exception) -> None:
    """Have IPython show what a cell raised from the cell on, and not how we ran it."""
    entry = error.__traceback__
    while entry is not None and entry.tb_next is not None and entry.tb_frame.f_code.co_filename == __file__:
        entry = entry.tb_next
    if hasattr(error, "_render_traceback_") or isinstance(error, SyntaxError):
        return

    def render() -> list[str]:
        shown: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, entry, tb_offset=0)
        return shown

    with contextlib.suppress(AttributeError):  # a class with __slots__
        error._render_traceback_ = render  # type: ignore[attr-defined]


def _run_in(shell: Any, tree: ast.Module, filename: str, namespace: dict[str, object]) -> Any:
    """Run a cell in a namespace of its own, and return the value of its last expression."""
    __tracebackhide__ = True
    namespace.setdefault("get_ipython", shell.get_ipython)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, filename, "exec", dont_inherit=True), namespace)
        return None
    del tree.body[-1]
    exec(compile(tree, filename, "exec", dont_inherit=True), namespace)
    return eval(compile(ast.Expression(last.value), filename, "eval", dont_inherit=True), namespace)
