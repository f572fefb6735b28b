"""gTop-k: who keeps what is pruned, what goes over the wire, and bad messages."""

import numpy as np
import pytest
from exchange_model import Step, run
from kernel_inputs import assert_same_bits
from schedule_cases import drawn
from tampered import Tampered, damaged, endings

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import BF16, Chain, TopK
from gradwire.errors import PeerError, WireError
from gradwire.exchange import Bucket, Exchange
from gradwire.payload import Payload
from gradwire.residual import OwnedResidual
from gradwire.schedules import Agreement, GTopk
from gradwire.testing import SHAPES, exact_values
from gradwire.wire import HEADER_BYTES

SIZES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 33)


def exchanged(rows: list[list[float]], density: float, steps: int = 1) -> list[Step]:
    """Return every rank's last step; each step brings the same gradients."""
    gradients = [[np.array(row, np.float32)] * steps for row in rows]
    return [own[-1] for own in run(gradients, TopK(density), GTopk, scale=1.0)]


def rounds(size: int) -> int:
    return (size - 1).bit_length()


def test_pruned_sums_stay_with_those_who_prune() -> None:
    rows = [[1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 4]]
    ends = exchanged(rows, 0.25)
    for end in ends:
        assert end.out is not None and end.out.tolist() == [0, 0, 0, 4]
    assert [end.residual.tolist() for end in ends] == [
        [1, 2, 0, 0],  # pruned its own entry in the first round, that of rank 1 in the second
        [0, 0, 0, 0],
        [0, 0, 3, 0],
        [0, 0, 0, 0],
    ]


def test_pruned_sums_join_what_was_not_selected() -> None:
    """Rank 0 did not select element 1, and prunes a sum of others there."""
    ends = exchanged([[5, 1, 0, 0], [0, 2, 0, 0]], 0.25)
    assert ends[0].out is not None and ends[0].out.tolist() == [5, 0, 0, 0]
    assert [end.residual.tolist() for end in ends] == [[0, 3, 0, 0], [0, 0, 0, 0]]


def test_what_was_pruned_comes_back() -> None:
    """Rank 0 keeps 1.5, then has 3 and wins."""
    rows = [[1.5, 0, 0, 0], [0, 2, 0, 0]]
    first, second = exchanged(rows, 0.25), exchanged(rows, 0.25, steps=2)
    assert first[0].out is not None and first[0].out.tolist() == [0, 2, 0, 0]
    assert second[0].out is not None and second[0].out.tolist() == [3, 0, 0, 0]
    assert [end.residual.tolist() for end in second] == [[0, 2, 0, 0], [0, 0, 0, 0]]


def test_ties_go_to_the_lowest_index_and_zeros_nowhere() -> None:
    ends = exchanged([[0, 0, 2, 0], [0, -2, 0, 0], [2, 0, 0, 0]], 0.25)
    assert ends[1].out is not None and ends[1].out.tolist() == [2, 0, 0, 0]
    ends = exchanged([[2, 0, 0, 0], [-2, 0, 0, 0], [0, 0, 0, 1]], 0.5)
    assert ends[1].out is not None and ends[1].out.tolist() == [0, 0, 0, 1]
    assert ends[1].report.winners == 1
    assert all(not end.residual.any() for end in ends)


@pytest.mark.parametrize("size", SIZES)
def test_all_ranks_are_added_once(size: int) -> None:
    """Also where they are no power of two."""
    rows = [[0.0, (rank + 1.0) ** 3, 0, 0, 0, 0] for rank in range(size)]
    total = (size * (size + 1) / 2) ** 2
    for end in exchanged(rows, 0.2):
        assert end.out is not None and end.out.tolist() == [0, total, 0, 0, 0, 0]


@pytest.mark.parametrize("compressor", [TopK(0.02), Chain(TopK(0.02), BF16())], ids=repr)
@pytest.mark.parametrize("size", SIZES)
def test_bytes_and_messages(size: int, compressor: TopK | Chain) -> None:
    """Float32 or less, 32-bit indices or less: 4 k words in and out per round and rank."""
    numel, k = 20_000, 400
    gradients = drawn(SHAPES["layered_laplace"], size, numel, steps=2)
    entry_bytes = 8 if isinstance(compressor, TopK) else 6
    message_bytes = HEADER_BYTES + entry_bytes * k
    ends = [own[-1].report.phases for own in run(gradients, compressor, GTopk)]
    sent = received = messages = 0
    for rank, phases in enumerate(ends):
        assert set(phases) == {"agree", "merge", "broadcast"}
        up, down = phases["merge"], phases["broadcast"]
        assert up.messages_sent == (rank > 0)
        assert down.messages_sent <= rounds(size)
        assert up.bytes_sent <= message_bytes * up.messages_sent
        assert down.bytes_sent <= message_bytes * down.messages_sent
        through = sum(each.bytes_sent + each.bytes_received for each in (up, down))
        assert through <= 2 * message_bytes * rounds(size)
        sent += up.bytes_sent + down.bytes_sent
        received += up.bytes_received + down.bytes_received
        messages += up.messages_sent + down.messages_sent
    assert messages == 2 * (size - 1)
    assert sent == received
    assert sent >= messages * (entry_bytes - 4) * k
    assert ends[0]["broadcast"].messages_sent == rounds(size)


def test_tails_take_the_same_way() -> None:
    """No more messages than without, and the exact sums."""
    gradients = drawn(lambda g, n: exact_values(g, n, bits=10), 5, 300)
    plain, tailed = (run(gradients, TopK(0.05), GTopk, tail=tail, scale=1.0) for tail in (0, 50))
    for step in range(4):
        expected = sum(own[step][250:].astype(np.float64) for own in gradients)
        for a, b in zip(plain, tailed, strict=True):
            assert b[step].out is not None
            assert np.array_equal(b[step].out[250:], expected)
            assert not b[step].residual[250:].any()
            assert a[step].report.messages_sent == b[step].report.messages_sent


@pytest.mark.parametrize("size", [1, 3, 8])
def test_entries_and_dense_values_in_one_payload(size: int) -> None:
    numel = 2**32 - 1  # beyond what float32 and int32 count; nothing of n is materialised
    generator = np.random.default_rng(size)
    shared = np.array([0, 2**24 + 1, 2**31 - 1, 2**31, numel - 2, numel - 1])
    payloads = []
    for _ in range(size):
        own = np.unique(np.concatenate([shared, generator.integers(0, numel, 94)]))
        values = exact_values(generator, len(own), bits=12)
        dense = BF16().value_format.encode(exact_values(generator, 77, bits=4))
        payloads.append(Payload(numel, own.astype(np.uint32), values, dense, 100))

    def rank(communicator: Communicator) -> tuple[Payload, dict[int, float]]:
        own = payloads[communicator.rank]
        outcome = GTopk().exchange(own, Agreement.of({"test": 1}, 0), communicator)
        assert_same_bits(outcome.delivered, own.indices)
        left: dict[int, float] = {}
        for indices, values in outcome.correction.entries:
            for index, value in zip(indices.tolist(), values.tolist(), strict=True):
                left[index] = left.get(index, 0) + value
        return outcome.reduced, left

    sums: dict[int, float] = {}
    for payload in payloads:
        for index, value in zip(payload.indices.tolist(), payload.values.tolist(), strict=True):
            sums[index] = sums.get(index, 0) + value
    results = Simulation(size).run(rank)
    reduced = results[0][0]
    assert len(reduced.indices) <= 100
    for index, value in zip(reduced.indices.tolist(), reduced.values.tolist(), strict=True):
        sums[index] -= value
    for other, left in results:
        assert_same_bits(other.indices, reduced.indices)
        assert_same_bits(other.values, reduced.values)
        for index, value in left.items():
            sums[index] -= value
        expected = np.sum([payload.dense.decode() for payload in payloads], axis=0)
        assert_same_bits(other.dense.decode(), expected.astype(np.float32))
    assert not any(sums.values())


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_bad_messages_are_refused(call: int) -> None:
    """In both rounds up and down, whatever is wrong with the header or the length."""

    def exchange_once(communicator: Communicator) -> None:
        gradient = exact_values(np.random.default_rng(communicator.rank), 60)
        exchange, residual = Exchange(TopK(0.1), GTopk(), communicator), OwnedResidual(60)
        exchange.reduce(Bucket("b", "", 60, tail=3), gradient, 0, residual)
        assert not residual.values.any()

    for damage in damaged(gather=call > 2):
        assert endings(4, exchange_once, call, damage) == {"WireError", "PeerError"}


def test_message_for_another_rank_is_refused() -> None:
    """What goes up says whose and for whom it is."""
    agreement = Agreement.of({"test": 1}, 0)

    def misdirect(data: np.ndarray) -> np.ndarray:
        data = data.copy()
        data[8:12].view("<u4")[:] = agreement.tag_between(3, 2)  # right for rank 2 only
        return data

    def rank(communicator: Communicator) -> str:
        payload = Payload(10, np.array([3], np.uint32), np.ones(1, np.float32), budget=2)
        tampered = Tampered(communicator, 1, misdirect)
        with pytest.raises((WireError, PeerError)) as caught:
            try:
                GTopk().exchange(payload, agreement, tampered)
            except WireError as error:
                communicator.fail(error)
                raise
            communicator.barrier()
        return str(caught.value)

    for seed in range(5):
        texts = Simulation(4, seed).run(rank)
        assert all("message from rank 1: agreement should be" in text for text in texts)
