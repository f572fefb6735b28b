"""Arguments that kernels once took and should not have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradwire import kernels
from gradwire.errors import ConfigError

X = np.arange(1, 101, dtype=np.float32)


@pytest.mark.parametrize("n", [100, -5, 2**32, 1.5, None])
def test_decoders_check_what_they_write_into(n: Any) -> None:
    out = np.full(97, 7, np.float32)
    calls = [
        lambda: kernels.dequantize(*kernels.quantize(X, 4, 16), n, 4, 16, out=out),
        lambda: kernels.dequantize_sign(*kernels.quantize_sign(X, 16), n, 16, out),
        lambda: kernels.dequantize_mx(*kernels.quantize_mx(X, "e4m3"), n, "e4m3", out),
        lambda: kernels.dequantize_dynamic(*kernels.quantize_dynamic(X, 16), n, 16, out),
        lambda: kernels.random_bits(n, kernels.RandomStream(0, 0, 0), np.empty(97, np.uint16)),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=r": n must be|out must have at least 100 elements"):
            call()
    assert (out == 7).all()


@pytest.mark.parametrize("factor", [np.inf, -np.inf, np.nan, 1e39, "a", None])
def test_momentum_needs_a_finite_factor(factor: Any) -> None:
    outs = np.empty_like(X), np.empty_like(X)
    entries = np.empty(100, np.uint32), np.empty(100, np.float32)
    with pytest.raises(ConfigError, match="factor must be"):
        kernels.momentum_select(X, X, X, factor, 0.5, *outs, *entries)
    with pytest.raises(ConfigError, match="factor must be"):
        kernels.momentum_topk(X, X, X, factor, 3, 0.0, *outs)


def test_tensors_without_memory_are_refused() -> None:
    torch = pytest.importorskip("torch")
    freed = torch.ones(1000)
    freed.untyped_storage().resize_(0)
    for tensor in (freed, torch._efficientzerotensor(1000)):
        with pytest.raises(ConfigError, match="x has no memory of its own"):
            kernels.absmax(tensor)
        with pytest.raises(ConfigError, match="out has no memory of its own"):
            kernels.scale_add(torch.ones(1000), 1.0, tensor)
