"""The scheduler and the network of one simulated run: ranks take turns, messages arrive."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from gradwire.communicators.channels import Bag, Channels
from gradwire.communicators.messages import Bytes
from gradwire.communicators.reduction import Array
from gradwire.communicators.rounds import Posted, Round
from gradwire.errors import AgreementError, DeadlockError, PeerError, missing

if TYPE_CHECKING:
    from greenlet import greenlet


@dataclass(eq=False)
class Group:
    """The ranks of the simulation that a communicator connects, increasing; one object for each."""

    ranks: tuple[int, ...]

    def __post_init__(self) -> None:
        """Note where each rank is."""
        self.places = {rank: place for place, rank in enumerate(self.ranks)}


class Member(Protocol):
    """What a run needs to know of a virtual rank's communicator; places are ranks in its group."""

    operations: int

    def deliver(self, source: int, message: Bytes) -> bool:
        """Take a message in; return whether this rank, waiting, now has all it waits for."""

    def waits_for(self) -> str:
        """Say in which operation this rank waits, and for which ranks."""


class Run:
    """P virtual ranks as greenlets, and the messages between them.

    Args:
        size: number of ranks.
        seed: decides who goes on and what arrives.
        shuffle: whether messages arrive one at a time, in random order.
        hosts: for every rank, a name of its host.
        deliveries: where (source, destination) of every message that arrives is noted, if anywhere.
        connect: returns the communicator of a rank in a group.
    """

    def __init__(
        self,
        size: int,
        seed: int,
        shuffle: bool,
        hosts: Sequence[str],
        deliveries: list[tuple[int, int]] | None,
        connect: Callable[[Run, Group, int], Any],
    ) -> None:
        self.size = size
        self.shuffle = shuffle
        self.hosts = hosts
        self._random = random.Random(seed)
        self._deliveries = deliveries
        self._connect = connect
        self._groups: dict[tuple[int, ...], Group] = {}
        self._members: dict[tuple[Group, int], Any] = {}
        self._everybody = self.group(tuple(range(size)))
        self._greenlets: list[greenlet] = []
        self._waiting: dict[int, Member] = {}
        self._runnable: Bag[int] = Bag()
        self.channels: Channels[tuple[Group, int, int]] = Channels()
        self._rounds: dict[tuple[Group, int], Round] = {}
        self._operations: dict[tuple[Group, int], tuple[str, int, int]] = {}
        self._poison: tuple[int, str] | None = None
        self._over = False

    def group(self, ranks: tuple[int, ...]) -> Group:
        """Return the group of these ranks."""
        return self._groups.setdefault(ranks, Group(ranks))

    def member(self, group: Group, rank: int) -> Any:
        """Return a rank's communicator in a group, which the first one to ask for it makes."""
        if (group, rank) not in self._members:
            self._members[group, rank] = self._connect(self, group, rank)
        return self._members[group, rank]

    def world(self, rank: int) -> Any:
        """Return a rank's communicator with all others."""
        return self.member(self._everybody, rank)

    def execute(self, function: Callable[..., Any], args: tuple[Any, ...]) -> list[Any]:
        """Run everything to its end, or raise."""
        greenlet = _import_greenlet()
        self._scheduler = greenlet.getcurrent()
        results: list[Any] = [None] * self.size

        def run_rank(rank: int) -> None:
            results[rank] = function(self.world(rank), *args)

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
        (group, source, place), message = self.channels.arrive(choice - len(self._runnable))
        destination = group.ranks[place]
        if self._deliveries is not None:
            self._deliveries.append((group.ranks[source], destination))
        if self.member(group, destination).deliver(source, message):
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
        if self._waiting.pop(rank, None) is not None:
            self._runnable.add(rank)

    def post(self, group: Group, rank: int, number: int, what: Posted | Array) -> Round:
        """Add what a rank sends to a group's operation; the last one lets all others go on."""
        if (group, number) not in self._rounds:
            self._rounds[group, number] = Round(len(group.ranks))
        round_ = self._rounds[group, number]
        round_.post(group.places[rank], what)
        if round_.complete:
            for peer in group.ranks:  # none of them can wait for anything else
                self._wake(peer)
        return round_

    def leave(self, group: Group, number: int) -> None:
        """Forget an operation that every rank has its answer of."""
        if self._rounds[group, number].over:
            del self._rounds[group, number]

    def wait(self, rank: int, member: Member) -> None:
        """Give the other ranks their turn until this rank has what it waits for."""
        self._waiting[rank] = member
        self._scheduler.switch()
        self.check_poison(rank)

    def agree(self, group: Group, rank: int, number: int, operation: str) -> None:
        """Check that a group's operation is the same one on every rank."""
        key = group, number
        expected, first, seen = self._operations.get(key, (operation, rank, 0))
        if operation != expected:
            raise AgreementError(
                f"operation {number + 1} is {operation} on rank {rank}, but {expected} on rank "
                f"{first}; all ranks must call the same operations in the same order"
            )
        self._operations[key] = (expected, first, seen + 1)
        if seen + 1 == len(group.ranks):
            del self._operations[key]

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
        for rank in range(self.size):
            if rank in self._waiting:
                lines.append(f"rank {rank} waits in {self._waiting[rank].waits_for()}")
            else:
                lines.append(f"rank {rank} returned after {self.world(rank).operations} operations")
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
