"""A widget that no page drew leaves the output at once, and is closed when no page can be reading its code any more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jupyter_ext.magics import display
from jupyter_ext.magics.display import LiveOutput, _drop_unviewed

WIDGET = "application/vnd.jupyter.widget-view+json"


class Widget:
    """Stands in for a live view in a page that reads its code when the test says so."""

    model_id = "m"

    def __init__(self) -> None:
        self.is_loaded = self.is_viewed = self.is_closed = False

    def close(self) -> None:
        """Note it."""
        assert self.is_loaded, "closed while a page may be reading its code"
        self.is_closed = True


class Slot:
    """Keeps what the output was replaced by."""

    def __init__(self) -> None:
        self.bundles: list[dict[str, Any]] = []

    def update(self, bundle: dict[str, Any], *, raw: bool) -> None:
        """Keep it."""
        assert raw
        self.bundles.append(bundle)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "_VIEWED_WITHIN_S", 0.0)
    monkeypatch.setattr(display, "_LOOK_INTERVAL_S", 0.001)


async def test_a_widget_that_a_page_is_reading_is_closed_after_that() -> None:
    shown = LiveOutput("models", Slot(), {"version": 1}, {"text/plain": "m"}, Widget())
    dropping = asyncio.create_task(_drop_unviewed(shown))
    while not shown.slot.bundles:
        await asyncio.sleep(0)
    assert WIDGET not in shown.slot.bundles[0]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not shown.widget.is_closed
    shown.widget.is_loaded = True
    await dropping
    assert shown.widget.is_closed


async def test_a_widget_that_is_looked_at_stays() -> None:
    shown = LiveOutput("models", Slot(), {"version": 1}, {"text/plain": "m"}, Widget())
    shown.widget.is_viewed = shown.widget.is_loaded = True
    await _drop_unviewed(shown)
    assert (shown.slot.bundles, shown.widget.is_closed) == ([], False)
    assert WIDGET in shown.bundle()
