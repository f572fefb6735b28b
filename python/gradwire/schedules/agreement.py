"""What all ranks must share before they exchange anything, and how they find out that they don't.

Every exchange starts with one small fixed-size reduction, so a rank with another configuration,
tensor set or step is noticed on *all* ranks, by the same test, before a message of variable size is
on its way. The finite flags ride in the same reduction.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.errors import AgreementError

_LARGEST_DESCRIPTION = 1 << 16


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


def agree(agreement: Agreement, finite: bool, communicator: Communicator) -> bool:
    """Compare all ranks' agreements; return whether the values of all ranks are finite.

    Raises:
        AgreementError: on every rank, naming what differs from rank 0 and where.
    """
    tag, step = agreement.tag, agreement.step
    mine = np.array([tag, -tag, step, -step, int(not finite)], np.int64)
    largest = communicator.allreduce(mine, "max")
    if largest[0] == -largest[1] and largest[2] == -largest[3]:
        return not largest[4]
    text = json.dumps({"step": step, **json.loads(agreement.description)}).encode()
    received = communicator.allgatherv(text[:_LARGEST_DESCRIPTION], _LARGEST_DESCRIPTION)
    raise AgreementError(_differences([bytes(each) for each in received]))


def _differences(texts: list[bytes]) -> str:
    """Return one line for every rank and field that differs from rank 0."""
    try:
        descriptions = [json.loads(text) for text in texts]
    except ValueError:  # cut off: too long to compare field by field
        return "ranks disagree about what they exchange, and the descriptions are too long to show"
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
