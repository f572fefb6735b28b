"""P virtual ranks in one process: greenlets under a seeded scheduler.

The scheduler makes one random choice at a time: which rank goes on, or which message arrives.
Messages of one pair arrive in the order they were sent; everything else may be reordered. The same
seed gives the same run. Nobody waits for a clock: if no rank can go on and nothing is under way,
that is a `DeadlockError` at once.

`shuffle=False` leaves the reordering of messages out: they all arrive when the last rank has sent
its own. Results and counters are the same, in a fraction of the time and memory.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gradwire.communicators.base import Array, Bytes, Communicator, ReduceOp, check_reducible
from gradwire.communicators.channels import Bag, Channels
from gradwire.communicators.rounds import Posted, Round
from gradwire.errors import AgreementError, ConfigError, DeadlockError, PeerError, missing

if TYPE_CHECKING:
    from greenlet import greenlet


class Simulation:
    """Runs a function on `size` virtual ranks.

    Args:
        size: number of ranks, at least 1.
        seed: decides the schedule; each `run` starts from it anew.
        shuffle: whether messages arrive one at a time, in random order; False is for counting
            what many ranks exchange.

    Attributes:
        deliveries: (source, destination) of every message of the last run, in order of arrival;
            nothing if they are not shuffled.
        record_deliveries: whether to keep `deliveries`; off by default, for it grows.
    """

    def __init__(self, size: int, seed: int = 0, *, shuffle: bool = True) -> None:
        if size < 1:
            raise ConfigError(f"Simulation: size must be at least 1, got {size}")
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
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
        deliveries = self.deliveries if self.record_deliveries else None
        run = _Run(self.size, self.seed, self.shuffle, deliveries)
        return run.execute(function, args)


class SimulatedCommunicator(Communicator):
    """One virtual rank of a `Simulation`; made by it, and of use only inside its run."""

    name = "simulated"

    def __init__(self, rank: int, run: _Run) -> None:
        super().__init__(rank, run.size)
        self._run = run
        self._operations = 0
        self._mailboxes: list[deque[Bytes]] = (
            [deque() for _ in range(run.size)] if run.shuffle else []
        )
        self._awaited: set[int] = set()
        self._round: Round | None = None
        self._waiting_in = ""

    @property
    def operations(self) -> int:
        """Collective operations so far; an allreduce is one, or two where messages are shuffled."""
        return self._operations

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def allreduce(self, array: Array, op: ReduceOp = "sum") -> Array:
        """Return the sum or maximum over the ranks; see the base class."""
        if self._run.shuffle:
            return super().allreduce(array, op)
        array = check_reducible(array, op)
        operation = f"allreduce {op} of {array.dtype}[{array.size}]"
        with self._guarded():
            total = self._meet(operation, array.copy()).reduced(op)
            self._run.leave(self._operations)
        self._count_allreduce(array)
        return total

    def awaited(self) -> list[int]:
        """Return the ranks that this one waits for, increasing."""
        return self._round.awaited() if self._round else sorted(self._awaited)

    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        if not self._run.shuffle:
            round_ = self._meet(operation, Posted(messages, self.rank))
            received = round_.messages(self.rank, messages[self.rank])
            self._run.leave(self._operations)
            return received
        self._run.agree(self.rank, self._operations, operation)
        self._operations += 1
        for step in range(1, self.size):
            peer = (self.rank + step) % self.size
            self._run.channels.send(self.rank, peer, messages[peer].copy())
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

    def _meet(self, operation: str, what: Posted | Array) -> Round:
        """Send, and wait until all ranks have sent; return the round that holds everything."""
        self._run.agree(self.rank, self._operations, operation)
        self._operations += 1
        self._round = self._run.post(self.rank, self._operations, what)
        if not self._round.complete:
            self._waiting_in = f"{operation} (its operation {self._operations})"
            self._run.wait(self.rank)
            self._waiting_in = ""
        return self._round

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

    def __init__(
        self, size: int, seed: int, shuffle: bool, deliveries: list[tuple[int, int]] | None
    ) -> None:
        self.size = size
        self.shuffle = shuffle
        self._random = random.Random(seed)
        self._deliveries = deliveries
        self._communicators = [SimulatedCommunicator(rank, self) for rank in range(size)]
        self._greenlets: list[greenlet] = []
        self._waiting: set[int] = set()
        self._runnable: Bag[int] = Bag()
        self.channels = Channels()
        self._rounds: dict[int, Round] = {}
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
            while self._runnable or self.channels:
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
        choice = self._random.randrange(len(self._runnable) + len(self.channels))
        if choice < len(self._runnable):
            self._resume(self._runnable.take(choice))
            return
        channel, message = self.channels.arrive(choice - len(self._runnable))
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

    def post(self, rank: int, number: int, what: Posted | Array) -> Round:
        """Add what a rank sends to its operation `number`; the last one lets all others go on."""
        if number not in self._rounds:
            self._rounds[number] = Round(self.size)
        round_ = self._rounds[number]
        round_.post(rank, what)
        if round_.complete:
            for peer in sorted(self._waiting):
                self._wake(peer)
        return round_

    def leave(self, number: int) -> None:
        """Forget an operation that every rank has its answer of."""
        if self._rounds[number].over:
            del self._rounds[number]

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
                awaited, where = communicator.awaited(), communicator._waiting_in
                lines.append(f"rank {rank} waits in {where} for ranks {awaited}")
            else:
                lines.append(f"rank {rank} returned after {communicator._operations} operations")
        return "\n  ".join(lines)


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
