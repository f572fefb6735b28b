"""A virtual rank's communicator that hands messages over instead of storing copies of them.

Between the last rank's sending and the first one's receiving, all messages of all ranks exist: of
1024 ranks with a million entries each, 5 GB. Copies of them would be 5 GB more.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradwire.communicators import Communicator, SimulatedCommunicator
from gradwire.communicators.messages import Bytes
from gradwire.communicators.reduction import Array, ReduceOp
from gradwire.errors import CommunicationError

Members = tuple[int, ...]  # of a subgroup, ranks of the whole; nobody for the whole
# Exchanges under way: (members, number) -> rank -> its messages by destination, None once taken.
Tray = dict[tuple[Members, int], dict[int, list[Bytes | None]]]


class PassingCommunicator(Communicator):
    """One virtual rank; the ranks of a run share a tray, on which their messages lie.

    Counts are those of the communicator beneath. Unlike that one's, messages to single ranks stay
    where their sender wrote them. They are made read-only, so that a schedule which writes there
    later raises ValueError in the place of sending something else.
    """

    name = "simulated"
    knows_subgroups = True

    def __init__(
        self,
        beneath: SimulatedCommunicator,
        tray: Tray,
        parent: PassingCommunicator | None = None,
        members: Members = (),
    ) -> None:
        super().__init__(beneath.rank, beneath.size, parent._standing if parent else None)
        self._beneath = beneath
        self._tray = tray
        self._members = members
        self._exchanges = 0

    @property
    def hosts(self) -> Sequence[str]:
        """For every rank, the name of the host that it is taken to run on."""
        return self._beneath.hosts

    @property
    def operations(self) -> int:
        """Collective operations so far."""
        return self._beneath.operations

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def allreduce(self, array: Array, op: ReduceOp = "sum") -> Array:
        """Return the sum or maximum over the ranks; see the base class."""
        with self._guarded():
            total = self._beneath.allreduce(array, op)
        self._count_allreduce(array)
        return total

    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        del limit, operation
        place, own = (self._members, self._exchanges), messages[self.rank]
        self._exchanges += 1
        on_tray = self._tray.setdefault(place, {})
        on_tray[self.rank] = _posted(messages, self.rank)
        self._beneath.barrier()  # all have sent
        self._tray.pop(place, None)  # each rank has it in hand
        return [
            own if peer == self.rank else self._take(on_tray[peer]) for peer in range(self.size)
        ]

    def _take(self, posted: list[Bytes | None]) -> Bytes:
        """Return a copy of the message to this rank, of which the tray keeps nothing."""
        message = posted[self.rank]
        if message is None:
            raise CommunicationError(f"rank {self.rank} has taken its message already")
        posted[self.rank] = None
        copy: Bytes = message.copy()
        return copy

    def _make_subgroup(self, ranks: tuple[int, ...]) -> PassingCommunicator:
        members = tuple(self._members[rank] for rank in ranks) if self._members else ranks
        beneath = self._beneath.subgroup(ranks)
        assert isinstance(beneath, SimulatedCommunicator)
        return PassingCommunicator(beneath, self._tray, self, members)

    def _tell_peers(self, text: str) -> None:
        self._beneath.fail(CommunicationError(text))


def _posted(messages: list[Bytes], rank: int) -> list[Bytes | None]:
    """Return a rank's messages as they lie on the tray; one that goes to all is a copy."""
    own = messages[rank]
    if all(message is own for message in messages):
        return [own.copy()] * len(messages)
    for peer, message in enumerate(messages):
        message.flags.writeable = peer == rank and message.flags.writeable
    return [*messages]
