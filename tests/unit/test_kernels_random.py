"""Philox, the name hash and random subsets."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits, quick

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")

WORD = st.integers(0, 2**32 - 1)

# counter, key, output for 10 rounds: the vectors published with the generator (Random123).
KNOWN_ANSWERS = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_known_answers(counter, key, expected):
    assert list(kernels.philox4x32(counter, key)) == expected
    assert reference.philox4x32(np.array(counter, np.uint64), key).tolist() == expected


@quick
@given(st.lists(WORD, min_size=4, max_size=4), st.lists(WORD, min_size=2, max_size=2))
def test_philox_equals_specification(counter, key):
    expected = reference.philox4x32(np.array(counter, np.uint64), key)
    assert list(kernels.philox4x32(counter, key)) == expected.tolist()


def test_philox_refuses_what_are_not_words():
    with pytest.raises(ConfigError, match="counter4 must be 4 words"):
        kernels.philox4x32([0] * 3, [0, 0])
    with pytest.raises(ConfigError, match="key2 must be in"):
        kernels.philox4x32([0] * 4, [0, 2**32])


def test_fnv1a32_gives_the_known_answers():
    assert kernels.fnv1a32("") == 0x811C9DC5
    assert kernels.fnv1a32("a") == 0xE40C292C
    assert kernels.fnv1a32("foobar") == 0xBF9CF968


@quick
@given(st.integers(0, 400), st.floats(0, 1), WORD, WORD, WORD)
def test_random_indices_equal_specification(n, density, seed, key, step):
    k = round(density * n)
    result = kernels.random_indices(n, k, seed, key, step)
    assert_same_bits(result, reference.random_indices(n, k, seed, key, step))


@functools.cache
def drawn_in_order(n: int, k: int) -> np.ndarray:
    """Return random_indices(n, k, 5, 6, 7) for k <= n / 2, with more draws than it needs."""
    blocks = np.arange(2 * k, dtype=np.uint64)
    zeros = np.zeros_like(blocks)
    words = reference.philox4x32(np.array([blocks, zeros, zeros + np.uint64(7), zeros]), (5, 6))
    draws = np.stack([words[0] | words[1] << np.uint64(32), words[2] | words[3] << np.uint64(32)])
    low = (draws & np.uint64(2**32 - 1)) * np.uint64(n) >> np.uint64(32)
    places = ((draws >> np.uint64(32)) * np.uint64(n) + low >> np.uint64(32)).T.ravel()
    _, first = np.unique(places, return_index=True)
    return np.sort(places[np.sort(first)[:k]]).astype(np.uint32)


@pytest.mark.parametrize(
    ("n", "k"), [(20_000, 10_000), (30_011, 9_000), (100_000, 50_000), (3_000_000, 10_001)]
)
def test_many_random_indices_are_those_drawn_first(n, k):
    chosen = kernels.random_indices(n, k, 5, 6, 7)
    assert_same_bits(chosen, drawn_in_order(n, k))
    if k < n - k:
        others = kernels.random_indices(n, n - k, 5, 6, 7)
        assert np.array_equal(np.setdiff1d(np.arange(n), chosen, assume_unique=True), others)


@pytest.mark.parametrize("k", [0, 1, 500, 501, 999, 1000, 1001])
def test_random_indices_are_distinct_sorted_and_in_range(k):
    n = 1001
    result = kernels.random_indices(n, k, 1, 2, 3)
    assert result.size == k
    assert (np.diff(result.astype(np.int64)) > 0).all()
    assert k == 0 or result[-1] < n


def test_complements_share_their_draws():
    few = kernels.random_indices(1000, 10, 1, 2, 3)
    many = kernels.random_indices(1000, 990, 1, 2, 3)
    assert np.array_equal(np.union1d(few, many), np.arange(1000))


@pytest.mark.parametrize("k", [7, 30])
def test_every_position_is_equally_likely(k):
    n, rounds = 37, 4000
    hits = np.zeros(n)
    for step in range(rounds):
        hits[kernels.random_indices(n, k, 11, kernels.fnv1a32("layer.weight"), step)] += 1
    p = k / n
    # Fixed seeds: five standard deviations hold for all positions or for none.
    assert np.abs(hits - rounds * p).max() < 5 * np.sqrt(rounds * p * (1 - p))
    assert hits.sum() == rounds * k


def test_seed_key_and_step_all_matter():
    draws = {
        kernels.random_indices(10_000, 20, *words).tobytes()
        for words in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    }
    assert len(draws) == 4


def test_the_largest_range_reaches_both_ends():
    # Two draws of one known block: the positions are the leading words of each.
    result = kernels.random_indices(2**32 - 1, 2, 0, 0, 0)
    draws = [0xE169C58D << 32 | 0x6627E8D5, 0x9B00DBD8 << 32 | 0xBC57AC4C]
    assert result.tolist() == sorted(draw * (2**32 - 1) >> 64 for draw in draws)


def test_into_a_given_buffer():
    out = np.full(12, 7, np.uint32)
    result = kernels.random_indices(100, 10, 1, 2, 3, out=out[1:])
    assert np.shares_memory(result, out)
    assert_same_bits(result, kernels.random_indices(100, 10, 1, 2, 3))
    assert out[[0, -1]].tolist() == [7, 7]


def test_no_global_generator_is_touched():
    np.random.seed(5)
    before = np.random.get_state()[1].tolist()
    kernels.random_indices(1000, 10, 1, 2, 3)
    assert np.random.get_state()[1].tolist() == before


def test_more_than_all_positions_is_refused():
    with pytest.raises(ConfigError, match=r"random_indices: k must be in \[0, 5\], got 6"):
        kernels.random_indices(5, 6, 0, 0, 0)
