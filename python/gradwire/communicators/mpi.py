"""The communicator over MPI: point-to-point messages on a private duplicate of a communicator.

Threads: a communicator serves one thread at a time. MPI_THREAD_MULTIPLE lets that be any thread
(mpi4py asks for it by default); with less only MPI's main thread may use it. After Horovod has
initialised MPI on its own background thread, the Python main thread is *not* MPI's main thread,
so nothing less than MPI_THREAD_MULTIPLE will do there: `import mpi4py.MPI` before `hvd.init()`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes, as_bytes
from gradwire.communicators.mpi_end import abandoned, end_in_time
from gradwire.communicators.mpi_groups import duplicated, group_of_world
from gradwire.communicators.mpi_library import import_mpi
from gradwire.communicators.mpi_notices import Notices, failed_ranks
from gradwire.communicators.mpi_transfer import MpiTransfer
from gradwire.communicators.polling import DEADLINE_VARIABLE, Patience, resolve_deadline
from gradwire.communicators.reduction import Array, ReduceOp, check_reducible, reduce_in_rank_order
from gradwire.errors import CommunicationError, ConfigError, DeadlineError, PeerError

if TYPE_CHECKING:
    from mpi4py import MPI

# Each exchange has a tag of its own, so that what a rank that is ahead has sent waits for its turn.
# No rank can be so many exchanges ahead of another one; MPI has tags up to 32767 at least.
FIRST_DATA_TAG, DATA_TAGS = 2, 1 << 14
MEETING_TAG = FIRST_DATA_TAG + DATA_TAGS
POLLS_PER_NOTICE = 8
# Of all ranks together: what a link of 1 Gbit/s takes as long for as for a few rounds of messages.
DIRECT_BYTES = 1 << 16
BYTE_WITHIN_HOST = 5e-10  # seconds, with two to four ranks on two cores
PIECE_WITHIN_HOST = 1 << 30  # bytes; MPI counts are 32-bit
PIECE_BETWEEN_HOSTS = 60_000  # below the 64 KiB that Open MPI and UCX send eagerly over TCP


class MpiCommunicator(Communicator):
    """Ranks of an mpi4py intracommunicator.

    Args:
        comm: mpi4py communicator. Collective: every rank of it must construct.
        deadline: seconds without progress before DeadlineError; None: GRADWIRE_DEADLINE or 300.
        duplicate: work on a private duplicate (always right unless `comm` was made for this).
        parent: the communicator of which this is to be a subgroup (see `subgroup`).

    Attributes:
        piece_bytes: a message travels as full pieces of this many bytes ended by a shorter one; the
            same on all ranks. Between hosts they are so short that MPI over TCP sends them at once:
            longer ones wait for the receiver and for both sides' polls, which took 1.5 times as
            long over links of 1 Gbit/s. Within one host they are as long as MPI's counts allow.
        window: how many pieces a rank sends at a time.

    After an error the requests in flight can be neither cancelled nor waited for; they and their
    buffers are kept until the process ends, so that MPI never touches freed memory. After a
    DeadlineError end the process: Open MPI 5 may crash when it goes on and a collective that was
    left in flight completes after all.
    """

    name = "mpi"
    knows_subgroups = True
    _keyval: ClassVar[int | None] = None
    _keyval_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        comm: MPI.Intracomm,
        deadline: float | None = None,
        *,
        duplicate: bool = True,
        parent: MpiCommunicator | None = None,
    ) -> None:
        self._mpi = import_mpi("MpiCommunicator")
        self.deadline = resolve_deadline(deadline)
        self._check_thread()
        self.any_thread = self._mpi.Query_thread() >= self._mpi.THREAD_MULTIPLE
        super().__init__(comm.Get_rank(), comm.Get_size(), parent._standing if parent else None)
        self._comm = duplicated(comm, self.deadline) if duplicate else comm
        # Whoever gives up tells all ranks of the parent, in whatever subgroup they wait.
        self._notices: Notices = parent._notices if parent else Notices(self._comm)
        self._in_use: threading.Lock = parent._in_use if parent else threading.Lock()
        self.piece_bytes = PIECE_WITHIN_HOST
        self.window = 16
        self._exchanges = 0
        self._is_whole = parent is None
        self._closed = False
        self._hosts = self._learn_hosts()
        if len(set(self._hosts)) > 1:
            self.piece_bytes = PIECE_BETWEEN_HOSTS
        else:
            self.byte_seconds = BYTE_WITHIN_HOST

    @classmethod
    def cached(cls, comm: MPI.Intracomm) -> MpiCommunicator:
        """Return the communicator kept as an attribute of `comm`, made at the first call.

        Collective at the first call. It is closed when `comm` is freed.
        """
        mpi = import_mpi("MpiCommunicator")
        with cls._keyval_lock:
            if cls._keyval is None:
                cls._keyval = mpi.Comm.Create_keyval(delete_fn=_close_attribute)
        found = comm.Get_attr(cls._keyval)
        if isinstance(found, cls) and not found._closed:
            return found
        made = cls(comm)
        comm.Set_attr(cls._keyval, made)
        return made

    @classmethod
    def from_group(
        cls, world_ranks: Sequence[int], tag: int = 0, deadline: float | None = None
    ) -> MpiCommunicator:
        """Return a communicator of these ranks of MPI_COMM_WORLD; only they need to call.

        Args:
            world_ranks: distinct ranks, in the order of the new ranks; the caller is one of them.
            tag: tells apart groups that are made at the same time by different threads.
            deadline: as in the constructor.
        """
        comm = group_of_world(import_mpi("MpiCommunicator"), world_ranks, tag)
        return cls(comm, deadline, duplicate=False)

    def allreduce(self, array: Array, op: ReduceOp = "sum") -> Array:
        """As in the base class; long arrays of 32- and 64-bit integers are left to MPI.

        Others are not: for floats MPI promises neither an order nor what becomes of NaN, and
        Open MPI 5's sums of 8- and 16-bit integers saturate instead of wrapping around. Short ones
        are through sooner if every rank sends all of them to every other.
        """
        array = check_reducible(array, op)
        if array.nbytes * self.size <= DIRECT_BYTES:
            return self._allreduce_directly(array, op)
        if array.dtype.kind == "f" or array.itemsize < 4:
            return super().allreduce(array, op)
        result = np.empty_like(array)
        with self._guarded():
            mpi_op = self._mpi.SUM if op == "sum" else self._mpi.MAX
            request = self._comm.Iallreduce(array, result, mpi_op)
            self._wait(request, f"allreduce {op} of {array.dtype}[{array.size}]")
        self._count_allreduce(array)
        return result

    @property
    def hosts(self) -> Sequence[str]:
        """For every rank, the name by which MPI knows its host."""
        return self._hosts

    def _learn_hosts(self) -> list[str]:
        """Return the names of all ranks' hosts; collective."""
        name = as_bytes(self._mpi.Get_processor_name().encode(), "hosts")
        with self._guarded():  # and not counted
            names = self._exchange([name] * self.size, self._mpi.MAX_PROCESSOR_NAME, "hosts")
        return [bytes(each).decode(errors="replace") for each in names]

    def _make_subgroup(self, ranks: tuple[int, ...]) -> MpiCommunicator:
        with self._guarded():
            self._meet(ranks)  # the next call waits for all of them, without a deadline
            everybody = self._comm.Get_group()
            group = everybody.Incl(ranks)
            comm = self._comm.Create_group(group)
            group.Free()
            everybody.Free()
        made = MpiCommunicator(comm, self.deadline, duplicate=False, parent=self)
        made.window = self.window
        return made

    def _meet(self, ranks: tuple[int, ...]) -> None:
        """Return when all of these ranks have called it."""
        requests, nothing = [], [np.empty(0, np.uint8), self._mpi.BYTE]
        for peer in ranks:
            if peer != self.rank:
                requests.append(self._comm.Irecv(nothing, peer, MEETING_TAG))
                requests.append(self._comm.Isend(nothing, peer, MEETING_TAG))
        try:
            self._poll(lambda _: self._mpi.Request.Testall(requests), lambda: "", "subgroup")
        except BaseException:
            abandoned.extend(requests)
            raise

    def _allreduce_directly(self, array: Array, op: ReduceOp) -> Array:
        operation = f"allreduce {op} of {array.dtype}[{array.size}]"
        with self._guarded():
            own = array.view(np.uint8)
            received = self._exchange([own] * self.size, array.nbytes, operation)
            total = reduce_in_rank_order(received, array.dtype, array.nbytes, op)
        self._count_allreduce(array)
        return total

    def barrier(self) -> None:
        """Return when every rank has called it."""
        with self._guarded():
            self._wait(self._comm.Ibarrier(), "barrier")

    def end_together(self) -> None:
        """Return when all ranks have come to this, their end, or after 10 s; never raises.

        For owners who do not finalise MPI themselves: whoever does may do it for all ranks when the
        first one ends, while others finish their last exchange. A rank that waits in an exchange
        for one that has ended gets PeerError.
        """
        if self._closed or self._standing.unusable or self._mpi.Is_finalized():
            return
        with contextlib.suppress(Exception):
            self._notices.end_together(self._exchanges)

    def close(self) -> None:
        """Free the private communicator, unless MPI is finalised or an operation failed on it."""
        if self._closed:
            return
        if not self._in_use.acquire(blocking=False):
            raise ConfigError("MpiCommunicator: closed while another thread uses it")
        self._in_use.release()
        self._closed = True
        for subgroup in self._subgroups.values():
            subgroup.close()
        if self._standing.unusable is None and not self._mpi.Is_finalized():
            self._comm.Free()

    def _check_usable(self) -> None:
        super()._check_usable()
        if self._closed:
            raise ConfigError("MpiCommunicator: used after close()")
        self._check_thread()

    def _check_thread(self) -> None:
        mpi = self._mpi
        if mpi.Query_thread() < mpi.THREAD_MULTIPLE and not mpi.Is_thread_main():
            raise ConfigError(
                "MpiCommunicator: MPI was initialised without MPI_THREAD_MULTIPLE and this is not "
                "its main thread; import mpi4py.MPI before hvd.init(), and unset "
                "HOROVOD_MPI_THREADS_DISABLE"
            )

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        if not self._in_use.acquire(blocking=False):
            raise ConfigError(
                "MpiCommunicator: used by two threads at the same time; give each its own"
            )
        try:
            with super()._guarded():
                try:
                    yield
                except self._mpi.Exception as error:
                    raise self._in_own_words(error) from error
        except PeerError:
            end_in_time(self.deadline)
            raise
        finally:
            self._in_use.release()

    def _in_own_words(self, error: Exception) -> CommunicationError:
        """Return the error for what MPI itself has noticed, such as a rank that has died."""
        died = failed_ranks(self._comm)
        who = f"; ranks {died} have died" if died else ""
        return CommunicationError(f"MPI failed on rank {self.rank} of {self.size}: {error}{who}")

    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        own = messages[self.rank]
        others = [peer for peer in range(self.size) if peer != self.rank]
        outgoing = {peer: messages[peer] for peer in others}
        received = self._exchange_with(outgoing, others, limit, operation)
        return [own if peer == self.rank else received[peer] for peer in range(self.size)]

    def _exchange_with(
        self, messages: dict[int, Bytes], sources: Collection[int], limit: int, operation: str
    ) -> dict[int, Bytes]:
        tag = FIRST_DATA_TAG + self._exchanges % DATA_TAGS
        self._exchanges += 1
        transfer = MpiTransfer(
            self._comm, messages, sources, limit, operation, tag, self.piece_bytes, self.window,
            self.ranks,
        )  # fmt: skip
        # Where only some ranks send, who is awaited may be waiting for another one itself.
        all_send = len(sources) == self.size - 1
        try:
            self._poll(transfer.advance, transfer.missing_senders, operation, ask=not all_send)
        except BaseException:
            abandoned.extend(transfer.requests())
            raise
        return transfer.received()

    def _wait(self, request: MPI.Request, operation: str) -> None:
        try:
            self._poll(lambda _: request.Test(), lambda: "", operation)
        except BaseException:
            abandoned.append(request)
            raise

    def _poll(
        self,
        advance: Callable[[Patience], bool],
        waiting_for: Callable[[], str],
        operation: str,
        ask: bool = False,
    ) -> None:
        """Call `advance` until it says that all is done, a peer fails or the deadline passes.

        `waiting_for` says for whom, or nothing where MPI does not tell: then, or if `ask` is set,
        the ranks are called.
        """
        patience = Patience(self.deadline)
        polls = 0
        while not advance(patience):
            if polls % POLLS_PER_NOTICE == 0:
                self._notices.attend(operation)
                if self._is_whole:
                    self._notices.check_ended(self._exchanges, operation)
            polls += 1
            if patience.exhausted:
                missing = "" if ask else waiting_for()
                missing = missing or self._notices.call_roll(operation, self.ranks) or waiting_for()
                missing = missing or "MPI, though all ranks are there"
                raise DeadlineError(
                    f"{operation}: rank {self.ranks[self.rank]} of {self.of_size} made no "
                    f"progress for {self.deadline:g} s, waiting for {missing}; raise the deadline "
                    f"({DEADLINE_VARIABLE}) if they are only slow"
                )
            if not self._use_wait():
                patience.pause()

    def _tell_peers(self, text: str) -> None:
        if self._closed or self._mpi.Is_finalized():
            return
        self._check_thread()
        end_in_time(self.deadline)
        self._notices.give_up(text)


def _close_attribute(comm: MPI.Comm, keyval: int, communicator: MpiCommunicator) -> None:
    communicator.close()
