"""What a communicator shares with its subgroups: what it has moved, and how it stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gradwire.errors import CommunicationError


@dataclass
class Counters:
    """What one rank exchanged with others: message bytes, without the framing of a transport.

    Messages to oneself and barriers are not counted; empty messages count as messages. An
    `allreduce` counts as the base class's algorithm, whatever the transport does inside.
    """

    bytes_sent: int = 0
    bytes_received: int = 0
    messages_sent: int = 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Count nothing inside the ``with`` block."""
        before = vars(self).copy()
        try:
            yield
        finally:
            vars(self).update(before)

    def reset(self) -> None:
        """Set everything to zero."""
        self.bytes_sent = self.bytes_received = self.messages_sent = 0


@dataclass
class Standing:
    """The state of a communicator and all its subgroups.

    Attributes:
        counters: bytes and messages so far.
        unusable: what made all of them unusable, if anything.
        work: steps of work to do while waiting.
    """

    counters: Counters = field(default_factory=Counters)
    unusable: CommunicationError | None = None
    work: Iterator[object] = field(default_factory=lambda: iter(()))
