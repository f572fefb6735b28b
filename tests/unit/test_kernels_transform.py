"""hadamard: its specification, and what makes it an orthonormal transform."""

from __future__ import annotations

import numpy as np
import pytest
from element_types import assert_same_numbers
from hypothesis import given
from hypothesis import strategies as st
from kernel_inputs import FLAVOURS, WITHOUT_NAN, assert_same_bits, quick, vector

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import reference

pytestmark = pytest.mark.usefixtures("each_isa")

BLOCKS = tuple(2**i for i in range(1, 15))
STREAM = {"seed": 5, "key": 0xFFFFFFFF, "step": 7, "rank": 2**31 - 1, "phase": 1}


def blocks_of(block: int, blocks: int, flavour: str, seed: int, offset: int = 0) -> np.ndarray:
    return vector(block * blocks, flavour, seed, offset)


@quick
@given(
    st.sampled_from(BLOCKS), st.integers(0, 5), st.sampled_from(FLAVOURS),
    st.integers(0, 2**32 - 1), st.sampled_from([None, "before", "after"]), st.integers(0, 3),
)  # fmt: skip
def test_hadamard_equals_specification(block, blocks, flavour, seed, signs, offset):
    x = blocks_of(block, blocks if block > 256 else 7 * blocks, flavour, seed, offset)
    expected = reference.hadamard(x, block, signs, seed, 2, 3, 4, seed % 2)
    out = np.empty(x.size + offset, np.float32)[offset:]
    kernels.hadamard(x, block, out, signs, seed, 2, 3, 4, seed % 2)
    assert_same_numbers(out, expected)
    in_place = x.copy()
    kernels.hadamard(in_place, block, in_place, signs, seed, 2, 3, 4, seed % 2)
    assert_same_numbers(in_place, expected)


@pytest.mark.parametrize(
    ("block", "signs"),
    [(2**14, "after"), (2**15, None), (2**17, "before"), (2**19, "before"), (2**20, "after")],
)
def test_large_blocks_equal_specification(block, signs):
    x = vector((3 if block < 2**18 else 1) * block, "gaussian", block, offset=block % 3)
    expected = reference.hadamard(x, block, signs, seed=1, step=2**31)
    assert_same_bits(kernels.hadamard(x, block, signs=signs, seed=1, step=2**31), expected)
    kernels.hadamard(x, block, x, signs=signs, seed=1, step=2**31)
    assert_same_bits(x, expected)


def test_rows_are_in_natural_order_and_orthonormal():
    block = 64
    matrix = kernels.hadamard(np.eye(block, dtype=np.float32).reshape(-1), block)
    i, j = np.indices((block, block))
    odd = np.array([[bin(a & b).count("1") % 2 for a, b in zip(*rows, strict=True)]
                    for rows in zip(i, j, strict=True)])  # fmt: skip
    expected = np.where(odd, -1, 1).astype(np.float32) / np.float32(8)
    assert_same_bits(matrix.reshape(block, block), expected)
    assert np.array_equal(expected @ expected.T, np.eye(block))


@quick
@given(
    st.sampled_from([b for b in BLOCKS if b.bit_length() % 2]), st.integers(0, 5),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_small_integers_come_back_exactly(block, blocks, seed):
    x = blocks_of(block, blocks, "ties", seed)
    once = kernels.hadamard(x, block)
    assert_same_bits(kernels.hadamard(once, block), x + np.float32(0))
    signed = kernels.hadamard(x, block, signs="before", **STREAM)
    back = kernels.hadamard(signed, block, signed, signs="after", **STREAM)
    assert np.array_equal(back, x)


@quick
@given(
    st.sampled_from(BLOCKS), st.sampled_from(["gaussian", "sparse", "narrow", "ties", "equal"]),
    st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_twice_gives_back_the_input_within_the_stated_error(block, flavour, seed):
    x = blocks_of(block, 2, flavour, seed).astype(np.float64).reshape(2, block)
    once = kernels.hadamard(x.astype(np.float32).reshape(-1), block, signs="before", **STREAM)
    back = kernels.hadamard(once, block, signs="after", **STREAM).reshape(2, block)
    norm = np.linalg.norm(x, axis=1)
    bound = (np.log2(block) + 2) * 2.0**-23
    assert (np.linalg.norm(back - x, axis=1) <= bound * norm).all()
    kept = np.linalg.norm(once.astype(np.float64).reshape(2, block), axis=1)
    assert (np.abs(kept - norm) <= bound * norm).all()


@quick
@given(st.sampled_from(BLOCKS), st.sampled_from(WITHOUT_NAN), st.integers(0, 2**32 - 1))
def test_signs_are_one_bit_of_philox_per_element(block, flavour, seed):
    x = blocks_of(block, 3, flavour, seed)
    minus = reference.random_signs(x.size, *STREAM.values())
    for e in {0, 1, 31, 32, 127, 128, x.size - 1} & set(range(x.size)):
        counter = (e >> 7, 0, STREAM["step"], STREAM["rank"] | STREAM["phase"] << 31)
        word = kernels.philox4x32(counter, (STREAM["seed"], STREAM["key"]))[e >> 5 & 3]
        assert minus[e] == bool(word >> (e & 31) & 1)
    plain = kernels.hadamard(np.where(minus, -x, x), block)
    assert_same_bits(kernels.hadamard(x, block, signs="before", **STREAM), plain)


def test_hadamard_refuses_what_it_cannot_transform():
    x = np.ones(12, np.float32)
    for block in (0, 1, 3, 6, 2**25):
        with pytest.raises(ConfigError, match="hadamard: block must be"):
            kernels.hadamard(x, block)
    with pytest.raises(
        ConfigError, match=r"x must have a multiple of 8 elements \(block\), got 12"
    ):
        kernels.hadamard(x, 8)
    with pytest.raises(ConfigError, match="signs must be None, 'before' or 'after'"):
        kernels.hadamard(x, 4, signs="both")
    with pytest.raises(ConfigError, match="x and out must not overlap"):
        kernels.hadamard(x[:8], 4, x[4:])
    with pytest.raises(ConfigError, match="out must have as many elements as x"):
        kernels.hadamard(x, 4, np.ones(16, np.float32))
    with pytest.raises(ConfigError, match="rank must be in"):
        kernels.hadamard(x, 4, rank=2**31)


def test_denormals_are_kept_when_the_thread_flushes_them():
    torch = pytest.importorskip("torch")
    x = np.float32([4, 0, 0, 0]) * np.float32(2.0**-149)
    if not torch.set_flush_denormal(True):
        pytest.skip("this machine cannot flush denormals")
    try:
        result = kernels.hadamard(x, 4)
    finally:
        torch.set_flush_denormal(False)
    assert result.view(np.uint32).tolist() == [2] * 4
