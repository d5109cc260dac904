"""A warm engine for a module's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from integration_tools import EngineUnderTest

from jupyter_ext.client.requests import process_settings
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery


@pytest.fixture(autouse=True)
def without_the_filters_of_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep pytest's own warnings filters, which travel as a notebook's do, from trainings."""
    monkeypatch.setattr(process_settings, "_warnings", list)


@pytest.fixture(scope="module")
def engine(session_engine_home: Any) -> Iterator[EngineUnderTest]:
    """Return an engine that the tests of a module share."""
    under_test = EngineUnderTest(Locations(session_engine_home.data_dir, session_engine_home.runtime_dir))
    discovery.ensure(where=under_test.where)
    yield under_test
    under_test.close()


@pytest.fixture
async def client(engine: EngineUnderTest) -> AsyncIterator[AsyncClient]:
    """Return a client of the module's engine."""
    async with AsyncClient(engine.where) as client:
        yield client
