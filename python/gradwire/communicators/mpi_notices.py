"""What MPI ranks tell each other beside their operations: that one gives up, and who is there."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from gradwire.communicators.mpi_end import abandoned
from gradwire.communicators.polling import Patience
from gradwire.errors import PeerError

if TYPE_CHECKING:
    from mpi4py import MPI

NOTICE_TAG = 1
# The first byte of a notice; a text follows.
GIVES_UP = b"F"  # the reason
ASKS = b"?"  # nothing: who is there?
ANSWERS = b"!"  # the operation that the answering rank is in
ENDS = b"."  # the number of exchanges that the rank took part in before it came to its end
NOTICE_BYTES = 2000  # small enough to be sent eagerly by every MPI
TELL_SECONDS = 1.0  # how long a failing rank tries to tell its peers
LEAVING_SECONDS = 10.0  # how long a rank waits for others to come to their end, too
# How long a rank waits for answers: those who wait, too, look for notices every few milliseconds.
ROLL_CALL_SECONDS = 1.0


class Notices:
    """Short messages on the communicator of an owner, apart from its data.

    Args:
        comm: the owner's communicator.
    """

    def __init__(self, comm: MPI.Intracomm) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm
        self._status = MPI.Status()
        self._peers = [peer for peer in range(comm.Get_size()) if peer != comm.Get_rank()]
        self._answers: dict[int, str] = {}
        self._ended: dict[int, int] = {}

    def give_up(self, reason: str) -> None:
        """Tell all peers; return when they know or a second has passed."""
        requests = self._send(self._peers, GIVES_UP, reason)
        patience = Patience(TELL_SECONDS)
        while not self._mpi.Request.Testall(requests) and not patience.exhausted:
            patience.pause()
        abandoned.extend(requests)

    def attend(self, operation: str) -> None:
        """Take a notice that has come, if any.

        Raises:
            PeerError: a peer gave up.
        """
        message = self._comm.Improbe(self._mpi.ANY_SOURCE, NOTICE_TAG, self._status)
        if message is None:
            return
        data = bytearray(self._status.Get_count(self._mpi.BYTE))
        peer = self._status.Get_source()
        message.Recv([data, self._mpi.BYTE])
        kind, text = bytes(data[:1]), data[1:].decode(errors="replace")
        if kind == GIVES_UP:
            raise PeerError(f"{operation}: rank {peer} gave up: {text}")
        if kind == ASKS:
            abandoned.extend(self._send([peer], ANSWERS, operation))
        elif kind == ENDS:
            self._ended[peer] = int(text)
        else:
            self._answers[peer] = text

    def check_ended(self, exchanges: int, operation: str) -> None:
        """Raise PeerError if a rank came to its end before this exchange, counted from 1."""
        for peer, last in self._ended.items():
            if last < exchanges:
                raise PeerError(f"{operation}: rank {peer} has come to its end")

    def end_together(self, exchanges: int) -> None:
        """Tell all peers that this rank comes to its end; return when all do, or after 10 seconds.

        Raises:
            PeerError: a peer gave up.
        """
        abandoned.extend(self._send(self._peers, ENDS, str(exchanges)))
        patience = Patience(LEAVING_SECONDS)
        while not self._ended.keys() >= set(self._peers) and not patience.exhausted:
            self.attend("end")
            patience.pause()

    def call_roll(self, operation: str, ranks: Collection[int]) -> str:
        """Ask who of ``ranks`` is in ``operation``; return who is not, in words, or nothing.

        Raises:
            PeerError: a peer gave up meanwhile; it may know more.
        """
        peers = [rank for rank in ranks if rank in self._peers]
        abandoned.extend(self._send(peers, ASKS, ""))
        patience = Patience(ROLL_CALL_SECONDS)
        while not self._answers.keys() >= set(peers) and not patience.exhausted:
            self.attend(operation)
            patience.pause()
        silent = [peer for peer in peers if peer not in self._answers]
        elsewhere = [
            f"rank {peer}, which is in {answer}"
            for peer, answer in sorted(self._answers.items())
            if peer in peers and answer != operation
        ]
        named = [f"ranks {silent}, which do not answer"] if silent else []
        return " and ".join(named + elsewhere)

    def _send(self, peers: list[int], kind: bytes, text: str) -> list[MPI.Request]:
        requests = []
        data = kind + text.encode()[:NOTICE_BYTES]
        for peer in peers:
            # To a process that has died it may fail, which must not keep it from the others.
            with contextlib.suppress(self._mpi.Exception):
                requests.append(self._comm.Isend([data, self._mpi.BYTE], peer, NOTICE_TAG))
        return requests


def failed_ranks(comm: Any) -> list[int]:
    """Return the ranks that MPI knows to have died; none where MPI does not keep count."""
    try:
        failed, everybody = comm.Get_failed(), comm.Get_group()
        ranks = failed.Translate_ranks(None, everybody)
    except Exception:  # most MPIs: not implemented, in one way or another
        return []
    return sorted(int(rank) for rank in ranks)
