"""16-bit inputs: the same results as of the float32 that they stand for."""

from __future__ import annotations

import numpy as np
import pytest
from kernel_inputs import FLAVOURS, assert_same_bits, assert_same_selection, vector

from gradwire import kernels
from gradwire.kernels import reference
from gradwire.kernels.reference.casts import widen

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("each_isa")


@pytest.fixture(params=["float16", "bfloat16"])
def dtype(request):
    return getattr(torch, request.param)


def halves(size: int, flavour: str, dtype):
    """Return a tensor, one element into its memory, and its values as float32."""
    narrow = torch.from_numpy(vector(size + 1, flavour, 1)).to(dtype)[1:]
    bits = narrow.view(torch.int16).numpy()  # torch itself widens NaN now so, now so
    if dtype == torch.bfloat16:
        return narrow, reference.from_bfloat16(bits.view(np.uint16))
    return narrow, widen(bits.view(np.float16))


def as_numpy(selection):
    return selection._replace(
        indices=np.asarray(selection.indices), values=np.asarray(selection.values)
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("size", [0, 15, 70_001])
def test_selections(flavour, size, dtype):
    x, wide = halves(size, flavour, dtype)
    for k in (1, 300):
        assert_same_selection(as_numpy(kernels.topk(x, k)), reference.topk(wide, k))
        if not np.isnan(wide).any():
            kth = kernels.kth_magnitude(x, k)
            assert kth == reference.kth_magnitude(wide, k)
    buffers = np.empty(400, np.uint32), np.empty(400, np.float32)
    result = kernels.select(x, 1.0, *buffers)
    assert_same_selection(result, reference.select(wide, 1.0, 400))
    assert kernels.finite_check(x) == reference.finite_check(wide)
    counts = kernels.histogram(x, 18, 13)
    assert np.asarray(counts).tolist() == reference.histogram(wide, 18, 13).tolist()
    largest = np.float32([kernels.absmax(x)])
    assert_same_bits(largest, np.float32([reference.absmax(wide)]))


@pytest.mark.parametrize("size", [15, 70_001])
def test_compensated(size, dtype):
    gradient, wide = halves(size, "gaussian", dtype)
    residual = vector(size, "gaussian", 2)
    momentum, expected_acc = vector(size, "gaussian", 3), np.empty(size, np.float32)
    expected = reference.compensate_topk(wide, residual, 100, 0.0, expected_acc)
    acc, updated = np.empty(size, np.float32), np.empty(size, np.float32)
    result = kernels.compensate_topk(gradient, residual, 100, 0.0, acc)
    assert_same_selection(as_numpy(result), expected)
    assert_same_bits(acc, expected_acc)
    expected_momentum = np.empty_like(updated)
    reference.momentum(wide, momentum, residual, 0.9, expected_momentum, expected_acc, False)
    kernels.momentum_topk(gradient, momentum, residual, 0.9, 100, 0.0, updated, acc)
    assert_same_bits(updated, expected_momentum)
    assert_same_bits(acc, expected_acc)


def test_other_libraries_come_in_through_dlpack():
    class Foreign:
        def __init__(self, array):
            self.array = array

        def __len__(self):
            return len(self.array)

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    x = vector(100, "gaussian", 4)
    assert_same_selection(kernels.topk(Foreign(x), 5), reference.topk(x, 5))
