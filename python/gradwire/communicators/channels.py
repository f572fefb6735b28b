"""Messages under way between virtual ranks: any way's next one may arrive first."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from gradwire.communicators.messages import Bytes

Item = TypeVar("Item")


class Bag(Generic[Item]):
    """A collection with constant-time add and remove by position; its order is deterministic."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, position: int) -> Item:
        return self._items[position]

    def add(self, item: Item) -> None:
        """Put an item in."""
        self._items.append(item)

    def take(self, position: int) -> Item:
        """Remove and return an item; the last one takes its place."""
        item, last = self._items[position], self._items.pop()
        if position < len(self._items):
            self._items[position] = last
        return item


class Channels(Generic[Item]):
    """One queue of messages for every way that they take; its length: ways with any."""

    def __init__(self) -> None:
        self._queues: dict[Item, deque[Bytes]] = {}
        self._busy: Bag[Item] = Bag()

    def __len__(self) -> int:
        return len(self._busy)

    def send(self, way: Item, message: Bytes) -> None:
        """Put a message on its way, behind those before it."""
        queue = self._queues.setdefault(way, deque())
        if not queue:
            self._busy.add(way)
        queue.append(message)

    def arrive(self, choice: int) -> tuple[Item, Bytes]:
        """Take the first message off one of the busy ways; return the way and the message."""
        way = self._busy[choice]
        queue = self._queues[way]
        message = queue.popleft()
        if not queue:
            self._busy.take(choice)
        return way, message
