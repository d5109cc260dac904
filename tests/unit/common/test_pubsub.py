"""Publish and subscribe: a publisher never waits, a slow viewer has to replay."""

from __future__ import annotations

from jupyter_ext.engine.common.pubsub import MAX_QUEUED, PubSub


async def test_items_arrive_in_order_and_only_at_their_topic() -> None:
    hub: PubSub[int] = PubSub()
    a, b = hub.subscribe("a"), hub.subscribe("b")
    for number in range(3):
        hub.publish("a", number)
    assert await a.wait(1.0)
    assert a.take() == [0, 1, 2]
    assert not await b.wait(0.01)


async def test_a_slow_viewer_is_marked_lagging_and_holds_nothing() -> None:
    hub: PubSub[int] = PubSub()
    slow = hub.subscribe("a")
    for number in range(MAX_QUEUED + 1):
        hub.publish("a", number)
    assert slow.lagging
    assert slow.take() == []
    slow.lagging = False
    hub.publish("a", 7)
    assert slow.take() == [7]


async def test_who_left_is_not_counted() -> None:
    hub: PubSub[int] = PubSub()
    viewer = hub.subscribe("a")
    assert hub.num_subscribers == 1
    hub.unsubscribe("a", viewer)
    hub.unsubscribe("a", viewer)
    assert hub.num_subscribers == 0
    hub.publish("a", 1)
    assert viewer.take() == []


async def test_the_end_is_told() -> None:
    hub: PubSub[int] = PubSub()
    viewer = hub.subscribe("a")
    hub.notify("a")
    hub.notify("a", ended=True)
    assert viewer.state_changed
    assert viewer.ended
