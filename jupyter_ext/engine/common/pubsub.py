"""Publish and subscribe, one topic per training.

Rule: a publisher never waits. A subscriber that does not keep up is marked lagging, loses its queue, and has to
replay from the store.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_QUEUED = 256
"""Batches a subscriber may be behind before it has to replay: about ten seconds of a busy training."""


class Subscriber(Generic[T]):
    """One viewer's queue."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._wake = asyncio.Event()
        self.lagging = False
        self.state_changed = False
        self.ended = False

    def put(self, item: T) -> None:
        """Add an item, or mark this subscriber lagging where it is full."""
        if len(self._items) >= MAX_QUEUED:
            self.lagging = True
            self._items.clear()
        if not self.lagging:
            self._items.append(item)
        self._wake.set()

    def notify(self, *, ended: bool = False) -> None:
        """Say that the training's fields changed."""
        self.state_changed = True
        self.ended = self.ended or ended
        self._wake.set()

    def take(self) -> list[T]:
        """Take all items that wait."""
        items = list(self._items)
        self._items.clear()
        return items

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until there is something to take; tell whether there is."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True


class Watch:
    """The topics, or the items that are names, of which something was heard since the last look: each once."""

    def __init__(self, wake: asyncio.Event) -> None:
        self._heard: dict[str, None] = {}
        self._wake = wake

    def hear(self, what: str) -> None:
        """Note a topic, or an item that is a name."""
        self._heard[what] = None
        self._wake.set()

    def take(self) -> list[str]:
        """Take what was heard, in the order in which it was heard first."""
        heard = list(self._heard)
        self._heard.clear()
        return heard


class PubSub(Generic[T]):
    """Subscribers by topic."""

    def __init__(self) -> None:
        self._topics: dict[str, set[Subscriber[T]]] = {}
        self._watches: set[Watch] = set()

    @property
    def num_subscribers(self) -> int:
        """Count all subscribers; whoever watches the topics as a whole is none."""
        return sum(len(subscribers) for subscribers in self._topics.values())

    def is_watched(self, topic: str) -> bool:
        """Tell whether anybody listens."""
        return topic in self._topics

    def subscribe(self, topic: str) -> Subscriber[T]:
        """Begin to listen."""
        subscriber: Subscriber[T] = Subscriber()
        self._topics.setdefault(topic, set()).add(subscriber)
        return subscriber

    def unsubscribe(self, topic: str, subscriber: Subscriber[T]) -> None:
        """Stop listening."""
        subscribers = self._topics.get(topic, set())
        subscribers.discard(subscriber)
        if not subscribers:
            self._topics.pop(topic, None)

    @contextmanager
    def watch(self, wake: asyncio.Event) -> Iterator[Watch]:
        """Hear which topics have news, without the news.

        Args:
            wake: Set whenever there is something to take; one event may serve several watches.
        """
        watch = Watch(wake)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def publish(self, topic: str, item: T) -> None:
        """Send an item to everybody who listens."""
        for watch in self._watches:
            watch.hear(item if isinstance(item, str) else topic)
        for subscriber in self._topics.get(topic, ()):
            subscriber.put(item)

    def notify(self, topic: str, *, ended: bool = False) -> None:
        """Tell everybody who listens that the training's fields changed."""
        for watch in self._watches:
            watch.hear(topic)
        for subscriber in self._topics.get(topic, ()):
            subscriber.notify(ended=ended)
