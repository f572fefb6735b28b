"""The dynamic table of 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import by_blocks, equals
from gradwire.bench.inputs import Inputs
from gradwire.bench.row import Case, Row, changed
from gradwire.kernels import reference

_BLOCK = 256


def _quantize(inputs: Inputs) -> Case:
    x = inputs.put(inputs.gradient)
    expected = by_blocks(
        lambda part: reference.quantize_dynamic(inputs.gradient[part], _BLOCK), inputs.numel
    )
    codes, scales = (inputs.room(each.size, each.dtype.name) for each in expected)
    return Case(
        lambda: kernels.quantize_dynamic(x, _BLOCK, out_codes=codes, out_scales=scales),
        equals(expected),
    )


def _dequantize_add(inputs: Inputs) -> Case:
    codes = inputs.codes(8)
    scales = np.linspace(1e-3, 1, -(-inputs.numel // _BLOCK), dtype=np.float32)

    def specify(part: slice) -> Any:
        out = inputs.residual[part].copy()
        mine = scales[part.start // _BLOCK : -(-part.stop // _BLOCK)]
        reference.dequantize_dynamic_add(codes[part], mine, _BLOCK, out)
        return (out,)

    message = inputs.put(codes), inputs.put(scales)
    return changed(
        inputs,
        inputs.residual,
        lambda x: np.copyto(x, by_blocks(specify, x.size)[0]),
        lambda x: kernels.dequantize_dynamic_add(*message, _BLOCK, x),
    )


def _scale_bytes(inputs: Inputs) -> int:
    return 4 * -(-inputs.numel // _BLOCK)


DYNAMIC = (
    Row(
        "quantize_dynamic",
        f"8-bit codes of the dynamic table, a scale for {_BLOCK}",
        lambda inputs: 5 * inputs.numel + _scale_bytes(inputs),
        _quantize,
    ),
    Row(
        "dequantize_dynamic_add",
        "8-bit codes of the dynamic table added to a vector",
        lambda inputs: 9 * inputs.numel + _scale_bytes(inputs),
        _dequantize_add,
    ),
)
