"""Checks that every communicator passes: functions that each rank of one calls.

`CHECKS` leave the communicator as usable as it was; each of `FAILURE_CHECKS` uses one up. They
raise AssertionError on some rank if something is wrong. All are collective.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.communicators.reduction import Array, ReduceOp
from gradwire.errors import (
    CommunicationError,
    ConfigError,
    GradwireError,
    PeerError,
    WireError,
)
from gradwire.testing.messages import Check, around_pieces, error_of, expect, message, uneven_size
from gradwire.testing.pairwise import PAIRWISE_CHECKS, PAIRWISE_FAILURE_CHECKS

DTYPES = ("float16", "float32", "float64", "int8", "uint16", "int32", "uint32", "int64", "uint64")


def exchange_sized(communicator: Communicator, size_of: Callable[[int, int], int]) -> None:
    """Exchange messages whose sizes depend on (source, destination) and check every byte."""
    rank, size = communicator.rank, communicator.size
    limit = max(size_of(a, b) for a in range(size) for b in range(size))
    received = communicator.exchange(
        [message(rank, peer, size_of(rank, peer)) for peer in range(size)], limit
    )
    assert len(received) == size
    for peer, got in enumerate(received):
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, message(peer, rank, size_of(peer, rank)))


def check_uneven_messages(communicator: Communicator) -> None:
    """Sizes from nothing to beyond the eager limit, mixed."""
    exchange_sized(communicator, uneven_size)


def check_empty_messages(communicator: Communicator) -> None:
    """Nobody has anything to say."""
    exchange_sized(communicator, lambda source, destination: 0)


def check_one_large_message(communicator: Communicator) -> None:
    """One pair exchanges much, in one direction, and nobody else anything."""
    last = communicator.size - 1
    exchange_sized(communicator, lambda a, b: 1_000_003 if (a, b) == (0, last) else 0)


def check_many_in_a_row(communicator: Communicator) -> None:
    """A fast rank's next message must not be taken for part of the current exchange."""
    for step in range(20):
        exchange_sized(communicator, partial(uneven_size, step=step))


def check_pieces(communicator: Communicator) -> None:
    """Messages cut into pieces: shorter than one, exact multiples, and one byte around them."""
    for attribute in ("piece_bytes", "chunk_bytes"):
        before = getattr(communicator, attribute, None)
        if before is not None:
            setattr(communicator, attribute, 8)
            for step in range(18):
                exchange_sized(communicator, partial(around_pieces, step=step))
            setattr(communicator, attribute, before)


def check_memory(communicator: Communicator) -> None:
    """Nothing is kept or shared: buffers can be reused at once, results belong to the receiver."""
    rank, size = communicator.rank, communicator.size
    sent = [message(rank, peer, 5000) for peer in range(size)]
    received = communicator.exchange(sent, 5000)
    assert np.shares_memory(received[rank], sent[rank]), "the own message is passed through"
    others = [peer for peer in range(size) if peer != rank]
    for peer in others:
        sent[peer][:] = 255
    communicator.barrier()
    for peer in others:
        np.testing.assert_array_equal(received[peer], message(peer, rank, 5000))
        received[peer][:] = 254  # raises if read-only
    for peer in others:
        assert sent[peer].min() == 255, "received memory is the sender's"


def check_buffer_types(communicator: Communicator) -> None:
    """Bytes, bytearray, memoryview and read-only arrays are all taken."""
    array = message(0, 0, 6)
    array.flags.writeable = False
    text = array.tobytes()
    for buffer in (text, bytearray(text), memoryview(text), array, array.reshape(2, 3)):
        for got in communicator.allgatherv(buffer, 6):
            np.testing.assert_array_equal(got, array)


def check_refusals(communicator: Communicator) -> None:
    """Bad arguments are refused before anything is sent: the communicator still works."""
    size = communicator.size
    strided = np.zeros(8, np.uint8)[::2]
    bad_calls: list[Callable[[], Any]] = [
        lambda: communicator.exchange([b""] * (size + 1), 4),
        lambda: communicator.exchange([b"12345"] * size, 4),
        lambda: communicator.exchange([strided] * size, 4),
        lambda: communicator.exchange([np.zeros(1, np.float32)] * size, 4),
        lambda: communicator.exchange(["text"] * size, 4),  # type: ignore[list-item]
        lambda: communicator.allgatherv(b"12345", 4),
        lambda: communicator.allreduce(np.zeros((2, 2), np.float32)),
        lambda: communicator.allreduce(np.zeros(2, np.complex64)),
        lambda: communicator.allreduce(np.zeros(2, ">f8" if np.little_endian else "<f8")),
        lambda: communicator.allreduce(np.zeros(2, np.float32), "min"),  # type: ignore[arg-type]
    ]
    for call in bad_calls:
        expect(ConfigError, call)
    exchange_sized(communicator, lambda a, b: 4)


def check_allgatherv(communicator: Communicator) -> None:
    """Everybody gets everybody's message, whatever its size."""
    rank, size = communicator.rank, communicator.size
    longest = max(uneven_size(peer, peer) for peer in range(size))
    gathered = communicator.allgatherv(message(rank, rank, uneven_size(rank, rank)), longest)
    for peer, got in enumerate(gathered):
        np.testing.assert_array_equal(got, message(peer, peer, uneven_size(peer, peer)))


def operand(rank: int, length: int, dtype: str) -> Array:
    """Return a rank's (length,) array for an allreduce; float sums of them depend on the order."""
    generator = np.random.default_rng([rank, length])
    if dtype.startswith("float"):
        scale = 10.0 ** generator.integers(-3, 4, length)
        return (generator.standard_normal(length) * scale).astype(dtype)
    limits = np.iinfo(dtype)
    return generator.integers(limits.min, limits.max, length, dtype=np.dtype(dtype), endpoint=True)


def expected_reduction(size: int, length: int, dtype: str, op: ReduceOp) -> Array:
    """Return the operands' sum or maximum in rank order, as NumPy has it."""
    result = operand(0, length, dtype)
    with np.errstate(all="ignore"):
        for rank in range(1, size):
            array = operand(rank, length, dtype)
            result = result + array if op == "sum" else np.maximum(result, array)
    return result


def check_allreduce(communicator: Communicator) -> None:
    """Bit for bit the sum or maximum in rank order, of every dtype, around the rank count."""
    rank, size = communicator.rank, communicator.size
    operations: tuple[ReduceOp, ...] = ("sum", "max")
    for dtype in DTYPES:
        for length in sorted({0, 1, size - 1, size, size + 1, 37}):
            for op in operations:
                array = operand(rank, length, dtype)
                result = communicator.allreduce(array, op)
                expected = expected_reduction(size, length, dtype, op)
                assert result.dtype == expected.dtype
                assert result.shape == (length,)
                assert result.tobytes() == expected.tobytes(), (dtype, length, op)
                assert not np.shares_memory(result, array)
                assert array.tobytes() == operand(rank, length, dtype).tobytes()


def check_allreduce_nan(communicator: Communicator) -> None:
    """One NaN is seen by all, in a sum and in a maximum."""
    operations: tuple[ReduceOp, ...] = ("sum", "max")
    for op in operations:
        for culprit in range(communicator.size):
            array = np.array([1.0, 2.0, 3.0], np.float32)
            if communicator.rank == culprit:
                array[1] = np.nan
            result = communicator.allreduce(array, op)
            np.testing.assert_array_equal(np.isnan(result), [False, True, False])


def check_counters(communicator: Communicator) -> None:
    """Bytes and messages to and from others, exactly."""
    rank, size = communicator.rank, communicator.size
    others = [peer for peer in range(size) if peer != rank]
    counters = communicator.counters
    counters.reset()
    exchange_sized(communicator, uneven_size)
    assert counters.bytes_sent == sum(uneven_size(rank, peer) for peer in others)
    assert counters.bytes_received == sum(uneven_size(peer, rank) for peer in others)
    assert counters.messages_sent == size - 1
    counters.reset()
    communicator.barrier()
    assert (counters.bytes_sent, counters.bytes_received, counters.messages_sent) == (0, 0, 0)
    for dtype in ("int64", "float64"):
        counters.reset()
        communicator.allreduce(np.zeros(3 * size, dtype))
        per_step = 8 * 3 * (size - 1)  # B: three elements to each other rank
        assert counters.bytes_sent == counters.bytes_received == 2 * per_step
        assert counters.messages_sent == 2 * (size - 1)


def check_failure_reaches_exchange(communicator: Communicator) -> None:
    """Peers of a failed rank raise with its words, then and later."""
    if communicator.rank == 0:
        communicator.fail(ValueError("the disk is full"))
        expect(CommunicationError, communicator.barrier, "the disk is full")
        return
    for _ in range(2):
        error = expect(PeerError, lambda: communicator.allgatherv(b"hello", 5), "the disk is full")
        assert "rank 0 gave up" in str(error)
        assert "ValueError" in str(error)


def check_failure_reaches_allreduce(communicator: Communicator) -> None:
    """As for an exchange, where the transport reduces by itself."""
    _fail_on_last_rank(communicator, lambda: communicator.allreduce(np.ones(3, np.int64)))


def check_failure_reaches_barrier(communicator: Communicator) -> None:
    """As for an exchange, in a barrier."""
    _fail_on_last_rank(communicator, communicator.barrier)


def check_too_long_received(communicator: Communicator) -> None:
    """A peer with a larger limit: WireError where it is seen, and nobody is left waiting."""
    if communicator.size == 1:
        return
    limit = 100 if communicator.rank == 0 else 10
    text = b"x" * (50 if communicator.rank == 0 else 5)
    seen = error_of(lambda: communicator.allgatherv(text, limit), communicator.barrier)
    if communicator.rank == 0:
        assert isinstance(seen, PeerError), seen
    else:
        assert isinstance(seen, (WireError, PeerError)), seen
        assert "rank 0 sent" in str(seen)
        assert "limit is 10 B" in str(seen)


def check_unequal_allreduce(communicator: Communicator) -> None:
    """Arrays of different lengths end in an error on every rank, not in a wrong sum."""
    if communicator.size == 1:
        return
    length = 1000 if communicator.rank == 0 else 10
    array = np.ones(length, np.float32)
    seen = error_of(lambda: communicator.allreduce(array), communicator.barrier)
    assert isinstance(seen, GradwireError), seen


def _fail_on_last_rank(communicator: Communicator, operation: Callable[[], Any]) -> None:
    if communicator.rank == communicator.size - 1:
        communicator.fail(RuntimeError("out of memory"))
    else:
        expect(PeerError, operation, "RuntimeError: out of memory")


CHECKS: dict[str, Check] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_uneven_messages,
        check_empty_messages,
        check_one_large_message,
        check_many_in_a_row,
        check_pieces,
        check_memory,
        check_buffer_types,
        check_refusals,
        check_allgatherv,
        check_allreduce,
        check_allreduce_nan,
        check_counters,
        *PAIRWISE_CHECKS,
    )
}
FAILURE_CHECKS: dict[str, Check] = {
    check.__name__.removeprefix("check_"): check
    for check in (
        check_failure_reaches_exchange,
        check_failure_reaches_allreduce,
        check_failure_reaches_barrier,
        check_too_long_received,
        check_unequal_allreduce,
        *PAIRWISE_FAILURE_CHECKS,
    )
}
