"""gradwire.kernels.queued: unions, intersections, messages that are read, and packing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from emulated_cuda import EMULATED
from kernel_inputs import assert_same_bits, long_workspace, subset, vector
from quantizer_inputs import guarded

from gradwire import kernels
from gradwire.errors import ConfigError, WireError
from gradwire.kernels import native, queued

pytestmark = pytest.mark.usefixtures("each_queue")

UNTOUCHED = 77
CODECS = ("u32", "tile16", "bitmap", "rice", "elias_gamma", "elias_delta")
Chunks = tuple[list[np.ndarray], list[np.ndarray]]


def chunks_of(count: int, numel: int, share: float) -> Chunks:
    """Return chunks of about that share of the indices, some of them empty."""
    sizes = [0 if p % 5 == 3 else int(numel * share) for p in range(count)]
    indices = [subset(numel, size, p) for p, size in enumerate(sizes)]
    return indices, [vector(each.size, "gaussian", p) for p, each in enumerate(indices)]


def merged(chunks: Chunks, capacity: int) -> tuple[np.ndarray, np.ndarray, list[int]]:
    out, untouched = guarded(capacity, "uint32")
    values, values_untouched = guarded(capacity, "float32", 1)
    size = queued.merge_workspace(len(chunks[0]), sum(each.size for each in chunks[0]))
    work, work_untouched = guarded(size, "uint8", 1)
    found = np.full(2, UNTOUCHED, np.uint64)
    queued.merge(*chunks, out, values, found, work)
    result = out.copy(), values.copy(), found.tolist()
    assert untouched()
    assert values_untouched()
    assert work_untouched()
    return result


@pytest.mark.parametrize(("numel", "share"), [(9, 0.3), (5000, 0.01), (20_000, 0.3)])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 16, 17, 40])
def test_unions_are_those_of_the_kernels(count: int, numel: int, share: float) -> None:
    chunks = chunks_of(count, numel, share)
    expected = kernels.merge(*chunks)
    out, values, found = merged(chunks, numel)
    assert found == [expected[0].size, 0]
    assert_same_bits(out[: found[0]], expected[0])
    assert_same_bits(values[: found[0]], expected[1])


def test_entries_without_room_are_counted() -> None:
    chunks = chunks_of(3, 5000, 0.3)
    expected = kernels.merge(*chunks)
    out, values, found = merged(chunks, 1000)
    assert found == [expected[0].size, 0]
    assert_same_bits(out, expected[0][:1000])
    assert_same_bits(values, expected[1][:1000])


@pytest.mark.parametrize("count", [1, 3, 20])
def test_chunks_out_of_order_show_in_what_was_found(count: int) -> None:
    indices, values = chunks_of(count, 5000, 0.3)
    indices[-1][[7, 8]] = indices[-1][[8, 7]]
    assert merged((indices, values), 5000)[2][1] != 0


@pytest.mark.parametrize(
    ("numel", "first", "second"),
    [(1, 1, 1), (9, 0, 5), (9, 5, 0), (5000, 50, 2000), (5000, 4999, 30), (20_000, 9001, 9001)],
)
def test_intersections_are_those_of_the_kernels(numel: int, first: int, second: int) -> None:
    a, b = subset(numel, first, 1), subset(numel, second, 2)
    common, untouched = guarded(min(first, second), "uint32")
    places, places_untouched = guarded(min(first, second), "uint32", 1)
    work, work_untouched = guarded(queued.intersect_workspace(first), "uint8", 1)
    found = np.full(2, UNTOUCHED, np.uint64)
    queued.intersect(a, b, common, places, found, work)
    expected = kernels.intersect(a, b)
    assert found.tolist() == [expected[0].size, 0]
    assert_same_bits(common[: int(found[0])], expected[0])
    assert_same_bits(places[: int(found[0])], expected[1])
    assert untouched()
    assert places_untouched()
    assert work_untouched()


@pytest.mark.parametrize("wrong", [0, 1])
def test_sets_out_of_order_show_in_what_was_found(wrong: int) -> None:
    sets = [subset(5000, 2000, 1), subset(5000, 2000, 2)]
    sets[wrong][1500] = sets[wrong][1499]
    found, outs = np.zeros(2, np.uint64), [np.zeros(2000, np.uint32) for _ in range(2)]
    work = np.zeros(queued.intersect_workspace(2000), np.uint8)
    queued.intersect(*sets, *outs, found, work)
    assert found[1] != 0


def decoded(data: np.ndarray, count: int, length: int, codec: str) -> tuple[np.ndarray, bool]:
    out, untouched = guarded(count, "uint32", 1)
    size = queued.decode_indices_workspace(count, length, codec)
    work, work_untouched = guarded(size, "uint8", 1)
    outcome = np.zeros(2, np.uint64)
    queued.decode_indices(data, count, 5, length, codec, out, outcome, work)
    result = out.copy(), bool(outcome[1] == queued.NO_TROUBLE)
    assert untouched()
    assert work_untouched()
    return result


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(("count", "length"), [(0, 10), (1, 1), (300, 70_000), (5000, 9001)])
def test_messages_are_read_as_the_kernels_do(codec: str, count: int, length: int) -> None:
    indices = subset(length, count, 3) + np.uint32(5)
    data = kernels.encode_indices(indices, 5, length, codec)
    out, good = decoded(data.copy(), count, length, codec)
    assert good
    assert_same_bits(out, indices)


@pytest.mark.parametrize("codec", CODECS)
def test_wrong_messages_are_told_as_the_kernels_do(codec: str) -> None:
    """Every message with one byte changed: the kernels refuse it, or both read the same."""
    indices, refused = subset(9001, 300, 3) + np.uint32(5), 0
    message = kernels.encode_indices(indices, 5, 9001, codec)
    for place in range(0, message.size, 13):
        data = message.copy()
        data[place] ^= 0x41
        out, good = decoded(data, 300, 9001, codec)
        if good:
            assert_same_bits(out, kernels.decode_indices(data, 300, 5, 9001, codec))
        else:
            refused += 1
            with pytest.raises(WireError):
                kernels.decode_indices(data, 300, 5, 9001, codec)
    assert refused


@pytest.mark.parametrize("codec", CODECS)
def test_messages_of_wrong_lengths_are_refused_at_once(codec: str) -> None:
    message = kernels.encode_indices(subset(9001, 300, 3), 0, 9001, codec)
    out, outcome = np.zeros(300, np.uint32), np.zeros(2, np.uint64)
    for data, count in ((message[:20].copy(), 300), (np.zeros(10**5, np.uint8), 300)):
        with pytest.raises(WireError, match="decode_indices"):
            queued.decode_indices(data, count, 0, 9001, codec, out, outcome)


@pytest.mark.parametrize("codec", CODECS)
def test_a_hostile_count_is_refused_before_it_takes_memory(
    codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a count that the message cannot have, and of one that its range cannot have."""
    monkeypatch.setattr(native, "workspace", None)
    data, out = np.zeros(64, np.uint8), np.zeros(0, np.uint32)
    for count, length in ((2**30, 2**32), (600, 500)):
        with pytest.raises(WireError, match=rf"queued\.decode_indices: .*\b{count}\b"):
            queued.decode_indices(data, count, 0, length, codec, out, np.zeros(2, np.uint64))


class Misleading(list[Any]):
    """A list that says that it is as long as another."""

    def __len__(self) -> int:
        return 2


def test_chunks_without_partners_are_refused() -> None:
    indices, values = chunks_of(2, 50, 0.3)
    found, outs = np.zeros(2, np.uint64), (np.zeros(50, np.uint32), np.zeros(50, np.float32))
    with pytest.raises(ConfigError, match=r"queued\.merge: .* must be of one length"):
        queued.merge(Misleading([*indices, indices[0]]), values, *outs, found)


def test_a_workspace_may_be_longer_than_other_arrays(each_queue: str) -> None:
    """A merge of 240 million entries needs such a one."""
    if each_queue != EMULATED:
        pytest.skip("on a GPU its 4 GiB would be copied")
    chunks, work = chunks_of(20, 5000, 0.02), long_workspace()
    total = sum(each.size for each in chunks[0])
    outs, found = (np.zeros(total, np.uint32), np.zeros(total, np.float32)), np.zeros(2, np.uint64)
    queued.merge(*chunks, *outs, found, work)
    indices, sums = kernels.merge(*chunks)
    assert found.tolist() == [indices.size, 0]
    assert_same_bits(outs[0][: indices.size], indices)
    assert_same_bits(outs[1][: indices.size], sums)


def packed(name: str, source: np.ndarray, *rest: Any, size: int) -> tuple[np.ndarray, int]:
    out, untouched = guarded(size, "uint8", 1)
    status = np.full(1, UNTOUCHED, np.uint32)
    getattr(queued, name)(source, *rest, out, status)
    result = out.copy(), int(status[0])
    assert untouched()
    return result


@pytest.mark.parametrize("n", [0, 1, 5, 511, 512, 4097])
@pytest.mark.parametrize("bits", range(1, 9))
def test_packing_is_that_of_the_kernels(n: int, bits: int) -> None:
    codes = np.random.default_rng(n).integers(0, 2**bits, n).astype(np.uint8)
    data = kernels.pack_bits(codes, bits)
    out, status = packed("pack_bits", codes, bits, size=data.size)
    assert status == 0
    assert_same_bits(out, data)
    out, status = packed("unpack_bits", data.copy(), n, bits, size=n)
    assert status == 0
    assert_same_bits(out, codes)


@pytest.mark.parametrize("n", [0, 1, 5, 511, 512, 4097])
def test_packing_of_trits_is_that_of_the_kernels(n: int) -> None:
    codes = np.random.default_rng(n).integers(0, 3, n).astype(np.uint8)
    data = kernels.pack_base3(codes)
    out, status = packed("pack_base3", codes, size=data.size)
    assert status == 0
    assert_same_bits(out, data)
    out, status = packed("unpack_base3", data.copy(), n, size=n)
    assert status == 0
    assert_same_bits(out, codes)


def test_bad_codes_and_padding_show_in_the_status() -> None:
    large, full = np.full(100, 9, np.uint8), np.full(13, 255, np.uint8)
    assert packed("pack_bits", large, 3, size=39)[1] != 0
    assert packed("pack_base3", large, size=20)[1] != 0
    assert packed("unpack_bits", full, 100, 1, size=100)[1] != 0
    assert packed("unpack_base3", full, 63, size=63)[1] != 0


def test_packed_messages_of_wrong_lengths_are_refused_at_once() -> None:
    out, status = np.zeros(100, np.uint8), np.zeros(1, np.uint32)
    with pytest.raises(WireError, match=r"queued\.unpack_bits: 100 codes take 39 bytes, got 37"):
        queued.unpack_bits(np.zeros(37, np.uint8), 100, 3, out, status)
    with pytest.raises(WireError, match=r"queued\.unpack_base3: 100 codes take 20 bytes, got 21"):
        queued.unpack_base3(np.zeros(21, np.uint8), 100, out, status)


def test_bad_arguments_are_refused() -> None:
    indices, values = chunks_of(2, 50, 0.3)
    found, outs = np.zeros(2, np.uint64), (np.zeros(50, np.uint32), np.zeros(50, np.float32))
    memory, large = np.zeros(400, np.uint8), np.zeros(10**6, np.uint8)
    overlapping = memory.view(np.uint32)[:50], outs[1], memory.view(np.uint64)[:2]
    for message, call in {
        "of one length": lambda: queued.merge(indices, values[:1], *outs, found),
        "must be a list": lambda: queued.merge(indices[0], values, *outs, found),
        "out_found must have dtype uint64": lambda: queued.merge(indices, values, *outs, outs[0]),
        "index_chunks.1. must have dtype": lambda: queued.merge(
            [indices[0], values[1]], values, *outs, found
        ),
        "must not overlap": lambda: queued.merge(indices, values, *overlapping),
        "workspace must have at least": lambda: queued.merge(
            indices, values, *outs, found, memory[:9]
        ),
        "out must have at least": lambda: queued.intersect(
            *indices, outs[0][:3], outs[0][20:], found
        ),
        "out and out_positions must not overlap": lambda: queued.intersect(
            *indices, outs[0], outs[0], found
        ),
        "bits must be in": lambda: queued.pack_bits(memory, 9, memory, memory),
        "index_chunks.1. and out_indices": lambda: queued.merge(
            indices, values, indices[1], outs[1], found
        ),
        "value_chunks.0. and out_values": lambda: queued.merge(
            indices, values, outs[0], values[0], found
        ),
        "value_chunks.1. and out_found": lambda: queued.merge(
            indices,
            [values[0], memory.view(np.float32)[: indices[1].size]],
            *outs,
            memory.view(np.uint64)[:2],
        ),
        "index_chunks.0. and workspace": lambda: queued.merge(
            [large.view(np.uint32)[: indices[0].size], indices[1]], values, *outs, found, large
        ),
        "data and out must not overlap": lambda: queued.decode_indices(
            memory[:4], 1, 0, 9, "u32", memory.view(np.uint32)[:1], found
        ),
        "data and out_outcome must not overlap": lambda: queued.decode_indices(
            memory[:4], 1, 0, 9, "u32", outs[0], memory.view(np.uint64)[:2]
        ),
        "codes and out must not overlap": lambda: queued.pack_bits(
            memory[:8], 8, memory[:8], outs[0][:1]
        ),
        "codec must be one of": lambda: queued.decode_indices(
            memory, 1, 0, 9, "zip", outs[0], found
        ),
    }.items():
        with pytest.raises(ConfigError, match=f"queued.*{message}"):
            call()
