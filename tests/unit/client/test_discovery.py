"""Looking for the engine while somebody else is starting it."""

from __future__ import annotations

import fcntl
import os
from typing import Any

import pytest

from jupyter_ext.config import locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineUnreachable


@pytest.mark.parametrize("is_starting", [True, False])
def test_an_engine_that_reads_its_directories_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, is_starting: bool
) -> None:
    """It listens before it answers; with thousands of runs that takes longer than a request may."""
    where = locations()
    where.make()
    found = discovery.Connection(
        str(where.socket), {"protocol": discovery.PROTOCOL_VERSION, "version": "999.0.0"}
    )
    starter = os.open(where.start_lock, os.O_RDWR | os.O_CREAT)
    looks = 0

    def look(where: Any) -> discovery.Connection:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise EngineUnreachable("timed out")
        return found

    def answers(path: Any, deadline: float) -> Any:
        os.close(starter)  # whoever started it lets go once it answers
        return locked(path, deadline)

    locked = discovery._locked
    monkeypatch.setattr(discovery, "find", look)
    monkeypatch.setattr(discovery, "_locked", answers)
    if is_starting:
        fcntl.flock(starter, fcntl.LOCK_EX)
        assert discovery.ensure(where=where) is found
    else:
        with pytest.raises(EngineUnreachable):
            discovery.ensure(where=where)
        os.close(starter)
