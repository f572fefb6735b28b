"""Messages under way between virtual ranks: any channel's next one may arrive first."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from gradwire.communicators.base import Bytes

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


class Channels:
    """One queue of messages for every pair (source, destination); its length: pairs with any."""

    def __init__(self) -> None:
        self._queues: dict[tuple[int, int], deque[Bytes]] = {}
        self._busy: Bag[tuple[int, int]] = Bag()

    def __len__(self) -> int:
        return len(self._busy)

    def send(self, source: int, destination: int, message: Bytes) -> None:
        """Put a message on its way, behind those of the same pair."""
        queue = self._queues.setdefault((source, destination), deque())
        if not queue:
            self._busy.add((source, destination))
        queue.append(message)

    def arrive(self, choice: int) -> tuple[tuple[int, int], Bytes]:
        """Take the first message off one of the busy channels; return the pair and the message."""
        channel = self._busy[choice]
        queue = self._queues[channel]
        message = queue.popleft()
        if not queue:
            self._busy.take(choice)
        return channel, message
