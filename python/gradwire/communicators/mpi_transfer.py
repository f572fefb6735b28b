"""One exchange over MPI in progress: non-blocking sends in rotation, matched probes, receives."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradwire.communicators.messages import Bytes, check_received
from gradwire.communicators.polling import Patience
from gradwire.errors import WireError

if TYPE_CHECKING:
    from mpi4py import MPI


class MpiTransfer:
    """Sends a message to some other ranks and receives one from some.

    Rank r sends to r+1, r+2, ... in turn, so that no rank is everybody's first target, with at
    most `window` pieces under way. Receives take what comes first, from whomever.
    """

    def __init__(
        self,
        comm: MPI.Intracomm,
        messages: Mapping[int, Bytes],
        sources: Collection[int],
        limit: int,
        operation: str,
        tag: int,
        piece_bytes: int,
        window: int,
        ranks: Sequence[int],
    ) -> None:
        from mpi4py import MPI

        self._mpi = MPI
        self._comm = comm
        self._limit = limit
        self._operation = operation
        self._tag = tag
        self._piece_bytes = piece_bytes
        self._window = window
        self._rank = comm.Get_rank()
        self._ranks = ranks  # for people
        self._status = MPI.Status()
        size = comm.Get_size()
        self._unsent = deque(
            (peer, piece)
            for peer in ((self._rank + step) % size for step in range(1, size))
            if peer in messages
            for piece in _pieces(messages[peer], piece_bytes)
        )
        self._sends: list[MPI.Request] = []
        self._receives: list[MPI.Request] = []
        self._open = set(sources)  # whose last piece has not come
        self._arrived: dict[int, Bytes] = {}
        self._filled = dict.fromkeys(sources, 0)  # bytes that are here or on their way

    def advance(self, patience: Patience) -> bool:
        """Do what can be done without waiting; return whether everything is done."""
        progress = self._start_sends()
        progress |= self._accept_arrivals()
        for requests in (self._sends, self._receives):
            progress |= self._drop_completed(requests)
        if progress:
            patience.progress()
        return not (self._open or self._unsent or self._sends or self._receives)

    def received(self) -> dict[int, Bytes]:
        """Return the messages of the sources, in their order."""
        return {peer: self._arrived[peer][:size] for peer, size in self._filled.items()}

    def requests(self) -> list[MPI.Request]:
        """Return what is still under way."""
        return self._sends + self._receives

    def missing_senders(self) -> str:
        """Say which ranks have not sent; nothing if all have and one does not receive."""
        return f"ranks {self._named(self._open)} to send" if self._open else ""

    def _named(self, peers: Collection[int]) -> list[int]:
        return [self._ranks[peer] for peer in sorted(peers)]

    def _start_sends(self) -> bool:
        started = False
        while self._unsent and len(self._sends) < self._window:
            peer, piece = self._unsent.popleft()
            self._sends.append(self._comm.Isend([piece, self._mpi.BYTE], peer, self._tag))
            started = True
        return started

    def _accept_arrivals(self) -> bool:
        accepted = False
        while self._open:
            message = self._comm.Improbe(self._mpi.ANY_SOURCE, self._tag, self._status)
            if message is None:
                break
            peer, size = self._status.Get_source(), self._status.Get_count(self._mpi.BYTE)
            self._check(peer, size)
            piece = self._room(peer, size)
            self._receives.append(message.Irecv([piece, self._mpi.BYTE]))
            if size < self._piece_bytes:
                self._open.remove(peer)
            accepted = True
        return accepted

    def _room(self, peer: int, size: int) -> Bytes:
        """Return where a piece goes: behind those before it, in memory for the largest message.

        What the message does not reach of it is never touched, so no page of it is ever taken.
        """
        begin = self._filled[peer]
        if begin == 0:
            whole = size if size < self._piece_bytes else self._limit
            self._arrived[peer] = np.empty(whole, np.uint8)
        self._filled[peer] = begin + size
        return self._arrived[peer][begin : begin + size]

    def _check(self, peer: int, size: int) -> None:
        """Refuse a piece that is too much, before any memory is allocated for it."""
        if peer not in self._open:
            raise WireError(
                f"{self._operation}: rank {self._ranks[peer]} sent {size} B to rank "
                f"{self._ranks[self._rank]}, which expects messages from ranks "
                f"{self._named(self._open)} only"
            )
        if size > self._piece_bytes:
            raise WireError(
                f"{self._operation}: rank {self._ranks[peer]} sent a piece of {size} B, expected "
                f"at most {self._piece_bytes} B; piece_bytes must be the same on all ranks"
            )
        check_received(self._filled[peer] + size, self._limit, self._ranks[peer], self._operation)

    def _drop_completed(self, requests: list[MPI.Request]) -> bool:
        if not requests:
            return False
        completed = self._mpi.Request.Testsome(requests)
        for index in sorted(completed or (), reverse=True):
            del requests[index]
        return bool(completed)


def _pieces(message: Bytes, piece_bytes: int) -> list[Bytes]:
    """Cut a message into full pieces and a last, shorter (perhaps empty) one."""
    return [
        message[begin : begin + piece_bytes] for begin in range(0, message.size + 1, piece_bytes)
    ]
