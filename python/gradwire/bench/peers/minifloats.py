"""Natural compression and 8-bit floating-point numbers by NumPy and torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire.bench.checks import by_blocks, different, equals
from gradwire.bench.inputs import Bytes, Floats, Inputs
from gradwire.bench.peers import import_torch
from gradwire.bench.row import Case, Peer, changed
from gradwire.kernels import reference

_LOSS_SCALE = 1024.0
MX_BLOCK = 32  # elements that share a scale
_MX_SCALES = (107, 127)  # such as gradients have
_LARGEST_EXPONENT, _LARGEST, _BIAS = 8, 448.0, 127  # of e4m3, and of scales
_NAN = 127  # e4m3, of both signs
_ZERO_EXPONENT = 109  # of a power of two whose natural code would be 0, negated


def scaled(inputs: Inputs) -> Floats:
    """Return the gradient as a loss scale would make it: most of it is in the range of e4m3."""
    return reference.scale(inputs.gradient, _LOSS_SCALE)


def mx_scales(inputs: Inputs) -> Bytes:
    """Return random scales of MX blocks."""
    blocks = -(-inputs.numel // MX_BLOCK)
    generator = np.random.default_rng([inputs.seed, 6])
    return generator.integers(*_MX_SCALES, blocks, np.uint8, endpoint=True)


def _numbers(inputs: Inputs, size: int | None = None) -> Bytes:
    """Return random e4m3 without NaN, whose bits peers need not keep."""
    codes = inputs.codes(8, size)
    codes[codes & _NAN == _NAN] = 0
    return codes


def _torch_natural(inputs: Inputs) -> Case:
    torch = import_torch()
    x = inputs.tensor(inputs.gradient)

    def call() -> Any:
        mantissa, exponent = torch.frexp(x)
        upwards = torch.rand_like(x) < mantissa.abs() * 2 - 1
        code = (exponent - 1 + upwards + _ZERO_EXPONENT).clamp_(0, 127).to(torch.uint8)
        return code | (x < 0).to(torch.uint8) << 7

    def wrong(result: Any) -> int:
        codes = result.numpy()

        def misses(part: slice) -> Any:
            ratio = reference.dequantize_natural(codes[part]) / inputs.gradient[part]
            return (~((ratio > 0.5) & (ratio <= 2)) & (inputs.gradient[part] != 0),)

        return int(np.count_nonzero(by_blocks(misses, codes.size)[0]))

    return Case(call, wrong)


def _natural_table() -> Floats:
    return reference.dequantize_natural(np.arange(256, dtype=np.uint8))


def _numpy_natural_add(inputs: Inputs) -> Case:
    codes, table = inputs.codes(8), _natural_table()
    values: Floats = np.empty(inputs.numel, np.float32)

    def call(out: Floats) -> None:
        np.take(table, codes, out=values, mode="clip")
        np.add(out, values, out=out)

    return changed(
        inputs, inputs.residual, lambda out: np.copyto(out, reference.add(out, table[codes])), call
    )


def _torch_natural_add(inputs: Inputs) -> Case:
    codes, table = inputs.codes(8), _natural_table()
    x, values = inputs.tensor(codes), inputs.tensor(table)
    return changed(
        inputs,
        inputs.residual,
        lambda out: np.copyto(out, reference.add(out, table[codes])),
        lambda out: out.add_(values[x.int()]),
        for_torch=True,
    )


def _torch_to_fp8(inputs: Inputs) -> Case:
    torch = import_torch()
    array = scaled(inputs)
    x, out = inputs.tensor(array), torch.empty(inputs.numel, dtype=torch.float8_e4m3fn)
    (expected,) = by_blocks(lambda part: (reference.to_fp8(array[part], "e4m3"),), array.size)
    return Case(lambda: out.copy_(x), lambda result: _other_bits(torch, result, expected))


def _other_bits(torch: Any, result: Any, expected: Bytes) -> int:
    return different(result.view(torch.uint8).numpy(), expected)


def _torch_from_fp8(inputs: Inputs) -> Case:
    torch = import_torch()
    codes = _numbers(inputs)
    x, out = inputs.tensor(codes).view(torch.float8_e4m3fn), torch.empty(inputs.numel)
    return Case(lambda: out.copy_(x), equals(reference.from_fp8(codes, "e4m3")))


def _numpy_from_fp8(inputs: Inputs) -> Case:
    codes, out = _numbers(inputs), np.empty(inputs.numel, np.float32)
    table = reference.from_fp8(np.arange(256, dtype=np.uint8), "e4m3")
    return Case(
        lambda: np.take(table, codes, out=out, mode="clip"),
        equals(reference.from_fp8(codes, "e4m3")),
    )


def _rows(inputs: Inputs) -> int:
    return -(-inputs.numel // MX_BLOCK)


def _torch_mx(inputs: Inputs) -> Case:
    torch = import_torch()
    padded = np.zeros((_rows(inputs), MX_BLOCK), np.float32)
    padded.reshape(-1)[: inputs.numel] = inputs.gradient
    x = inputs.tensor(padded)

    def call() -> Any:
        _, exponent = torch.frexp(x.abs().amax(1, keepdim=True))
        scale = (exponent - 1 - _LARGEST_EXPONENT).clamp_(-_BIAS, _BIAS)
        codes = torch.ldexp(x, -scale).clamp_(-_LARGEST, _LARGEST).to(torch.float8_e4m3fn)
        return codes, (scale + _BIAS).to(torch.uint8)

    def expect(part: slice) -> Any:
        codes, scales = reference.quantize_mx(inputs.gradient[part], "e4m3")
        return reference.unpack_bits(codes, part.stop - part.start, 8), scales

    expected = by_blocks(expect, inputs.numel)

    def wrong(result: Any) -> int:
        codes = result[0].view(torch.uint8).reshape(-1).numpy()[: inputs.numel]
        return different((codes, result[1].reshape(-1).numpy()), expected)

    return Case(call, wrong)


def _torch_from_mx(inputs: Inputs) -> Case:
    torch = import_torch()
    codes = _numbers(inputs, _rows(inputs) * MX_BLOCK).reshape(-1, MX_BLOCK)
    scales = mx_scales(inputs).reshape(-1, 1)
    x, exponents = inputs.tensor(codes).view(torch.float8_e4m3fn), inputs.tensor(scales)

    def call() -> Any:
        return torch.ldexp(x.float(), exponents.int() - _BIAS)

    power = np.exp2(scales.astype(np.float32) - _BIAS)
    return Case(call, equals(reference.from_fp8(codes, "e4m3") * power))


NATURAL = (Peer("torch: frexp, rand, clamp, uint8", "torch", _torch_natural),)
NATURAL_ADD = (
    Peer("np.take of a table, add", "numpy", _numpy_natural_add),
    Peer("torch: table[codes], add_", "torch", _torch_natural_add),
)
TO_FP8 = (Peer("torch copy_ to float8_e4m3fn", "torch", _torch_to_fp8),)
FROM_FP8 = (
    Peer("torch copy_ from float8_e4m3fn", "torch", _torch_from_fp8),
    Peer("np.take of a table", "numpy", _numpy_from_fp8),
)
MX = (Peer("torch: amax, frexp, ldexp, float8", "torch", _torch_mx),)
FROM_MX = (Peer("torch: float8, ldexp", "torch", _torch_from_mx),)
