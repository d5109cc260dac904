"""The states of a debug session, and which may follow which. Pure: no I/O, no clock."""

from __future__ import annotations

from jupyter_ext.protocol.sessions import SessionStatus

TRANSITIONS: dict[SessionStatus, frozenset[SessionStatus]] = {
    "starting": frozenset({"running", "ended"}),
    "running": frozenset({"ended"}),
    "ended": frozenset(),
}


def move(now: SessionStatus, then: SessionStatus) -> SessionStatus:
    """Return the state to go to.

    Raises:
        ValueError: No way leads there.
    """
    if then != now and then not in TRANSITIONS[now]:
        raise ValueError(f"a session that is {now!r} cannot become {then!r}")
    return then
