"""Natural compression, and floating-point numbers of 8 bits, alone and in MX blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import by_blocks, different_in_blocks, equals
from gradwire.bench.inputs import Inputs
from gradwire.bench.peers import minifloats as peers
from gradwire.bench.row import Case, Row, changed
from gradwire.kernels import reference

_FORMAT = "e4m3"
_MX_BLOCK = peers.MX_BLOCK
_SEED, _KEY, _STEP = 1, 2, 3


def _quantize_natural(inputs: Inputs) -> Case:
    x, out = inputs.put(inputs.gradient), inputs.room(inputs.numel, "uint8")
    stream = kernels.RandomStream(_SEED, _KEY, _STEP)

    def expect(part: slice) -> Any:
        mine = stream._replace(first=part.start)
        return (reference.quantize_natural(inputs.gradient[part], mine)[0],)

    (codes,) = by_blocks(expect, inputs.numel)
    expected = (codes, reference.finite_check(inputs.gradient))
    return Case(lambda: kernels.quantize_natural(x, stream, out), equals(expected))


def _dequantize_natural_add(inputs: Inputs) -> Case:
    codes = inputs.codes(8)

    def specify(part: slice) -> Any:
        out = inputs.residual[part].copy()
        reference.dequantize_natural_add(codes[part], out)
        return (out,)

    message = inputs.put(codes)
    return changed(
        inputs,
        inputs.residual,
        lambda x: np.copyto(x, by_blocks(specify, x.size)[0]),
        lambda x: kernels.dequantize_natural_add(message, x),
    )


def _to_fp8(inputs: Inputs) -> Case:
    scaled = peers.scaled(inputs)
    x, out = inputs.put(scaled), inputs.room(inputs.numel, "uint8")
    (expected,) = by_blocks(lambda part: (reference.to_fp8(scaled[part], _FORMAT),), scaled.size)
    return Case(lambda: kernels.to_fp8(x, _FORMAT, out), equals(expected))


def _from_fp8(inputs: Inputs) -> Case:
    codes = inputs.codes(8)
    x, out = inputs.put(codes), inputs.room(inputs.numel)

    def wrong(result: Any) -> int:
        return different_in_blocks(lambda part: reference.from_fp8(part, _FORMAT), codes, result)

    return Case(lambda: kernels.from_fp8(x, _FORMAT, out), wrong)


def _quantize_mx(inputs: Inputs) -> Case:
    x = inputs.put(inputs.gradient)
    expected = by_blocks(
        lambda part: reference.quantize_mx(inputs.gradient[part], _FORMAT), inputs.numel
    )
    codes, scales = (inputs.room(each.size, "uint8") for each in expected)
    return Case(
        lambda: kernels.quantize_mx(x, _FORMAT, out_codes=codes, out_scales=scales),
        equals(expected),
    )


def _dequantize_mx(inputs: Inputs) -> Case:
    codes, scales = inputs.codes(8, -(-inputs.numel // 8) * 8), peers.mx_scales(inputs)
    message, out = (inputs.put(codes), inputs.put(scales)), inputs.room(inputs.numel)

    def expect(part: slice) -> Any:
        block = slice(part.start // _MX_BLOCK, -(-part.stop // _MX_BLOCK))
        mine = codes[part.start : -(-part.stop // 8) * 8]
        return (reference.dequantize_mx(mine, scales[block], part.stop - part.start, _FORMAT),)

    (expected,) = by_blocks(expect, inputs.numel)
    return Case(
        lambda: kernels.dequantize_mx(*message, inputs.numel, _FORMAT, out), equals(expected)
    )


def _mx_traffic(inputs: Inputs) -> int:
    return 5 * inputs.numel + -(-inputs.numel // _MX_BLOCK)


MINIFLOATS = (
    Row(
        "quantize_natural",
        "a sign and a power of two in 8 bits, rounded at random",
        lambda inputs: 5 * inputs.numel,
        _quantize_natural,
        peers.NATURAL,
    ),
    Row(
        "dequantize_natural_add",
        "8-bit signs and powers of two added to a vector",
        lambda inputs: 9 * inputs.numel,
        _dequantize_natural_add,
        peers.NATURAL_ADD,
    ),
    Row(
        f"to_fp8/{_FORMAT}",
        f"float32 rounded to {_FORMAT}",
        lambda inputs: 5 * inputs.numel,
        _to_fp8,
        peers.TO_FP8,
    ),
    Row(
        f"from_fp8/{_FORMAT}",
        f"{_FORMAT} as float32",
        lambda inputs: 5 * inputs.numel,
        _from_fp8,
        peers.FROM_FP8,
    ),
    Row(
        f"quantize_mx/{_FORMAT}",
        f"{_FORMAT} in blocks of {_MX_BLOCK} with a power of two",
        _mx_traffic,
        _quantize_mx,
        peers.MX,
    ),
    Row(
        f"dequantize_mx/{_FORMAT}",
        f"{_FORMAT} in blocks of {_MX_BLOCK} with a power of two, as float32",
        _mx_traffic,
        _dequantize_mx,
        peers.FROM_MX,
    ),
)
