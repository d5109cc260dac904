"""The public names: there, documented, and the same for sync and async."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import jupyter_ext as jx
from jupyter_ext import errors, server
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.sessions import model as debug_handles
from jupyter_ext.client.sessions import session as debugging
from jupyter_ext.client.sessions import training
from jupyter_ext.engine import services
from jupyter_ext.errors import JupyterExtError


def test_every_public_name_can_be_had_and_is_documented() -> None:
    for name in jx.__all__:
        value = getattr(jx, name)
        if not isinstance(value, str):
            assert inspect.getdoc(value), name


def test_an_unknown_name_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        jx.nothing  # noqa: B018


@pytest.mark.parametrize(
    "kind",
    [
        jx.Training,
        type(jx.trainings),
        type(jx.engine),
        AsyncClient,
        type(jx.debug_sessions),
        debugging.Session,
        debug_handles.Model,
        training.DebugTraining,
    ],
)
def test_every_public_method_says_what_it_does(kind: type) -> None:
    for name, member in inspect.getmembers(kind):
        if not name.startswith("_") and callable(member):
            assert inspect.getdoc(member), f"{kind.__name__}.{name}"


def test_what_can_be_done_with_a_handle_can_be_done_with_await() -> None:
    synchronous = {"wait", "cancel", "resume", "logs", "stacks", "metrics", "follow"}
    assert all(hasattr(jx.Training, name) for name in synchronous)
    assert all(hasattr(AsyncClient, name) for name in synchronous | {"get", "list"})


def test_errors_show_one_line_in_a_notebook_and_are_what_a_caller_would_guess() -> None:
    def below(kind: type) -> set[type]:
        return {kind}.union(*(below(child) for child in kind.__subclasses__()))

    for package in (services, server):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)  # so that its own errors are known here
    for kind in below(JupyterExtError) - {JupyterExtError}:
        assert kind("x=3 is bad")._render_traceback_() == [f"{kind.__name__}: x=3 is bad"]
        assert issubclass(
            kind, ValueError | LookupError | TypeError | RuntimeError | TimeoutError | ConnectionError
        )
        if kind.__module__ == errors.__name__:
            assert kind.__name__ in (errors.__doc__ or "")
