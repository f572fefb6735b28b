"""Faults on purpose: a communicator that misbehaves at one place of one exchange.

For tests of everything that runs above a communicator. A fault has a place, an exchange and a
phase, and is one of two kinds: the rank *does* something there (raises, stops, dies), or it
*tampers* with what it sends.

    with phases_noted():
        faulty = FaultyCommunicator(communicator, Place(2, "split"), tamper=TAMPERINGS["cut short"])
        gradwire.sparse_allreduce(gradient, 0.01, faulty)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Buffer, Bytes, as_bytes
from gradwire.communicators.reduction import Array, ReduceOp
from gradwire.schedules import Report

FIRST_PHASE = "agree"
# The phases of an exchange, by schedule and in order.
PHASES_OF: dict[str, tuple[str, ...]] = {
    "oktopk": (FIRST_PHASE, "partition", "split", "select", "gather"),
    "topkdsa": (FIRST_PHASE, "partition", "split", "gather"),
    "gtopk": (FIRST_PHASE, "merge", "broadcast"),
    "allgather": (FIRST_PHASE, "gather"),
    "dense": (FIRST_PHASE, "split", "gather"),
}
# In these a rank may be through when another one fails.
LAST_PHASES = {phases[-1] for phases in PHASES_OF.values()}
# Those whose messages have headers.
HEADED_PHASES = {"split", "gather", "merge", "broadcast"}


@dataclass(frozen=True)
class Place:
    """Before the first operation of a phase.

    Attributes:
        exchange: number of the exchange on this communicator, from 0.
        phase: one of the schedule's ``PHASES_OF``.
    """

    exchange: int
    phase: str


@dataclass(frozen=True)
class Sending:
    """One rank's messages of one operation, before they are sent.

    Attributes:
        messages: to every rank, uint8; empty ones to those that expect none.
        previous: what it sent at the same place of the exchange before; empty if nothing.
        rank: whose they are.
        destinations: the other ranks that expect a message, one or more, in the order of rotation:
            the next rank of this one comes first.
    """

    messages: list[Bytes]
    previous: list[Bytes]
    rank: int
    destinations: list[int]

    @property
    def victim(self) -> int:
        """Who gets the bad message: the next rank of those that expect one."""
        return self.destinations[0]


Tampering = Callable[[Sending], list[Bytes]]


class FaultyCommunicator(Communicator):
    """Passes everything on to another communicator, but for one fault.

    Args:
        inner: what it passes on to.
        place: where the fault is; without one everything is passed on.
        act: is called there, before the operation.
        tamper: returns what is sent in the place of the first messages there that it changes.
            Reductions that a transport does by itself have none.

    Attributes:
        hit: whether the fault has happened.
    """

    name = "faulty"

    def __init__(
        self,
        inner: Communicator,
        place: Place | None = None,
        act: Callable[[], None] | None = None,
        tamper: Tampering | None = None,
    ) -> None:
        super().__init__(inner.rank, inner.size)
        self.counters = inner.counters
        self.hit = False
        self._inner = inner
        self._place, self._act, self._tamper = place, act, tamper
        self._here = Place(-1, "")
        self._operation = 0  # within the phase
        self._sent: dict[tuple[str, int], list[Bytes]] = {}

    def enter(self, phase: str) -> None:
        """Note that the exchange has come to a phase."""
        if phase != self._here.phase:
            self._operation = 0
        self._here = Place(self._here.exchange + (phase == FIRST_PHASE), phase)

    def allreduce(self, array: Array, op: ReduceOp = "sum") -> Array:
        """Return the sum or maximum over the ranks, as the inner communicator does it."""
        if self._inner.name == "simulated":  # made of messages, or as good as that
            return super().allreduce(array, op)
        self._act_if_due()
        return self._inner.allreduce(array, op)

    def barrier(self) -> None:
        """Return when every rank has called it."""
        self._inner.barrier()

    def fail(self, error: BaseException) -> None:
        """Tell the peers that this rank gives up."""
        self._inner.fail(error)

    def close(self) -> None:
        """Close the inner communicator."""
        self._inner.close()

    def _check_usable(self) -> None:
        self._inner._check_usable()

    def exchange_with(
        self, messages: Mapping[int, Buffer], sources: Collection[int], limit: int
    ) -> dict[int, Bytes]:
        """Exchange messages with some ranks, as the inner communicator does it."""
        operation = "exchange_with"
        self._act_if_due()
        sent = {peer: as_bytes(message, operation) for peer, message in messages.items()}
        nothing = np.empty(0, np.uint8)
        every = [sent.get(peer, nothing) for peer in range(self.size)]
        bad = self._tampered(every, list(sent))
        if bad is None:
            return self._inner.exchange_with(sent, sources, limit)
        with self._inner._guarded():
            named = {peer: bad[peer] for peer in sent}
            return self._inner._exchange_with(named, sources, limit, operation)

    def _counted(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        self._act_if_due()
        bad = self._tampered(messages, [peer for peer in range(self.size) if peer != self.rank])
        if bad is None:
            return self._inner._counted(messages, limit, operation)
        with self._inner._guarded():
            return self._inner._exchange(bad, limit, operation)

    def _tampered(self, messages: list[Bytes], destinations: list[int]) -> list[Bytes] | None:
        """Return what is sent in the place of ``messages``; None if that is what they are.

        The inner communicator would refuse a message that is too long, so it is not to see it.
        """
        at = self._here.phase, self._operation
        self._operation += 1
        previous = self._sent.get(at, [])
        self._sent[at] = [message.copy() for message in messages]
        if self._tamper is None or not destinations or not self._due():
            return None
        rotated = sorted(destinations, key=lambda peer: (peer - self.rank) % self.size)
        bad = self._tamper(Sending(messages, previous, self.rank, rotated))
        self.hit = any(map(_differ, bad, messages))
        return bad if self.hit else None

    def _act_if_due(self) -> None:
        if self._act is not None and self._due():
            self.hit = True
            self._act()

    def _due(self) -> bool:
        return not self.hit and self._here == self._place

    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        raise NotImplementedError("the inner communicator exchanges")

    def _tell_peers(self, text: str) -> None:
        raise NotImplementedError("the inner communicator tells")


@contextmanager
def phases_noted() -> Iterator[None]:
    """Let every faulty communicator know which phase the schedule that uses it is in.

    Schedules tell their reports; inside the ``with`` block this listens.
    """
    original = Report.phase

    def phase(
        report: Report, name: str, communicator: Communicator
    ) -> AbstractContextManager[None]:
        if isinstance(communicator, FaultyCommunicator):
            communicator.enter(name)
        return original(report, name, communicator)

    with mock.patch.object(Report, "phase", phase):
        yield


def to_victim(change: Callable[[Bytes], Any]) -> Tampering:
    """Return the tampering that sends ``change(copy of the message)`` to the victim."""

    def tamper(sending: Sending) -> list[Bytes]:
        messages = list(sending.messages)
        messages[sending.victim] = np.asarray(change(messages[sending.victim].copy()), np.uint8)
        return messages

    return tamper


def flipped(position: int, bits: int) -> Tampering:
    """Return the tampering that flips ``bits`` of a byte, counted as Python does."""

    def flip(message: Bytes) -> Bytes:
        if len(message):
            message[position] ^= bits
        return message

    return to_victim(flip)


def _differ(one: Bytes, other: Bytes) -> bool:
    return one.tobytes() != other.tobytes()


def _previous(sending: Sending) -> list[Bytes]:
    messages = list(sending.messages)
    if sending.previous:
        messages[sending.victim] = sending.previous[sending.victim]
    return messages


def _swapped(sending: Sending) -> list[Bytes]:
    messages = list(sending.messages)
    # The rank itself takes part where it sends to one other only: that one gets what it keeps.
    first, second = [*sending.destinations, sending.rank][:2]
    messages[first], messages[second] = messages[second], messages[first]
    return messages


# Each turns a message with a header into one that its receiver must refuse.
TAMPERINGS: dict[str, Tampering] = {
    "flipped in the header": flipped(17, 0x04),
    "flipped in the indices": flipped(-1, 0x80),
    "cut short": to_victim(lambda message: message[:-1]),
    "cut to nothing": to_victim(lambda message: message[:0]),
    "too long": to_victim(lambda message: np.append(message, np.uint8(0))),
    "of the exchange before": _previous,
    "of another rank": _swapped,
}
