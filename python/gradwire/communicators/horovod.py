"""The communicator over Horovod's alltoall, for launches without MPI (`horovodrun --gloo`).

Every operation is one or more rounds of a named `hvd.alltoall` of CPU bytes. One name serves all
of them, so that Horovod's response cache knows it and a failing rank can join whatever round its
peers are in. Each message of a round ends with one byte that tells data from a failure.
"""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.communicators.messages import Bytes, check_received
from gradwire.communicators.polling import DEADLINE_VARIABLE, Patience, resolve_deadline
from gradwire.errors import ConfigError, DeadlineError, PeerError, WireError, missing

DATA, FAILURE = 0, 1  # the last byte of each message of a round
ROUND_BYTES = 2**31 - 1  # Horovod counts and displaces with signed 32-bit integers
FAIL_TEXT_BYTES = 2000
TELL_SECONDS = 5.0  # how long a failing rank waits for its peers' next round
LENGTH_BYTES = 8

_instances: defaultdict[int, Iterator[int]] = defaultdict(itertools.count)


class HorovodCommunicator(Communicator):
    """Ranks of a Horovod process set.

    Operations block, and all ranks must call them in the same order. They may run at the same
    time as Horovod's own operations, which have other names.

    Args:
        process_set: an initialised hvd.ProcessSet that this rank is in; None: all ranks.
        instance: the same text on all ranks, of no other communicator; None: a number, for
            communicators that all ranks of the process set make in the same order.
        deadline: seconds that one round may take before DeadlineError; None: GRADWIRE_DEADLINE
            or 300.
    """

    name = "horovod"

    def __init__(
        self,
        process_set: Any = None,
        instance: str | None = None,
        deadline: float | None = None,
    ) -> None:
        self._hvd, self._torch = _import_horovod()
        self.deadline = resolve_deadline(deadline)
        if not self._hvd.is_initialized():
            raise ConfigError("HorovodCommunicator: call hvd.init() first")
        self._process_set = process_set or self._hvd.global_process_set
        set_id = self._process_set.process_set_id
        if set_id is None or not self._process_set.included():
            raise ConfigError(
                f"HorovodCommunicator: {self._process_set} must be initialised by hvd.init("
                f"process_sets=...) or hvd.add_process_set, and include rank {self._hvd.rank()}"
            )
        super().__init__(self._process_set.rank(), self._process_set.size())
        if instance is None:
            instance = str(next(_instances[set_id]))
        self._operation_name = f"gradwire.{instance}.exchange"
        self.chunk_bytes = ROUND_BYTES // self.size - 1
        self._outbox = np.empty(0, np.uint8)
        self._in_flight = False

    def close(self) -> None:
        """Release the send buffer; Horovod itself keeps nothing."""
        self._outbox = np.empty(0, np.uint8)

    def _exchange(self, messages: list[Bytes], limit: int, operation: str) -> list[Bytes]:
        if self.size == 1:
            return [messages[0]]
        longest = limit
        if limit > self.chunk_bytes:
            longest = self._longest(messages, operation)
        pieces: list[list[Bytes]] = [[] for _ in range(self.size)]
        # At least one round, so that empty exchanges keep the ranks together as well.
        for begin in range(0, max(longest, 1), self.chunk_bytes):
            round_messages = [m[begin : begin + self.chunk_bytes] for m in messages]
            for peer, piece in enumerate(self._round(round_messages, operation)):
                pieces[peer].append(piece)
                check_received(sum(p.size for p in pieces[peer]), limit, peer, operation)
        pieces[self.rank] = [messages[self.rank]]
        return [p[0] if len(p) == 1 else np.concatenate(p) for p in pieces]

    def _longest(self, messages: list[Bytes], operation: str) -> int:
        """Agree on the length of the longest message: limits are often generous."""
        own = max(message.size for message in messages)
        length = np.array([own], "<u8").view(np.uint8)
        longest = own
        for peer, answer in enumerate(self._round([length] * self.size, operation)):
            if peer != self.rank:
                if answer.size != LENGTH_BYTES:
                    raise WireError(f"{operation}: rank {peer} is in another operation or limit")
                longest = max(longest, int(answer.view("<u8")[0]))
        return longest

    def _round(self, messages: list[Bytes], operation: str) -> list[Bytes]:
        """Exchange messages of at most chunk_bytes each; the own one comes back empty."""
        received = self._alltoall(self._start(messages, DATA, operation), operation, self.deadline)
        pieces: list[Bytes] = []
        for peer, framed in enumerate(received):
            if peer == self.rank:
                pieces.append(framed)
                continue
            if framed.size == 0:
                raise WireError(f"{operation}: rank {peer} sent a message without its last byte")
            if framed[-1] != DATA:
                text = framed[:-1].tobytes().decode(errors="replace")
                raise PeerError(f"{operation}: rank {peer} gave up: {text}")
            pieces.append(framed[:-1].copy())  # of its own, aligned, and the rest can be freed
        return pieces

    def _start(self, messages: list[Bytes], status: int, operation: str) -> int:
        """Enqueue one round; return Horovod's handle."""
        splits = [m.size + 1 for m in messages]
        splits[self.rank] = 0
        needed = sum(splits)
        if self._outbox.size < needed:
            # Splits may cover less than the tensor. A tensor whose size rarely changes keeps its
            # place in the response cache; with a new size it would be negotiated again.
            self._outbox = np.empty(min(_power_of_two(needed), ROUND_BYTES), np.uint8)
        end = 0
        for peer, message in enumerate(messages):
            if peer != self.rank:
                self._outbox[end : end + message.size] = message
                end += message.size + 1
                self._outbox[end - 1] = status
        with self._horovod_errors(operation):
            handle: int = self._hvd.alltoall_async(
                self._torch.from_numpy(self._outbox),
                splits=self._torch.tensor(splits, dtype=self._torch.int32),
                name=self._operation_name,
                process_set=self._process_set,
            )
        self._in_flight = True
        return handle

    def _alltoall(self, handle: int, operation: str, deadline: float) -> list[Bytes]:
        """Wait for a round; return one view of its output for every rank."""
        patience = Patience(deadline, spin=0.0)  # its thread needs the core to work
        while not self._hvd.poll(handle):
            if patience.exhausted:
                raise DeadlineError(
                    f"{operation}: rank {self.rank} of {self.size} waited {deadline:g} s for peers "
                    f"that Horovod's stall inspector names in its log; raise the deadline "
                    f"({DEADLINE_VARIABLE}) if they are only slow"
                )
            patience.pause()
        self._in_flight = False
        with self._horovod_errors(operation):
            output, splits = self._hvd.synchronize(handle)
        ends = np.cumsum(splits.numpy(), dtype=np.int64)
        return np.split(output.numpy(), ends[:-1])

    @contextlib.contextmanager
    def _horovod_errors(self, operation: str) -> Iterator[None]:
        """Around Horovod's calls, whose errors have types that moved between versions."""
        try:
            yield
        except Exception as error:
            raise PeerError(
                f"{operation}: Horovod stopped on rank {self.rank}, most likely because another "
                f"rank ended: {error}"
            ) from error

    def _tell_peers(self, text: str) -> None:
        """Join the peers' next round with the text instead of data.

        If this rank's own round is still under way nothing can be joined to it: then the peers
        learn of the failure from Horovod, when this process ends.
        """
        if self._in_flight or self.size == 1:
            return
        data = np.frombuffer(text.encode()[:FAIL_TEXT_BYTES], np.uint8)
        self._alltoall(self._start([data] * self.size, FAILURE, "fail"), "fail", TELL_SECONDS)


def _power_of_two(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()


def _import_horovod() -> tuple[Any, Any]:
    try:
        import horovod.torch as hvd
        import torch
    except ImportError as error:
        raise missing(
            "Horovod with PyTorch",
            "HorovodCommunicator",
            f"HOROVOD_WITH_PYTORCH=1 pip install --no-build-isolation horovod ({error})",
        ) from error
    return hvd, torch
