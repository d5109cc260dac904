"""Runs are started in their order, a few at a time, and after the creates that are being accepted."""

from __future__ import annotations

import asyncio

from jupyter_ext.engine.trainings.start_queue import NUM_AT_ONCE, StartQueue


async def test_starts_keep_their_order_and_their_number() -> None:
    queue, began, go = StartQueue(), list[int](), asyncio.Event()

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
    queue, began = StartQueue(), asyncio.Event()

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
