"""Where the engine is, as the server knows it."""

from __future__ import annotations

from typing import NoReturn

from jupyter_ext.errors import EngineUnreachable
from jupyter_ext.server.engine_process import EngineProcess, Locator


async def test_an_engine_that_does_not_answer_now_runs() -> None:
    def unreachable() -> NoReturn:
        raise EngineUnreachable("The engine does not answer.")

    assert await EngineProcess(Locator(find=unreachable, ensure=unreachable)).is_running()
    assert not await EngineProcess(Locator(find=lambda: None, ensure=unreachable)).is_running()
