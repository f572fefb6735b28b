"""Which kernels wait for a GPU, as the table of gradwire.kernels.queued says; and without any."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from emulated_cuda import emulated_cuda

from gradwire import kernels
from gradwire.errors import MissingDependencyError
from gradwire.kernels import RandomStream, native, queued

CUDA = emulated_cuda()
emulated = pytest.mark.skipif(CUDA is None, reason="needs the emulated CUDA kernels")

K = kernels
X = np.linspace(-1, 1, 512, dtype=np.float32)
OUT = np.zeros_like(X)
PLACES = np.arange(0, 512, 3, dtype=np.uint32)
ENTRIES = np.ones(PLACES.size, np.float32)
BYTES = np.zeros(512, np.uint8)
SCALE = np.ones(1, np.float32)
WORD, WORDS = np.zeros(1, np.uint32), np.zeros(3, np.uint64)
STREAM = RandomStream(1, 2, 3)
Call = Callable[[], Any]

NEVER_WAIT: dict[str, Call] = {
    "add": lambda: K.add(X, OUT),
    "scale": lambda: K.scale(OUT, 2.0),
    "scale_add": lambda: K.scale_add(X, 2.0, OUT),
    "to_bfloat16": lambda: K.to_bfloat16(X),
    "from_float16": lambda: K.from_float16(X.astype(np.float16)),
    "to_fp8": lambda: K.to_fp8(X, "e4m3"),
    "from_fp8": lambda: K.from_fp8(BYTES, "e4m3"),
    "histogram": lambda: K.histogram(X, 20, 8),
    "clear": lambda: K.clear(OUT),
    "hadamard": lambda: K.hadamard(X, 512),
    "quantize": lambda: K.quantize(X, 4, 64, random=STREAM),
    "quantize, one block": lambda: K.quantize(X, 4, 0),
    "quantize_sign": lambda: K.quantize_sign(X, 64),
    "dequantize": lambda: K.dequantize(BYTES[:256], SCALE, 512, 4, 0),
    "dequantize_sign": lambda: K.dequantize_sign(BYTES[:64], SCALE, 512, 0),
    "dequantize_natural": lambda: K.dequantize_natural(BYTES),
    "quantize_dynamic": lambda: K.quantize_dynamic(X, 64),
    "random_bits": lambda: K.random_bits(100, STREAM, np.zeros(100, np.uint16)),
    "random_indices": lambda: K.random_indices(100, 10, 1, 2, 3, np.zeros(10, np.uint32)),
}
WAIT: dict[str, Call] = {
    "absmax": lambda: K.absmax(X),
    "norm": lambda: K.norm(X),
    "finite_check": lambda: K.finite_check(X),
    "kth_magnitude": lambda: K.kth_magnitude(X, 3),
    "topk": lambda: K.topk(X, 3),
    "select": lambda: K.select(X, 0.5, PLACES.copy(), ENTRIES.copy()),
    "quantize_natural": lambda: K.quantize_natural(X, STREAM),
    "scatter": lambda: K.scatter(OUT, PLACES, ENTRIES),
    "clear": lambda: K.clear(OUT, PLACES),
    "encode_indices": lambda: K.encode_indices(PLACES, 0, 512, "rice"),
    "merge": lambda: K.merge([PLACES], [ENTRIES]),
    "intersect": lambda: K.intersect(PLACES, PLACES),
    "unpack_bits": lambda: K.unpack_bits(BYTES[:8], 64, 1),
}


def dealings_of(call: Call, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Return how often a call on the emulated kernels waits, and takes bytes of the host's."""
    monkeypatch.setattr(native, "cpu", CUDA)
    before = CUDA.host_dealings()
    call()
    fetches, sends, _ = np.subtract(CUDA.host_dealings(), before)
    return int(fetches), int(sends)


@emulated
@pytest.mark.parametrize("name", NEVER_WAIT)
def test_these_never_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dealings_of(NEVER_WAIT[name], monkeypatch) == (0, 0)


@emulated
@pytest.mark.parametrize("name", WAIT)
def test_these_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the count that the tests of queued kernels rely on counts."""
    assert dealings_of(WAIT[name], monkeypatch)[0] > 0


Q = queued
QUEUED: list[Call] = [
    lambda: Q.select_workspace(3),
    lambda: Q.topk_workspace(3, 1),
    lambda: Q.quantize_workspace(3, 16),
    lambda: Q.topk(X, 3, PLACES, OUT, WORDS),
    lambda: Q.compensate_select(X, X, 0.5, OUT, PLACES, ENTRIES, WORDS, BYTES),
    lambda: Q.quantize(X, 4, 64, out_codes=BYTES, out_scales=SCALE),
    lambda: Q.quantize_natural(X, STREAM, BYTES, WORD),
    lambda: Q.clear(OUT, PLACES, WORD),
    lambda: Q.absmax(X, SCALE),
    lambda: Q.encode_indices(PLACES, 0, 512, "u32", BYTES, WORDS),
    lambda: Q.hadamard(X, 512, OUT, "before", 1, 2, WORD),
    lambda: Q.merge([PLACES], [ENTRIES], PLACES.copy(), ENTRIES.copy(), WORDS),
    lambda: Q.intersect(PLACES, PLACES, PLACES.copy(), PLACES.copy(), WORDS),
    lambda: Q.decode_indices(BYTES, 128, 0, 512, "u32", PLACES, WORDS),
    lambda: Q.unpack_bits(BYTES[:64], 512, 1, BYTES, WORD),
]


@pytest.mark.parametrize("call", QUEUED)
def test_without_kernels_for_gpus_calls_say_so(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradwire._cuda", None)
    monkeypatch.delattr("gradwire._cuda", raising=False)
    with pytest.raises(MissingDependencyError, match="CUDA kernels are not in this build"):
        call()
    with pytest.raises(MissingDependencyError, match="CUDA kernels are not in this build"):
        native.cuda()
