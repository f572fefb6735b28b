"""Communicators move byte messages between ranks; everything above them is transport-blind.

A communicator belongs to one owner. All its operations are collective: every rank calls the same
operations in the same order, blocks until its own part is done and gets the same kind of answer.

Rules that hold for every transport:

* A message is a run of bytes with a 64-bit length; empty ones are fine. Every rank sends one
  message to every rank, or to those that expect one, so a receiver knows when it has everything.
* What a rank sends is read during the call only. What it receives from others is memory of its
  own, writable, and shared with nobody. Its message to itself is passed through as a *view*.
* No operation returns before its sends are complete, so buffers may be reused at once.
* A peer that does not answer is a `DeadlineError`, one that gave up (`fail`) a `PeerError`.
  After either, the communicator is unusable: later calls raise again, at once.
* Received bytes are not to be trusted beyond `limit`; what they say is the caller's to check.
"""

from __future__ import annotations

import abc
import contextlib
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from gradwire.communicators.messages import Buffer, Bytes, as_bytes, check_received
from gradwire.communicators.reduction import (
    Array,
    ReduceOp,
    check_reducible,
    part_bounds,
    reduce_in_rank_order,
    typed,
)
from gradwire.communicators.standing import Standing
from gradwire.errors import (
    CommunicationError,
    ConfigError,
    PeerError,
    WireError,
    require_integer,
)


class Communicator(abc.ABC):
    """A private group of ranks that exchange messages; see the module for the rules.

    Attributes:
        rank: number of this rank, 0 <= rank < size.
        size: number of ranks.
        name: the transport, for messages to people: "mpi", "horovod", "simulated".
        counters: bytes and messages so far, those of its subgroups and its parent included.
        ranks: for every rank, its number for people: that in the communicator of which this one is
            a subgroup.
        of_size: number of ranks of that one.
        any_thread: whether any thread may use it, one at a time.
        knows_subgroups: whether `subgroup` can be used.
        byte_seconds: about what a byte costs on its links; senders may choose shorter codes by it.
    """

    name: str = "communicator"
    any_thread: bool = True
    knows_subgroups: ClassVar[bool] = False
    byte_seconds: float = 8e-9  # 1 Gbit/s

    def __init__(self, rank: int, size: int, standing: Standing | None = None) -> None:
        self.rank = rank
        self.size = size
        self._standing = standing or Standing()
        self.counters = self._standing.counters
        self._subgroups: dict[tuple[int, ...], Communicator] = {}
        self.ranks: Sequence[int] = range(size)
        self.of_size = size

    @property
    def hosts(self) -> Sequence[str]:
        """For every rank, a name of the host that it runs on; one for all where nobody knows."""
        return [""] * self.size

    def subgroup(self, ranks: Sequence[int]) -> Communicator:
        """Return the communicator of some of these ranks; only they need to call, all of them.

        It is made at the first call with these ranks, kept, and closed with this one. Counters,
        the work to do while waiting and failures are common to both: a rank that gives up in one
        is known in the other.

        Args:
            ranks: increasing; this rank is one of them.

        Raises:
            ConfigError: other ranks, or the transport knows no subgroups.
        """
        self._check_usable()
        members = tuple(require_integer("subgroup: each rank", rank, 0) for rank in ranks)
        increasing = all(low < high for low, high in itertools.pairwise(members))
        if not increasing or self.rank not in members or members[-1] >= self.size:
            raise ConfigError(
                f"subgroup: expected increasing ranks below {self.size}, {self.rank}, this one, "
                f"among them, got {list(members)}"
            )
        if members not in self._subgroups:
            made = self._make_subgroup(members)
            made.ranks, made.of_size = [self.ranks[rank] for rank in members], self.of_size
            self._subgroups[members] = made
        return self._subgroups[members]

    def _make_subgroup(self, ranks: tuple[int, ...]) -> Communicator:
        """Do `subgroup` with checked ranks; transports that can do it override this."""
        raise ConfigError(f"{type(self).__name__}: its transport knows no subgroups; use MPI")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(rank={self.rank}, size={self.size})"

    def exchange(self, messages: Sequence[Buffer], limit: int) -> list[Bytes]:
        """Send `messages[p]` to every rank p; return what they sent to this one, in rank order.

        Args:
            messages: `size` contiguous byte buffers (uint8 if arrays).
            limit: bytes; the same on all ranks. No message may be longer.

        Raises:
            ConfigError: wrong arguments, a longer own message among them; nothing was sent.
            WireError: a longer message came.
            DeadlineError, PeerError: see the module.
        """
        if len(messages) != self.size:
            raise ConfigError(
                f"exchange: expected one message for each of {self.size} ranks, got {len(messages)}"
            )
        return self._counted([as_bytes(m, "exchange") for m in messages], limit, "exchange")

    def exchange_with(
        self, messages: Mapping[int, Buffer], sources: Collection[int], limit: int
    ) -> dict[int, Bytes]:
        """Send `messages[p]` to some other ranks p; return what `sources` sent to this one.

        Collective: all ranks call it at the same time, those that have nothing to send or to
        receive included. Who sends to whom is known on both sides: p names this rank in its
        `sources` if this rank has a message for p, which may be empty, and not otherwise. Only
        named messages are counted, whatever the transport does to move them.

        Args:
            messages: destination -> contiguous byte buffer (uint8 if an array).
            sources: ranks whose messages this one expects; the result is in the same order.
            limit: as in `exchange`.

        Raises:
            ConfigError: as in `exchange`; a rank that is not another one of this communicator.
            WireError: a longer message came, or one that was not expected.
            DeadlineError, PeerError: see the module.
        """
        operation = "exchange_with"
        self._check_others([*messages, *sources], operation)
        buffers = {peer: as_bytes(message, operation) for peer, message in messages.items()}
        self._check_own(buffers.items(), limit, operation)
        with self._guarded():
            received = self._exchange_with(buffers, sources, limit, operation)
            for peer, message in received.items():
                check_received(message.size, limit, self.ranks[peer], operation)
        sent = sum(message.size for message in buffers.values())
        self._count(sent, sum(message.size for message in received.values()), len(buffers))
        return received

    def allgatherv(self, message: Buffer, limit: int) -> list[Bytes]:
        """Send `message` to every rank; return everybody's, in rank order. See `exchange`."""
        return self._counted([as_bytes(message, "allgatherv")] * self.size, limit, "allgatherv")

    def allreduce(self, array: Array, op: ReduceOp = "sum") -> Array:
        """Return a new array: the elementwise sum or maximum over the ranks.

        Meant for small arrays. Floats are combined in rank order, so that all ranks get the same
        bits; integers wrap around; NaN wins every maximum.

        Args:
            array: (n,) integers or floats in native byte order; same n and dtype on all ranks.
            op: "sum" or "max".

        Raises:
            ConfigError: another array or op.
            WireError: a peer's array has another length.
        """
        array = check_reducible(array, op)
        operation = f"allreduce {op} of {array.dtype}[{array.size}]"
        bounds = part_bounds(array.size, self.size)
        limit = -(-array.size // self.size) * array.itemsize
        parts = [array[begin:end].view(np.uint8) for begin, end in itertools.pairwise(bounds)]
        received = self._counted(parts, limit, operation)
        with self._guarded():
            total = reduce_in_rank_order(received, array.dtype, parts[self.rank].size, op)
        gathered = self._counted([total.view(np.uint8)] * self.size, limit, operation)
        with self._guarded():
            return np.concatenate(
                [typed(gathered[p], array.dtype, parts[p].size, p) for p in range(self.size)]
            )

    def barrier(self) -> None:
        """Return when every rank has called it."""
        with self._guarded():
            self._exchange([np.empty(0, np.uint8)] * self.size, 0, "barrier")

    @contextlib.contextmanager
    def while_waiting(self, work: Iterator[object]) -> Iterator[None]:
        """Let operations inside the ``with`` block use waits for steps of ``work``.

        A step should take well below a millisecond. What is left of them is done at the end of the
        block, unless it ends with an error.
        """
        self._standing.work = work
        try:
            yield
        finally:
            self._standing.work = iter(())
        for _ in work:
            pass

    def _use_wait(self) -> bool:
        """Do a step of the work for which there is time; tell whether there was any."""
        return next(self._standing.work, self) is not self

    def fail(self, error: BaseException) -> None:
        """Tell the peers that this rank gives up; their operations raise PeerError with its text.

        Never raises. Does nothing after the first call, or when a peer has given up already.
        Operations call it themselves when they raise anything but a ConfigError.
        """
        if self._standing.unusable is not None:
            return
        text = f"{type(error).__name__}: {error}".removesuffix(": ")  # some have nothing to say
        who = self.ranks[self.rank]
        self._standing.unusable = CommunicationError(f"rank {who} gave up earlier: {text}")
        with contextlib.suppress(Exception):
            self._tell_peers(text)

    @abc.abstractmethod
    def close(self) -> None:
        """Release the transport's resources. Collective; calling it again does nothing."""

    @abc.abstractmethod
    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        """Do `exchange` with checked arguments; `operation` names the caller in errors."""

    def _exchange_with(
        self, messages: dict[int, Bytes], sources: Collection[int], limit: int, operation: str
    ) -> dict[int, Bytes]:
        """Do `exchange_with` with checked arguments.

        Transports that can move single messages override this; here all others are empty.
        """
        nothing = np.empty(0, np.uint8)
        every = self._exchange(
            [messages.get(peer, nothing) for peer in range(self.size)], limit, operation
        )
        for peer, message in enumerate(every):
            if message.size and peer not in sources:
                raise WireError(
                    f"{operation}: rank {self.ranks[peer]} sent {message.size} B to rank "
                    f"{self.ranks[self.rank]}, which expects messages from ranks "
                    f"{[self.ranks[source] for source in sorted(sources)]} only"
                )
        return {peer: every[peer] for peer in sources}

    @abc.abstractmethod
    def _tell_peers(self, text: str) -> None:
        """Make the peers' current or next operation raise PeerError with `text`."""

    def _check_usable(self) -> None:
        if self._standing.unusable is not None:
            raise type(self._standing.unusable)(str(self._standing.unusable))

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Around communication: refuse after a failure, and let no failure leave peers waiting."""
        self._check_usable()
        try:
            yield
        except PeerError as error:
            self._standing.unusable = PeerError(str(error))
            raise
        except BaseException as error:
            self.fail(error)
            raise

    def _counted(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        """Check lengths on both sides of `_exchange` and count what went over the wire."""
        self._check_own(enumerate(messages), limit, operation)
        with self._guarded():
            received = self._exchange(messages, limit, operation)
            for peer, message in enumerate(received):
                check_received(message.size, limit, self.ranks[peer], operation)
        own = messages[self.rank].size
        sent, got = sum(m.size for m in messages) - own, sum(m.size for m in received) - own
        self._count(sent, got, self.size - 1)
        return received

    def _check_own(self, messages: Iterable[tuple[int, Bytes]], limit: int, operation: str) -> None:
        """Refuse messages to send, given with their destinations, that are too long."""
        for peer, message in messages:
            if message.size > limit:
                raise ConfigError(
                    f"{operation}: no message may be longer than the limit of {limit} B, "
                    f"the one from rank {self.rank} to rank {peer} has {message.size} B"
                )

    def _check_others(self, peers: Sequence[int], operation: str) -> None:
        """Refuse numbers that are not of another rank."""
        for peer in peers:
            if not 0 <= peer < self.size or peer == self.rank:
                raise ConfigError(
                    f"{operation}: expected ranks below {self.size} other than {self.rank}, "
                    f"this one, got {peer}"
                )

    def _count(self, sent: int, received: int, messages: int) -> None:
        self.counters.bytes_sent += sent
        self.counters.bytes_received += received
        self.counters.messages_sent += messages

    def _count_allreduce(self, array: Array) -> None:
        """Count an allreduce that the transport did itself as the default would have."""
        bounds = part_bounds(array.size, self.size)
        own = (bounds[self.rank + 1] - bounds[self.rank]) * array.itemsize
        scattered, gathered = array.nbytes - own, own * (self.size - 1)
        self._count(scattered, gathered, self.size - 1)
        self._count(gathered, scattered, self.size - 1)
