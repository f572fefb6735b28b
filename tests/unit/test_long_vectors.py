"""Vectors of more than 2**31 elements: positions that a signed 32-bit number cannot hold.

Nearly all is zero and never written, so the memory is only promised: the tests need little of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradwire import kernels
from gradwire.kernels import native

SIZE = 2**31 + 4133
PLACES = np.array([0, 5, 2**16, 2**31 - 1, 2**31, 2**31 + 517, SIZE - 1], np.uint32)
VALUES = np.array([3, -2, 1, -8, 5, -4, 7], np.float32)


def _zeros(dtype: Any = np.float32) -> Any:
    try:
        return np.zeros(SIZE, dtype)
    except MemoryError:
        pytest.skip("the system does not promise this much memory")


@pytest.fixture(scope="module")
def vector() -> Any:
    x = _zeros()
    x[PLACES] = VALUES
    x.flags.writeable = False
    return x


@pytest.fixture(params=[1, 2], ids=["1 thread", "2 threads"], autouse=True)
def _threads(request: pytest.FixtureRequest) -> Any:
    before = native.current_threads()
    native.use_threads(request.param)
    yield
    native.use_threads(before)


def test_selection(vector: Any) -> None:
    indices, values = np.empty(20, np.uint32), np.empty(20, np.float32)
    found = kernels.select(vector, 2.0, indices, values)
    chosen = np.abs(VALUES) >= 2.0
    assert found.indices.tolist() == PLACES[chosen].tolist()
    assert found.values.tolist() == VALUES[chosen].tolist()
    top = kernels.topk(vector, 3)
    assert top.indices.tolist() == [2**31 - 1, 2**31, SIZE - 1]
    assert top.values.tolist() == [-8, 5, 7]


def test_statistics(vector: Any) -> None:
    assert kernels.absmax(vector) == 8.0
    assert kernels.finite_check(vector)
    assert kernels.norm(vector, 1) == np.abs(VALUES).sum()
    assert kernels.kth_magnitude(vector, 2) == 7.0
    assert kernels.histogram(vector, 23, 8).sum() == PLACES.size


def test_codes(vector: Any) -> None:
    codes, scales = kernels.quantize_sign(vector, 65536)
    expected = {int(place) // 8: 0xFF & ~(1 << place % 8) for place in PLACES[VALUES < 0].tolist()}
    expected[SIZE // 8] = (1 << SIZE % 8) - 1
    assert {int(i): int(codes[i]) for i in np.flatnonzero(codes != 0xFF)} == expected
    assert scales[-1] == np.float32(np.abs(VALUES[-3:]).sum() / (SIZE % 65536))


def test_sparse(vector: Any) -> None:
    out = _zeros()
    kernels.scatter_add(out, PLACES, VALUES)
    kernels.scatter_add(out, PLACES[3:], VALUES[3:])
    assert out[PLACES].tolist() == [*VALUES[:3], *(2 * VALUES[3:])]
    kernels.clear(out, PLACES)
    assert not out[PLACES].any()
    merged = kernels.merge([PLACES[::2].copy(), PLACES], [VALUES[::2].copy(), VALUES])
    assert merged[0].tolist() == PLACES.tolist()
    assert merged[1].tolist() == [6, -2, 2, -8, 10, -4, 14]


@pytest.mark.parametrize("codec", ["u32", "tile16", "rice", "elias_gamma", "elias_delta"])
def test_index_codecs(codec: str) -> None:
    coded = kernels.encode_indices(PLACES, 0, SIZE, codec)
    assert kernels.decode_indices(coded, PLACES.size, 0, SIZE, codec).tolist() == PLACES.tolist()


def test_packing() -> None:
    codes = _zeros(np.uint8)
    codes[PLACES] = 1
    packed = kernels.pack_bits(codes, 1)
    assert packed.size == -(-SIZE // 8)
    expected: dict[int, int] = {}
    for place in PLACES.tolist():
        expected[place // 8] = expected.get(place // 8, 0) | 1 << place % 8
    assert {int(i): int(packed[i]) for i in np.flatnonzero(packed)} == expected
