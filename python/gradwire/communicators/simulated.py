"""P virtual ranks in one process: greenlets under a seeded scheduler.

The scheduler makes one random choice at a time: which rank goes on, or which message arrives.
Messages of one pair arrive in the order they were sent; everything else may be reordered. The same
seed gives the same run. Nobody waits for a clock: if no rank can go on and nothing is under way,
that is a `DeadlockError` at once.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gradwire.communicators.base import Bytes, Communicator
from gradwire.errors import AgreementError, ConfigError, DeadlockError, PeerError, missing

if TYPE_CHECKING:
    from greenlet import greenlet

Item = TypeVar("Item")


class Simulation:
    """Runs a function on `size` virtual ranks.

    Args:
        size: number of ranks, at least 1.
        seed: decides the schedule; each `run` starts from it anew.

    Attributes:
        deliveries: (source, destination) of every message of the last run, in order of arrival.
        record_deliveries: whether to keep `deliveries`; off by default, for it grows.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        if size < 1:
            raise ConfigError(f"Simulation: size must be at least 1, got {size}")
        self.size = size
        self.seed = seed
        self.record_deliveries = False
        self.deliveries: list[tuple[int, int]] = []

    def run(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Call `function(communicator, *args)` on every rank; return the results by rank.

        Raises:
            DeadlockError: nobody can go on; says what each rank waits for.
            Exception: the first one that leaves a rank's function; it ends the run, and a note
                on it names the rank.
        """
        self.deliveries = []
        run = _Run(self.size, self.seed, self.deliveries if self.record_deliveries else None)
        return run.execute(function, args)


class SimulatedCommunicator(Communicator):
    """One virtual rank of a `Simulation`; made by it, and of use only inside its run."""

    name = "simulated"

    def __init__(self, rank: int, run: _Run) -> None:
        super().__init__(rank, run.size)
        self._run = run
        self._operations = 0
        self._mailboxes: list[deque[Bytes]] = [deque() for _ in range(run.size)]
        self._awaited: set[int] = set()
        self._waiting_in = ""

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        self._run.agree(self.rank, self._operations, operation)
        self._operations += 1
        for step in range(1, self.size):
            peer = (self.rank + step) % self.size
            self._run.send(self.rank, peer, messages[peer].copy())
        self._awaited = {
            peer for peer in range(self.size) if peer != self.rank and not self._mailboxes[peer]
        }
        if self._awaited:
            self._waiting_in = f"{operation} (its operation {self._operations})"
            self._run.wait(self.rank)
            self._waiting_in = ""
        return [
            messages[peer] if peer == self.rank else self._mailboxes[peer].popleft()
            for peer in range(self.size)
        ]

    def _tell_peers(self, text: str) -> None:
        self._run.poison(self.rank, text)

    def _check_usable(self) -> None:
        super()._check_usable()
        self._run.check_poison(self.rank)

    def _deliver(self, source: int, message: Bytes) -> bool:
        """Take a message in; return whether this rank, waiting, now has all it waits for."""
        self._mailboxes[source].append(message)
        if source not in self._awaited:
            return False
        self._awaited.remove(source)
        return not self._awaited


class _Run:
    """The scheduler and the network of one run."""

    def __init__(self, size: int, seed: int, deliveries: list[tuple[int, int]] | None) -> None:
        self.size = size
        self._random = random.Random(seed)
        self._deliveries = deliveries
        self._communicators = [SimulatedCommunicator(rank, self) for rank in range(size)]
        self._greenlets: list[greenlet] = []
        self._waiting: set[int] = set()
        self._runnable: _Bag[int] = _Bag()
        self._channels: dict[tuple[int, int], deque[Bytes]] = {}
        self._deliverable: _Bag[tuple[int, int]] = _Bag()
        self._operations: dict[int, tuple[str, int, int]] = {}
        self._poison: tuple[int, str] | None = None
        self._over = False

    def execute(self, function: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
        """Run everything to its end, or raise."""
        greenlet = _import_greenlet()
        self._scheduler = greenlet.getcurrent()
        results: list[Any] = [None] * self.size

        def run_rank(rank: int) -> None:
            results[rank] = function(self._communicators[rank], *args)

        self._greenlets = [greenlet.greenlet(run_rank) for _ in range(self.size)]
        for rank in range(self.size):
            self._runnable.add(rank)
        try:
            while self._runnable or self._deliverable:
                self._step()
            if self._waiting:
                raise DeadlockError(self._describe_deadlock())
        finally:
            self._over = True
            for rank_greenlet in self._greenlets:
                if rank_greenlet:  # started and not finished
                    rank_greenlet.throw()
        return results

    def _step(self) -> None:
        """Let one randomly chosen rank go on, or one message arrive."""
        choice = self._random.randrange(len(self._runnable) + len(self._deliverable))
        if choice < len(self._runnable):
            self._resume(self._runnable.take(choice))
            return
        channel = self._deliverable[choice - len(self._runnable)]
        messages = self._channels[channel]
        message = messages.popleft()
        if not messages:
            self._deliverable.take(choice - len(self._runnable))
        source, destination = channel
        if self._deliveries is not None:
            self._deliveries.append(channel)
        if self._communicators[destination]._deliver(source, message):
            self._wake(destination)

    def _resume(self, rank: int) -> None:
        target = self._greenlets[rank]
        try:
            if target:
                target.switch()
            else:
                target.switch(rank)  # its first time: the argument of run_rank
        except Exception as error:
            _add_note(error, f"raised on simulated rank {rank} of {self.size}")
            raise

    def _wake(self, rank: int) -> None:
        if rank in self._waiting:
            self._waiting.remove(rank)
            self._runnable.add(rank)

    def send(self, source: int, destination: int, message: Bytes) -> None:
        """Put a message on its way."""
        channel = (source, destination)
        messages = self._channels.setdefault(channel, deque())
        if not messages:
            self._deliverable.add(channel)
        messages.append(message)

    def wait(self, rank: int) -> None:
        """Give the other ranks their turn until this rank has what it waits for."""
        self._waiting.add(rank)
        self._scheduler.switch()
        self.check_poison(rank)

    def agree(self, rank: int, number: int, operation: str) -> None:
        """Check that every rank's operation `number` is the same one."""
        expected, first, seen = self._operations.get(number, (operation, rank, 0))
        if operation != expected:
            raise AgreementError(
                f"operation {number + 1} is {operation} on rank {rank}, but {expected} on rank "
                f"{first}; all ranks must call the same operations in the same order"
            )
        self._operations[number] = (expected, first, seen + 1)
        if seen + 1 == self.size:
            del self._operations[number]

    def poison(self, rank: int, text: str) -> None:
        """Make every other rank's current or next operation raise PeerError."""
        if self._poison is None and not self._over:
            self._poison = (rank, text)
            for peer in sorted(self._waiting):
                self._wake(peer)

    def check_poison(self, rank: int) -> None:
        """Raise PeerError if another rank has given up."""
        if self._poison is not None and self._poison[0] != rank:
            raise PeerError(f"rank {self._poison[0]} gave up: {self._poison[1]}")

    def _describe_deadlock(self) -> str:
        lines = [f"simulation of {self.size} ranks: nobody can go on"]
        for rank, communicator in enumerate(self._communicators):
            if rank in self._waiting:
                awaited = sorted(communicator._awaited)
                lines.append(f"rank {rank} waits in {communicator._waiting_in} for ranks {awaited}")
            else:
                lines.append(f"rank {rank} returned after {communicator._operations} operations")
        return "\n  ".join(lines)


class _Bag(Generic[Item]):
    """A collection with constant-time add and remove by position; its order is deterministic."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, position: int) -> Item:
        return self._items[position]

    def add(self, item: Item) -> None:
        self._items.append(item)

    def take(self, position: int) -> Item:
        """Remove and return an item; the last one takes its place."""
        item, last = self._items[position], self._items.pop()
        if position < len(self._items):
            self._items[position] = last
        return item


def _add_note(error: Exception, note: str) -> None:
    if hasattr(error, "add_note"):  # Python >= 3.11
        error.add_note(note)
    elif error.args and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]} [{note}]", *error.args[1:])


def _import_greenlet() -> Any:
    try:
        import greenlet
    except ImportError as error:
        raise missing("greenlet", "Simulation", "pip install greenlet") from error
    return greenlet
