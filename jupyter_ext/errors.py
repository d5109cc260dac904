"""Every error a user of the library can meet.

    JupyterExtError
    ├── InvalidInput (ValueError)           a value is missing, unknown, mistyped or out of range
    ├── UnknownId (LookupError)             no training, version … has this id
    ├── CannotTravel (TypeError)            a notebook name that cannot be sent to the worker
    ├── TrainingFailed (RuntimeError)       a waited-for training ended as `failed`
    ├── TrainingCanceled (RuntimeError)     a waited-for training ended as `canceled`
    ├── NotOver (TimeoutError)              it was waited for as long as was asked; it goes on
    ├── LoadFailed (RuntimeError)           a local model could not be loaded
    │   └── DoesNotFit (MemoryError)        it would take more memory than there is
    ├── CallFailed (RuntimeError)           a call into a loaded model failed
    ├── DownloadFailed (RuntimeError)       a model cannot be fetched, or what came is not what it should be
    ├── DownloadCanceled (RuntimeError)     a waited-for download was canceled; what it fetched is kept
    ├── SessionError (RuntimeError)         a debug session cannot do what was asked
    │   ├── SessionCallFailed               the user's code raised in a call
    │   ├── SessionCallInterrupted          the call was interrupted
    │   └── SessionEnded                    the session is gone
    └── EngineError (ConnectionError)       the engine
        ├── EngineStartError                it could not be started
        ├── EngineUnreachable               it does not answer
        ├── ProtocolMismatch                it speaks a newer protocol than this client
        └── RequestRefused                  it answered with a problem that is none of the above

A message is one line that names the value and the next step.
"""

from __future__ import annotations


class JupyterExtError(Exception):
    """Base of all errors of this library."""

    def _render_traceback_(self) -> list[str]:
        """Show one line in a notebook: our frames would tell its user nothing. IPython calls this."""
        return [f"{type(self).__name__}: {self}"]


class InvalidInput(JupyterExtError, ValueError):
    """A value is missing, unknown, mistyped or out of range; nothing was started."""


class UnknownId(JupyterExtError, LookupError):
    """Nothing has this id.

    Attributes:
        has_candidates: Whether the message lists what comes close, so that the text is likely one of these written wrongly.
    """

    def __init__(self, message: str = "", *, has_candidates: bool = False) -> None:
        self.has_candidates = has_candidates
        super().__init__(message)


class CannotTravel(JupyterExtError, TypeError):
    """A name of the notebook cannot be sent to the worker by value; nothing was started."""


class TrainingFailed(JupyterExtError, RuntimeError):
    """A training that was waited for ended as `failed`; the text holds the user's own traceback."""


class TrainingCanceled(JupyterExtError, RuntimeError):
    """A training that was waited for ended as `canceled`."""


class NotOver(JupyterExtError, TimeoutError):
    """What was waited for is not over after as many seconds as were given; it goes on."""


class LoadFailed(JupyterExtError, RuntimeError):
    """A local model could not be loaded."""


class DoesNotFit(LoadFailed, MemoryError):
    """A local model would take more memory than there is; nothing was loaded."""


class CallFailed(JupyterExtError, RuntimeError):
    """A call into a loaded model failed; where the user's module raised, the text is their own traceback."""

    def _render_traceback_(self) -> list[str]:
        """Show the user's own traceback as it is, and anything else in one line."""
        text = str(self)
        return [text if "\n" in text else f"{type(self).__name__}: {text}"]


class DownloadFailed(JupyterExtError, RuntimeError):
    """A model cannot be fetched, or what came is not what it should be; nothing wrong was kept."""


class DownloadCanceled(JupyterExtError, RuntimeError):
    """A download that was waited for was canceled; what it had fetched is kept."""


class SessionError(JupyterExtError, RuntimeError):
    """A debug session cannot do what was asked; its models are as they were."""


class SessionCallFailed(SessionError):
    """The user's code raised in a call; the session is stopped there.

    Args:
        message: The exception in one line.
        text: The traceback of the user's own frames, with their locals.
    """

    def __init__(self, message: str, text: str | None = None) -> None:
        super().__init__(message)
        self.text = text

    def _render_traceback_(self) -> list[str]:
        """Show the user's own frames."""
        return super()._render_traceback_() if self.text is None else self.text.splitlines()


class SessionCallInterrupted(SessionError):
    """A call into a debug session was interrupted; the session and its models live on."""


class SessionEnded(SessionError):
    """A debug session is gone."""


class EngineError(JupyterExtError, ConnectionError):
    """The engine cannot do what was asked."""


class EngineStartError(EngineError):
    """The engine could not be started."""


class EngineUnreachable(EngineError):
    """The engine does not answer."""


class ProtocolMismatch(EngineError):
    """The running engine speaks a newer protocol than this client."""


class RequestRefused(EngineError):
    """The engine refused a request.

    Attributes:
        is_temporary: Whether the same request may succeed later: there were too many, or the engine cannot take any now.
    """

    def __init__(self, message: str = "", *, is_temporary: bool = False) -> None:
        self.is_temporary = is_temporary
        super().__init__(message)
