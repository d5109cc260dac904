"""The table of what Jupyter's authorizer is asked, held against every route that the engine has."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.routing import Route, WebSocketRoute

from jupyter_ext.config import EngineSettings, Locations
from jupyter_ext.engine.app import Engine
from jupyter_ext.server.actions import action_of, row_of


@pytest.fixture
def routes(engine_home: Any) -> list[tuple[str, str]]:
    engine = Engine(Locations(engine_home.data_dir, engine_home.runtime_dir), EngineSettings(60.0, ()))
    found = []
    for route in (route for api in engine.apis for route in api.routes()):
        assert isinstance(route, (Route, WebSocketRoute))
        path = re.sub(r"{[^}]*}", "x7f3", route.path)
        methods = route.methods or () if isinstance(route, Route) else ("WEBSOCKET",)
        found += [(method, path) for method in methods]
    return found


def test_every_route_is_in_the_table(routes: list[tuple[str, str]]) -> None:
    assert len(routes) > 60
    assert [route for route in routes if row_of(*route) is None] == []


def test_streams_that_only_send_are_the_ones_that_may_be_read(routes: list[tuple[str, str]]) -> None:
    sockets = {path for method, path in routes if method == "WEBSOCKET"}
    assert {path for path in sockets if action_of("WEBSOCKET", path) == "read"} == {
        "/native/trainings/x7f3/stream",
        "/native/trainings/x7f3/logs/search",
        "/native/sessions/x7f3/stream",
        "/native/models/stream",
        "/native/lists/stream",
    }
    assert {"/v0/ws", "/native/models/x7f3/generate"} <= sockets


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("WEBSOCKET", "/native/new"),
        ("WEBSOCKET", "/native/trainings/a/../../v0/ws/stream"),
        ("WEBSOCKET", "/native/trainings/a%2Fb/stream"),
        ("POST", "/native/new"),
        ("PUT", "/native/trainings/7f3"),
        ("BREW", "/native/trainings"),
        ("GET", "/v1/webhooks/default/secret"),
        ("GET", "/v1/v1/webhooks/default/secret"),
        ("GET", "/v1/v1/v1/webhooks/default/%73ecret"),
        ("GET", "/v1/%77ebhooks/default/secret"),
        ("POST", "/native/models/m%2Fcancel/call"),
    ],
)
def test_what_is_unknown_or_disguised_needs_the_most(method: str, path: str) -> None:
    assert action_of(method, path) == "execute"
