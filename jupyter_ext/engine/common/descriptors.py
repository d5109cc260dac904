"""File descriptors: each viewer, each run that is followed and each file that is read takes some.

Rules: the engine may use as many as the system allows it, while the user's code gets the limit that the engine was started with
(some programs rely on a small one). Viewers never take those that runs need. Whoever has none left says so by name.
"""

from __future__ import annotations

import errno
import logging
import resource

log = logging.getLogger(__name__)

_ENOUGH = 16_384
_limit_before: tuple[int, int] | None = None


def raise_limit() -> None:
    """Let this process open as many files as it may, and remember how many it could before."""
    global _limit_before
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted or not hasattr(resource, "prlimit"):
        return  # without prlimit, children could not be given theirs back
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    _limit_before = _limit_before or (soft, hard)


def limit_as_before(pid: int) -> None:
    """Give a process that will run the user's code the limit that this one was started with."""
    if _limit_before is None:
        return
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, _limit_before)
    except OSError as error:  # it has ended, or is not ours to change
        log.info("process %s keeps the engine's limit of open files: %s", pid, error)


def limit() -> int:
    """Return how many descriptors this process may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH if soft == resource.RLIM_INFINITY else soft


def num_for_requests() -> int:
    """Return how many connections the Unix socket may hold: half of all descriptors."""
    return max(2, limit() // 2)


def num_for_viewers() -> int:
    """Return from how many connections on no more streams are opened: a request, which is soon over, still finds room."""
    return max(1, limit() * 3 // 8)


def describe_viewers() -> str:
    """Say in one line that as many streams are open as may be, and what to do; short enough for a closing frame."""
    return (
        f"The engine has {num_for_viewers()} streams open, its limit. Close views; or raise its limit of open files "
        f"({limit()}) and restart it."
    )


def are_used_up(error: BaseException) -> bool:
    """Tell whether an error says that there is no descriptor left."""
    return isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)


def describe() -> str:
    """Say in one line that none is left, and what to do."""
    return (
        f"The engine has as many files and connections open as it may ({limit()}). Close views, or end trainings; or raise the "
        "limit (`ulimit -n`) and restart the engine."
    )
