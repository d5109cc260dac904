"""Publish and subscribe: a publisher never waits, a slow viewer has to replay."""

from __future__ import annotations

import asyncio

from jupyter_ext.engine.common.pubsub import MAX_QUEUED, PubSub


async def test_items_arrive_in_order_and_only_at_their_topic() -> None:
    pubsub: PubSub[int] = PubSub()
    a, b = pubsub.subscribe("a"), pubsub.subscribe("b")
    for number in range(3):
        pubsub.publish("a", number)
    assert await a.wait(1.0)
    assert a.take() == [0, 1, 2]
    assert not await b.wait(0.01)


async def test_a_slow_viewer_is_marked_lagging_and_holds_nothing() -> None:
    pubsub: PubSub[int] = PubSub()
    slow = pubsub.subscribe("a")
    for number in range(MAX_QUEUED + 1):
        pubsub.publish("a", number)
    assert slow.lagging
    assert slow.take() == []
    slow.lagging = False
    pubsub.publish("a", 7)
    assert slow.take() == [7]


async def test_who_left_is_not_counted() -> None:
    pubsub: PubSub[int] = PubSub()
    viewer = pubsub.subscribe("a")
    assert pubsub.num_subscribers == 1
    pubsub.unsubscribe("a", viewer)
    pubsub.unsubscribe("a", viewer)
    assert pubsub.num_subscribers == 0
    pubsub.publish("a", 1)
    assert viewer.take() == []


async def test_the_end_is_told() -> None:
    pubsub: PubSub[int] = PubSub()
    viewer = pubsub.subscribe("a")
    pubsub.notify("a")
    pubsub.notify("a", ended=True)
    assert viewer.state_changed
    assert viewer.ended


async def test_a_watch_hears_of_every_topic_once_and_is_no_subscriber() -> None:
    pubsub: PubSub[str] = PubSub()
    wake = asyncio.Event()
    with pubsub.watch(wake) as watch:
        for _ in range(3):
            pubsub.notify("a")
        pubsub.publish("models", "hub:x")
        assert wake.is_set()
        assert watch.take() == ["a", "hub:x"]
        assert watch.take() == []
        assert pubsub.num_subscribers == 0
    pubsub.notify("a")
    assert watch.take() == []
