"""What all ranks must share before they exchange anything, and how they find out that they don't.

Every exchange starts with one small fixed-size reduction, so a rank with another configuration,
tensor set or step is noticed on *all* ranks, by the same test, before a message of variable size is
on its way. The finite flags ride in the same reduction.
"""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.errors import AgreementError, GradwireError

_LARGEST_DESCRIPTION = 1 << 16
_REFUSAL = "cannot take part"


class _Readiness(IntEnum):
    """How a rank comes to an exchange; the largest of all ranks decides."""

    FINITE = 0
    NOT_FINITE = 1
    REFUSES = 2


@dataclass(frozen=True)
class Agreement:
    """What this rank is about to do, in a form that can be compared and shown.

    Attributes:
        description: configuration, tensor set, sizes: anything that JSON holds, the same on all
            ranks.
        step: number of this exchange.
    """

    description: str
    step: int

    @classmethod
    def of(cls, description: Mapping[str, Any], step: int) -> Agreement:
        """Return the agreement for a description."""
        return cls(json.dumps(description, sort_keys=True), step)

    @property
    def tag(self) -> int:
        """32 bits that stand for the description in every message header."""
        return zlib.crc32(self.description.encode())

    def of_part(self, name: str) -> Agreement:
        """Return the agreement for a part of this exchange, whose messages are told apart."""
        return replace(self, description=f"{self.description} {name}")

    def tag_between(self, sender: int, receiver: int) -> int:
        """Return 32 bits that stand for the description and for one message's way."""
        return zlib.crc32(struct.pack("<II", sender, receiver), self.tag)


def agree(agreement: Agreement, finite: bool, communicator: Communicator) -> bool:
    """Compare all ranks' agreements; return whether the values of all ranks are finite.

    Raises:
        AgreementError: on every rank, naming what differs from rank 0 and where, or which rank
            refuses and why.
    """
    tag, step = agreement.tag, agreement.step
    readiness = _Readiness.FINITE if finite else _Readiness.NOT_FINITE
    mine = np.array([tag, -tag, step, -step, readiness], np.int64)
    largest = communicator.allreduce(mine, "max")
    alike = largest[0] == -largest[1] and largest[2] == -largest[3]
    if alike and largest[4] != _Readiness.REFUSES:
        return bool(largest[4] == _Readiness.FINITE)
    mine_in_words = {"step": step, **json.loads(agreement.description)}
    raise AgreementError(_differences(_gathered(mine_in_words, communicator)))


def refuse(error: Exception, communicator: Communicator) -> None:
    """Take part in the peers' `agree` only to tell them why this rank cannot; collective.

    They raise AgreementError with the text of ``error``, and the communicator stays usable.
    """
    nothing = np.iinfo(np.int64).min
    mine = np.array([nothing] * 4 + [_Readiness.REFUSES], np.int64)
    with contextlib.suppress(GradwireError):  # the caller is about to raise the cause
        communicator.allreduce(mine, "max")
        _gathered({_REFUSAL: f"{type(error).__name__}: {error}"[:1000]}, communicator)


@contextlib.contextmanager
def refusing(communicator: Communicator) -> Iterator[None]:
    """Around what precedes `agree`: an error in it leaves no peer waiting."""
    try:
        yield
    except Exception as error:
        refuse(error, communicator)
        raise
    except BaseException as error:  # interrupted: no time for manners
        communicator.fail(error)
        raise


def _gathered(description: Mapping[str, Any], communicator: Communicator) -> list[bytes]:
    text = json.dumps(description).encode()[:_LARGEST_DESCRIPTION]
    return [bytes(each) for each in communicator.allgatherv(text, _LARGEST_DESCRIPTION)]


def _differences(texts: list[bytes]) -> str:
    """Return one line for every rank and field that differs from rank 0."""
    try:
        descriptions = [json.loads(text) for text in texts]
    except ValueError:  # cut off: too long to compare field by field
        return "ranks disagree about what they exchange, and the descriptions are too long to show"
    refusals = [
        f"rank {rank} {_REFUSAL}: {other[_REFUSAL]}"
        for rank, other in enumerate(descriptions)
        if _REFUSAL in other
    ]
    if refusals:
        return "; ".join(refusals)
    first, lines = descriptions[0], []
    for rank, other in enumerate(descriptions):
        for name in sorted({*first, *other}):
            if first.get(name) != other.get(name):
                lines.append(
                    f"{name} is {_short(other.get(name))} on rank {rank} "
                    f"and {_short(first.get(name))} on rank 0"
                )
    return "ranks disagree about what they exchange: " + "; ".join(lines)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
