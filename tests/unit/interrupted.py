"""A communicator that fails at a chosen call, before or after it reached the peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradwire.communicators import Communicator


class Broke(Exception):
    """What the chosen rank raises."""


class Interrupted(Communicator):
    """Passes everything on to another communicator, but for one call.

    Attributes:
        calls: how many were made.
        hit: whether the chosen one was among them.
    """

    name = "interrupted"

    def __init__(self, inner: Communicator, culprit: int, at: int, after: bool) -> None:
        super().__init__(inner.rank, inner.size)
        self.counters = inner.counters
        self.calls = 0
        self.hit = False
        self._inner = inner
        self._at = at if inner.rank == culprit else -1
        self._after = after

    def _passed(self, call: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        self.hit = self.hit or number == self._at
        if number == self._at and not self._after:
            raise Broke
        result = call()
        if number == self._at:
            raise Broke
        return result

    def exchange(self, messages: Sequence[Any], limit: int) -> list[Any]:
        return self._passed(lambda: self._inner.exchange(messages, limit))

    def exchange_with(self, messages: Any, sources: Any, limit: int) -> dict[int, Any]:
        return self._passed(lambda: self._inner.exchange_with(messages, sources, limit))

    def allgatherv(self, message: Any, limit: int) -> list[Any]:
        return self._passed(lambda: self._inner.allgatherv(message, limit))

    def allreduce(self, array: np.ndarray, op: Any = "sum") -> np.ndarray:
        return self._passed(lambda: self._inner.allreduce(array, op))

    def barrier(self) -> None:
        self._passed(self._inner.barrier)

    def fail(self, error: BaseException) -> None:
        self._inner.fail(error)

    def close(self) -> None:
        self._inner.close()

    def _exchange(self, messages: list[Any], limit: int, operation: str) -> list[Any]:
        raise NotImplementedError

    def _tell_peers(self, text: str) -> None:
        raise NotImplementedError


class Corrupting(Interrupted):
    """Damages, at the chosen call, what came from the next rank, or from those that sent at all."""

    def _passed(self, call: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        result = call()
        if isinstance(result, np.ndarray) or result is None:
            return result
        for source in result if isinstance(result, dict) else [(self.rank + 1) % self.size]:
            if number == self._at and len(result[source]):
                self.hit = True
                result[source] = result[source].copy()
                result[source][:4] ^= 0x55
        return result
