"""P virtual ranks in one process: greenlets under a seeded scheduler.

The scheduler makes one random choice at a time: which rank goes on, or which message arrives.
Messages of one pair arrive in the order they were sent; everything else may be reordered. The same
seed gives the same run. Nobody waits for a clock: if no rank can go on and nothing is under way,
that is a `DeadlockError` at once.

`shuffle=False` leaves the reordering of messages out: they all arrive when the last rank has sent
its own. Results and counters are the same, in a fraction of the time and memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes
from gradwire.communicators.reduction import Array, ReduceOp, check_reducible
from gradwire.communicators.rounds import Posted, Round
from gradwire.communicators.simulated_run import Group, Run
from gradwire.errors import ConfigError


class Simulation:
    """Runs a function on `size` virtual ranks.

    Args:
        size: number of ranks, at least 1.
        seed: decides the schedule; each `run` starts from it anew.
        shuffle: whether messages arrive one at a time, in random order; False is for counting
            what many ranks exchange.
        ranks_per_host: how many successive ranks are taken to run on the same host.

    Attributes:
        deliveries: (source, destination) of every message of the last run, in order of arrival;
            nothing if they are not shuffled.
        record_deliveries: whether to keep `deliveries`; off by default, for it grows.
    """

    def __init__(
        self, size: int, seed: int = 0, *, shuffle: bool = True, ranks_per_host: int = 1
    ) -> None:
        if size < 1:
            raise ConfigError(f"Simulation: size must be at least 1, got {size}")
        if ranks_per_host < 1:
            raise ConfigError(
                f"Simulation: ranks_per_host must be at least 1, got {ranks_per_host}"
            )
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.hosts = [f"host{rank // ranks_per_host}" for rank in range(size)]
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
        run = Run(self.size, self.seed, self.shuffle, self.hosts, deliveries, SimulatedCommunicator)
        return run.execute(function, args)


class SimulatedCommunicator(Communicator):
    """One virtual rank of a `Simulation`; made by it, and of use only inside its run.

    Attributes:
        operations: collective operations so far; an allreduce is one, or two where messages are
            shuffled.
    """

    name = "simulated"
    knows_subgroups = True
    any_thread = False

    def __init__(self, run: Run, group: Group, world_rank: int) -> None:
        size = len(group.ranks)
        world = run.world(world_rank) if size < run.size else None
        super().__init__(group.places[world_rank], size, world and world._standing)
        self._run = run
        self._group = group
        self._world_rank = world_rank
        self._world: SimulatedCommunicator | None = world
        self._mailboxes: list[deque[Bytes]] = [deque() for _ in range(size)] if run.shuffle else []
        self._awaited: set[int] = set()
        self._round: Round | None = None
        self._waiting_in = ""
        self._own_operations = 0
        self.operations = 0

    @property
    def hosts(self) -> Sequence[str]:
        """For every rank, the name of the host that it is taken to run on."""
        return [self._run.hosts[rank] for rank in self._group.ranks]

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
            self._run.leave(self._group, self._own_operations)
        self._count_allreduce(array)
        return total

    def waits_for(self) -> str:
        """Say in which operation this rank waits, and for which ranks of the simulation."""
        places = self._round.awaited() if self._round else sorted(self._awaited)
        return f"{self._waiting_in} for ranks {[self._group.ranks[place] for place in places]}"

    def _make_subgroup(self, ranks: tuple[int, ...]) -> SimulatedCommunicator:
        group = self._run.group(tuple(self._group.ranks[rank] for rank in ranks))
        made: SimulatedCommunicator = self._run.member(group, self._world_rank)
        return made

    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        if not self._run.shuffle:
            round_ = self._meet(operation, Posted(messages, self.rank))
            received = round_.messages(self.rank, messages[self.rank])
            self._run.leave(self._group, self._own_operations)
            return received
        self._begin(operation)
        for step in range(1, self.size):
            peer = (self.rank + step) % self.size
            self._run.channels.send((self._group, self.rank, peer), messages[peer].copy())
        self._awaited = {
            peer for peer in range(self.size) if peer != self.rank and not self._mailboxes[peer]
        }
        if self._awaited:
            self._wait(operation)
        return [
            messages[peer] if peer == self.rank else self._mailboxes[peer].popleft()
            for peer in range(self.size)
        ]

    def _meet(self, operation: str, what: Posted | Array) -> Round:
        """Send, and wait until all ranks have sent; return the round that holds everything."""
        self._begin(operation)
        self._round = self._run.post(self._group, self._world_rank, self._own_operations, what)
        if not self._round.complete:
            self._wait(operation)
        return self._round

    def _begin(self, operation: str) -> None:
        """Count an operation, which must be the same one on all ranks."""
        self._run.agree(self._group, self._world_rank, self._own_operations, operation)
        self._own_operations += 1
        self.operations += 1
        if self._world:
            self._world.operations += 1

    def _wait(self, operation: str) -> None:
        self._waiting_in = f"{operation} (its operation {self._own_operations})"
        self._run.wait(self._world_rank, self)
        self._waiting_in = ""

    def _tell_peers(self, text: str) -> None:
        self._run.poison(self._world_rank, text)

    def _check_usable(self) -> None:
        super()._check_usable()
        self._run.check_poison(self._world_rank)

    def deliver(self, source: int, message: Bytes) -> bool:
        """Take a message in; return whether this rank, waiting, now has all it waits for."""
        self._mailboxes[source].append(message)
        if source not in self._awaited:
            return False
        self._awaited.remove(source)
        return not self._awaited
