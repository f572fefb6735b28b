"""Messages of one exchange in which something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from interrupted import Interrupted

from gradwire.communicators import Communicator, Simulation
from gradwire.errors import PeerError, WireError
from gradwire.wire import HEADER_BYTES

Damage = Callable[[np.ndarray], np.ndarray]
CODEC_BYTE, LOAD_BYTES = 4, range(32, 36)


class Tampered(Interrupted):
    """Damages every message from others that arrives in the chosen call."""

    def __init__(self, inner: Communicator, at: int, damage: Damage) -> None:
        super().__init__(inner, inner.rank, at, False)
        self._damage = damage

    def _passed(self, call: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        result = call()
        if number == self._at:
            for source in result if isinstance(result, dict) else range(self.size):
                if source != self.rank:
                    result[source] = self._damage(result[source])
        return result


def damaged(gather: bool) -> Iterator[Damage]:
    """Yield ways to damage a message with a header: each byte of it, and the length."""
    free = {CODEC_BYTE, *(LOAD_BYTES if gather else ())}  # the sender's to choose

    def flip(at: int) -> Damage:
        def damage(data: np.ndarray) -> np.ndarray:
            data = data.copy()
            data[at] ^= 0x55
            return data

        return damage

    yield from (flip(at) for at in range(HEADER_BYTES) if at not in free)
    yield lambda data: data[:-1]
    yield lambda data: data[: HEADER_BYTES - 1]
    yield lambda data: data[:0]
    yield lambda data: np.concatenate([data, data[-1:]])


def endings(
    size: int, exchange_once: Callable[[Communicator], Any], at: int, damage: Damage
) -> set[str]:
    """Return how the exchange ends on the ranks that fail, by the names of the errors.

    A rank that has all it needs before the damage shows may get through.
    """

    def rank(communicator: Communicator) -> str:
        try:
            exchange_once(Tampered(communicator, at, damage))
            communicator.barrier()
        except (WireError, PeerError) as error:
            return type(error).__name__
        return "fine"

    return set(Simulation(size, seed=at).run(rank))
