"""Several threads give the bits of one: whole operations, long enough to be shared."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import native

needs_threads = pytest.mark.skipif(not native.has_threads(), reason="built without OpenMP")
SIZE = 5 * 2**17 + 37  # five parts and a little
K = SIZE // 100


@pytest.fixture(autouse=True)
def _one_thread_afterwards() -> Iterator[None]:
    before = native.current_threads()
    yield
    native.use_threads(before)


def _normal(seed: int, size: int = SIZE) -> Any:
    return np.random.default_rng(seed).standard_normal(size, np.float32)


def _hot_spot() -> Any:
    """Return a vector whose large elements are all in its second half."""
    x = _normal(3)
    x[: SIZE // 2] *= np.float32(1e-3)
    return x


VECTORS = {
    "normal": _normal(1),
    "hot spot": _hot_spot(),
    "reversed": _hot_spot()[::-1].copy(),
    "all equal": np.full(SIZE, -1.5, np.float32),
    "one": np.eye(1, SIZE, SIZE - 1, dtype=np.float32)[0],
    "none": np.zeros(SIZE, np.float32),
    "double": _normal(1).astype(np.float64) * (1 + 1e-9),
    "half": _normal(1).astype(np.float16),
    "not finite": np.where(np.arange(SIZE) == SIZE - 5, np.float32(np.nan), _normal(1)),
}
GRADIENT, RESIDUAL = _normal(5), _normal(6)
CODES = np.random.default_rng(7).integers(0, 16, SIZE, np.uint8)
TRITS = np.random.default_rng(8).integers(0, 3, SIZE, np.uint8)
STREAM = kernels.RandomStream(1, 2, 3, first=5)
PLACES = np.flatnonzero(np.random.default_rng(9).random(2**21) < 0.3).astype(np.uint32)


def _selected(x: Any, capacity: int, threshold: float) -> Any:
    indices, values = np.full(capacity, 7, np.uint32), np.full(capacity, 7, np.float32)
    found = kernels.select(x, threshold, indices, values)
    return found.found, found.threshold, found.indices, found.values


def _compensated(call: Callable[..., Any], *arguments: Any, in_place: bool = False) -> Any:
    gradient = GRADIENT.copy()
    acc = gradient if in_place else np.full(SIZE, 7, np.float32)
    return call(gradient, RESIDUAL, *arguments, acc), acc


def _compensate_select(threshold: float, capacity: int) -> Any:
    acc = np.full(SIZE, 7, np.float32)
    indices, values = np.full(capacity, 7, np.uint32), np.full(capacity, 7, np.float32)
    return kernels.compensate_select(GRADIENT, RESIDUAL, threshold, acc, indices, values), acc


def _momentum_topk(nesterov: bool) -> Any:
    outs = np.full(SIZE, 7, np.float32), np.full(SIZE, 7, np.float32)
    momentum = _normal(10)
    return kernels.momentum_topk(
        GRADIENT, momentum, RESIDUAL, 0.9, K, 0.0, *outs, nesterov=nesterov
    ), outs


def _coded(block: int, scale: str, random: Any) -> Any:
    error = np.full(SIZE, 7, np.float32)
    coded = kernels.compensate_quantize(
        GRADIENT, RESIDUAL, 4, block, error, scale=scale, random=random
    )
    out = RESIDUAL.copy()
    kernels.dequantize_add(*coded, 4, block, out, scale=scale)
    values = kernels.dequantize(*coded, SIZE, 4, block, scale=scale)
    return coded, error, out, values, kernels.quantize(GRADIENT, 4, block, scale=scale)


def _signs(block: int) -> Any:
    error, out = np.full(SIZE, 7, np.float32), RESIDUAL.copy()
    coded = kernels.compensate_sign(GRADIENT, RESIDUAL, block, error)
    kernels.dequantize_sign_add(*coded, block, out)
    return coded, error, out, kernels.quantize_sign(GRADIENT, block)


def _dynamic(block: int) -> Any:
    error, out = np.full(SIZE, 7, np.float32), RESIDUAL.copy()
    coded = kernels.compensate_quantize_dynamic(GRADIENT, RESIDUAL, block, error)
    kernels.dequantize_dynamic_add(*coded, block, out)
    return coded, error, out, kernels.quantize_dynamic(GRADIENT, block)


def _natural() -> Any:
    codes, finite = kernels.quantize_natural(GRADIENT, STREAM)
    out = RESIDUAL.copy()
    kernels.dequantize_natural_add(codes, out)
    return codes, finite, out, kernels.dequantize_natural(codes)


def _minifloats() -> Any:
    codes, blocks = kernels.to_fp8(GRADIENT), kernels.quantize_mx(GRADIENT, "e2m3")
    return codes, kernels.from_fp8(codes), blocks, kernels.dequantize_mx(*blocks, SIZE, "e2m3")


def _packed() -> Any:
    bits, trits = kernels.pack_bits(CODES, 4), kernels.pack_base3(TRITS)
    return (
        *(bits, kernels.unpack_bits(bits, SIZE, 4)),
        *(trits, kernels.unpack_base3(trits, SIZE)),
    )


def _arithmetic() -> Any:
    total = RESIDUAL.copy()
    kernels.scale_add(GRADIENT, 1 / 3, total)
    half = kernels.to_bfloat16(GRADIENT)
    return (
        kernels.add(GRADIENT, RESIDUAL),
        kernels.scale(GRADIENT, 1 / 3),
        *(total, half, kernels.from_bfloat16(half)),
        kernels.random_bits(SIZE, STREAM),
    )


def _sparse() -> Any:
    values, out = _normal(11, PLACES.size), np.zeros(2**21, np.float32)
    kernels.scatter_add(out, PLACES, values)
    first = out.copy()
    kernels.scatter(out, PLACES, values[::-1].copy())
    second = out.copy()
    kernels.clear(out, PLACES[::3].copy())
    return first, second, out


def _merged(ranks: int, spare: int) -> Any:
    chunks = [PLACES[rank :: rank + 1].copy() for rank in range(ranks)]
    values = [_normal(rank, chunk.size) for rank, chunk in enumerate(chunks)]
    room = sum(chunk.size for chunk in chunks) if spare else np.unique(np.concatenate(chunks)).size
    out = np.full(room, 7, np.uint32), np.full(room, 7, np.float32)
    return kernels.merge(chunks, values, *out)


CALLS: dict[str, Callable[[], Any]] = {
    "coded 512": lambda: _coded(512, "absmax", None),
    "coded 48 min-max": lambda: _coded(48, "minmax", STREAM),
    "coded 65520 l2": lambda: _coded(65520, "l2", STREAM),
    "coded as one": lambda: _coded(0, "absmax", STREAM),
    "coded as one l2": lambda: _coded(0, "l2", None),
    "signs 512": lambda: _signs(512),
    "signs 48": lambda: _signs(48),
    "signs as one": lambda: _signs(0),
    "dynamic 256": lambda: _dynamic(256),
    "dynamic as one": lambda: _dynamic(0),
    "natural": _natural,
    "minifloats": _minifloats,
    "packed": _packed,
    "arithmetic": _arithmetic,
    "sparse": _sparse,
    "merge 3": lambda: _merged(3, spare=1),
    "merge 8": lambda: _merged(8, spare=1),
    "merge without room to spare": lambda: _merged(4, spare=0),
    "hadamard 4096": lambda: kernels.hadamard(GRADIENT[: 2**19], 4096, signs="before"),
    "hadamard of all": lambda: kernels.hadamard(_normal(12, 2**20), 2**20, signs="after"),
    "compensate_topk": lambda: _compensated(kernels.compensate_topk, K, 0.0),
    "compensate_topk floor": lambda: _compensated(kernels.compensate_topk, K, 3.0),
    "compensate_topk low": lambda: _compensated(kernels.compensate_topk, K, 1e-6),
    "compensate_topk in place": lambda: _compensated(
        kernels.compensate_topk, K, 3.0, in_place=True
    ),
    "compensate_select": lambda: _compensate_select(3.0, SIZE),
    "compensate_select short": lambda: _compensate_select(3.0, K),
    "momentum": lambda: _momentum_topk(False),
    "nesterov": lambda: _momentum_topk(True),
}


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, tuple):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(np.asarray(left).tobytes() == np.asarray(right).tobytes())


def _is_same_with(count: int, call: Callable[[], Any]) -> None:
    native.use_threads(1)
    expected = call()
    native.use_threads(count)
    assert native.current_threads() == count
    assert _same(call(), expected)


@needs_threads
@pytest.mark.usefixtures("each_isa")
@pytest.mark.parametrize("count", [2, 3, 64])
@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str, count: int) -> None:
    _is_same_with(count, CALLS[name])


@needs_threads
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("name", VECTORS)
def test_selection(name: str, count: int) -> None:
    x = VECTORS[name]
    _is_same_with(count, lambda: kernels.topk(x, K))
    for threshold in (0.0, 1.0, 2.5):
        found = kernels.select(x, threshold, np.empty(0, np.uint32), np.empty(0, np.float32)).found
        for capacity in {0, 1, found // 2, max(found - 1, 0), found, found + 1, SIZE}:
            _is_same_with(count, lambda c=capacity, t=threshold: _selected(x, c, t))


@needs_threads
@pytest.mark.parametrize("count", [2, 5])
@pytest.mark.parametrize("name", VECTORS)
def test_statistics(name: str, count: int) -> None:
    x = VECTORS[name]
    _is_same_with(count, lambda: (kernels.absmax(x), kernels.finite_check(x)))
    _is_same_with(count, lambda: (kernels.norm(x, 1), kernels.norm(x, 2)))
    for k in (1, K, SIZE // 2):
        _is_same_with(count, lambda k=k: kernels.kth_magnitude(x, k))
    _is_same_with(count, lambda: (kernels.histogram(x, 18, 13), kernels.histogram(x, 13, 18)))


@needs_threads
def test_bad_codes_are_found_by_whichever_thread() -> None:
    native.use_threads(3)
    for place in (0, SIZE // 2, SIZE - 1):
        codes = CODES.copy()
        codes[place] = 16
        with pytest.raises(ConfigError, match="codes must be below"):
            kernels.pack_bits(codes, 4)


@pytest.mark.parametrize("count", [0, -1, 65, 1.5, True, "2"])
def test_wrong_counts(count: Any) -> None:
    with pytest.raises(ConfigError, match="threads"):
        native.use_threads(count)


@needs_threads
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "1"),
        ({"GRADWIRE_THREADS": "3"}, "3"),
        ({"OMP_NUM_THREADS": "2"}, "2"),
        ({"OMP_NUM_THREADS": "4,2"}, "4"),
        ({"OMP_NUM_THREADS": "1000"}, "64"),
        ({"OMP_NUM_THREADS": "5", "GRADWIRE_THREADS": "1"}, "1"),
        ({"GRADWIRE_THREADS": "many"}, "ConfigError: GRADWIRE_THREADS must be a number"),
        ({"GRADWIRE_THREADS": "0"}, "ConfigError: GRADWIRE_THREADS must be a number from 1 to 64"),
        ({"GRADWIRE_THREADS": "65"}, "ConfigError: GRADWIRE_THREADS must be a number from 1 to"),
        ({"GRADWIRE_ISA": "sse9"}, "ConfigError: GRADWIRE_ISA must be one of generic"),
    ],
)
def test_environment(variables: dict[str, str], expected: str) -> None:
    others = {k: v for k, v in os.environ.items() if not k.endswith("_THREADS")}
    program = (
        "from gradwire.kernels import native; native.current_isa(); print(native.current_threads())"
    )
    job = subprocess.run(
        [sys.executable, "-c", program],
        env={**others, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert expected in job.stdout


@pytest.mark.parametrize("variable", ["GRADWIRE_ISA", "GRADWIRE_THREADS"])
def test_a_wrong_environment_is_an_error_of_the_command_not_of_the_import(variable: str) -> None:
    environment = {**os.environ, variable: "wrong"}
    for words, code in (["--version"], 0), (["bench", "kernels", "--n", "100"], 2):
        job = subprocess.run(
            [sys.executable, "-m", "gradwire", *words],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert job.returncode == code, job.stderr
        assert "Traceback" not in job.stderr
        assert code == 0 or f"{variable} must be" in job.stderr


@needs_threads
def test_a_forked_process_works_alone() -> None:
    """Its threads are gone; waiting for them would take for ever."""
    native.use_threads(2)
    expected = kernels.absmax(GRADIENT)
    child = os.fork()
    if child == 0:
        right = native.current_threads() == 1 and kernels.absmax(GRADIENT) == expected
        try:
            native.use_threads(2)
        except ConfigError:
            os._exit(0 if right else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
