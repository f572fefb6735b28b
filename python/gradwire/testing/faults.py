"""Faults on purpose: a communicator that misbehaves at one place of one exchange.

For tests of everything that runs above a communicator. A fault has a place, an exchange and a
phase, and is one of two kinds: the rank *does* something there (raises, stops, dies), or it
*tampers* with what it sends.

    with phases_noted():
        faulty = FaultyCommunicator(communicator, Place(2, "split"), tamper=TAMPERINGS["cut short"])
        gradwire.sparse_allreduce(gradient, 0.01, faulty)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes
from gradwire.communicators.reduction import Array, ReduceOp
from gradwire.schedules import Report

PHASES = ("agree", "partition", "split", "select", "gather")  # the first one begins an exchange


@dataclass(frozen=True)
class Place:
    """Before the first operation of a phase.

    Attributes:
        exchange: number of the exchange on this communicator, from 0.
        phase: one of ``PHASES``.
    """

    exchange: int
    phase: str


@dataclass(frozen=True)
class Sending:
    """One rank's messages of one operation, before they are sent.

    Attributes:
        messages: to every rank, uint8.
        previous: what it sent at the same place of the exchange before; empty if nothing.
        rank: whose they are.
    """

    messages: list[Bytes]
    previous: list[Bytes]
    rank: int

    @property
    def victim(self) -> int:
        """Who gets the bad message: the next rank."""
        return (self.rank + 1) % len(self.messages)


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
        self._sent: dict[str, list[Bytes]] = {}

    def enter(self, phase: str) -> None:
        """Note that the exchange has come to a phase."""
        self._here = Place(self._here.exchange + (phase == PHASES[0]), phase)

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

    def _counted(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        self._act_if_due()
        sending = Sending(messages, self._sent.get(self._here.phase, []), self.rank)
        self._sent[self._here.phase] = [message.copy() for message in messages]
        if self._tamper is not None and self._due():
            bad = self._tamper(sending)
            self.hit = any(map(_differ, bad, messages))
            if self.hit:  # the inner communicator would refuse a message that is too long
                with self._inner._guarded():
                    return self._inner._exchange(bad, limit, operation)
        return self._inner._counted(messages, limit, operation)

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
    first, second = sending.victim, (sending.victim + 1) % len(sending.messages)
    messages = list(sending.messages)
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
