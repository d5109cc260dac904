"""Runs are started in their order, a few at a time, and after the creates that are being accepted."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_ext.engine.trainings.launching import start_queue
from jupyter_ext.engine.trainings.launching.start_queue import NUM_AT_ONCE, StartQueue


async def test_starts_keep_their_order_and_their_number() -> None:
    queue, began, go = StartQueue(lambda: 1), list[int](), asyncio.Event()

    async def start(number: int) -> None:
        async with queue.turn():
            began.append(number)
            await go.wait()

    tasks = [asyncio.create_task(start(number)) for number in range(10)]
    while len(began) < NUM_AT_ONCE:
        await asyncio.sleep(0)
    assert began == list(range(NUM_AT_ONCE))
    go.set()
    await asyncio.gather(*tasks)
    assert began == list(range(10))


async def test_nothing_starts_while_creates_are_accepted() -> None:
    queue, began = StartQueue(lambda: 1), asyncio.Event()

    async def start() -> None:
        async with queue.turn():
            began.set()

    with queue.accepting(), queue.accepting():
        task = asyncio.create_task(start())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not began.is_set()
    await task
    assert began.is_set()


@pytest.mark.parametrize(
    ("num_creates", "num_active", "waits"), [(1, 5, False), (2, 1, False), (2, 2, True), (9, 9, True)]
)
async def test_only_one_of_several_waits_until_creates_are_quiet(
    monkeypatch: pytest.MonkeyPatch, num_creates: int, num_active: int, waits: bool
) -> None:
    monkeypatch.setattr(start_queue, "MAX_WAIT_S", 3600.0)
    queue, began = StartQueue(lambda: num_active), asyncio.Event()
    with queue.accepting():
        pass
    monkeypatch.setattr(start_queue, "QUIET_S", 3600.0)
    for _ in range(num_creates - 1):
        with queue.accepting():
            pass

    async def start() -> None:
        async with queue.turn():
            began.set()

    task = asyncio.create_task(start())
    for _ in range(10):
        await asyncio.sleep(0)
    assert began.is_set() != waits
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_nobody_waits_for_the_creates_of_others_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_queue, "MAX_WAIT_S", 0.0)
    queue = StartQueue(lambda: 1)
    with queue.accepting():
        async with queue.turn(), queue.turn():
            pass
