"""Uniform quantisation in blocks, and signs: with and without error feedback, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire import kernels
from gradwire.bench.checks import by_blocks, equals
from gradwire.bench.inputs import Bytes, Floats, Inputs
from gradwire.bench.peers import quantization as peers
from gradwire.bench.row import Case, Peer, Row, changed
from gradwire.kernels import reference

_BLOCK = peers.BLOCK
_SIGN = 1  # bit
_SEED, _KEY, _STEP = 1, 2, 3


def _stream(stochastic: bool, first: int = 0) -> Any:
    return kernels.RandomStream(_SEED, _KEY, _STEP, first=first) if stochastic else None


def _scales(inputs: Inputs) -> int:
    return -(-inputs.numel // _BLOCK)


def _code_bytes(bits: int, inputs: Inputs) -> int:
    return bits * -(-inputs.numel // 8)


def _outputs(bits: int, inputs: Inputs) -> dict[str, Any]:
    return {
        "out_codes": inputs.room(_code_bytes(bits, inputs), "uint8"),
        "out_scales": inputs.room(_scales(inputs)),
    }


def _quantize(bits: int, stochastic: bool, inputs: Inputs) -> Case:
    x, outputs, random = inputs.put(inputs.gradient), _outputs(bits, inputs), _stream(stochastic)
    expected = by_blocks(
        lambda part: reference.quantize(
            inputs.gradient[part], bits, _BLOCK, random=_stream(stochastic, part.start)
        ),
        inputs.numel,
    )
    return Case(
        lambda: kernels.quantize(x, bits, _BLOCK, random=random, **outputs), equals(expected)
    )


def _quantize_sign(inputs: Inputs) -> Case:
    x, outputs = inputs.put(inputs.gradient), _outputs(_SIGN, inputs)
    expected = by_blocks(
        lambda part: reference.quantize_sign(inputs.gradient[part], _BLOCK), inputs.numel
    )
    return Case(lambda: kernels.quantize_sign(x, _BLOCK, **outputs), equals(expected))


def _compensated(
    bits: int, call: Callable[..., Any], specify: Callable[..., Any], inputs: Inputs
) -> Case:
    """Return the case of call(gradient, residual, error, outputs), which returns the codes."""
    gradient, residual = inputs.gradient, inputs.residual
    outputs, error = _outputs(bits, inputs), inputs.room(gradient.size)
    own = inputs.put(gradient), inputs.put(residual)

    def expect(part: slice) -> Any:
        left: Floats = np.empty(part.stop - part.start, np.float32)
        return *specify(gradient[part], residual[part], left, part.start), left

    expected = by_blocks(expect, inputs.numel)
    return Case(lambda: (*call(*own, error, outputs), error), equals(expected))


def _compensate_quantize(bits: int, stochastic: bool, inputs: Inputs) -> Case:
    random = _stream(stochastic)
    return _compensated(
        bits,
        lambda gradient, residual, error, outputs: kernels.compensate_quantize(
            gradient, residual, bits, _BLOCK, error, random=random, **outputs
        ),
        lambda gradient, residual, error, first: reference.compensate_quantize(
            gradient, residual, bits, _BLOCK, error, random=_stream(stochastic, first)
        ),
        inputs,
    )


def _compensate_sign(inputs: Inputs) -> Case:
    return _compensated(
        _SIGN,
        lambda gradient, residual, error, outputs: kernels.compensate_sign(
            gradient, residual, _BLOCK, error, **outputs
        ),
        lambda gradient, residual, error, _: reference.compensate_sign(
            gradient, residual, _BLOCK, error
        ),
        inputs,
    )


def _message(bits: int, inputs: Inputs) -> tuple[Bytes, Floats]:
    """Return random codes and the scales of the gradient's blocks."""
    codes = inputs.codes(8, _code_bytes(bits, inputs))
    starts = np.arange(0, inputs.numel, _BLOCK)
    return codes, np.maximum.reduceat(np.abs(inputs.gradient), starts)


def _put(inputs: Inputs, message: tuple[Bytes, Floats]) -> tuple[Any, Any]:
    return inputs.put(message[0]), inputs.put(message[1])


def _parts(bits: int, message: tuple[Bytes, Floats], part: slice) -> tuple[Bytes, Floats]:
    """Return codes and scales of a part of a vector that begins with a chunk and a block."""
    codes, scales = message
    return (
        codes[bits * part.start // 8 : bits * -(-part.stop // 8)],
        scales[part.start // _BLOCK : -(-part.stop // _BLOCK)],
    )


def _dequantize(bits: int, inputs: Inputs) -> Case:
    message, out = _message(bits, inputs), inputs.room(inputs.numel)
    own = _put(inputs, message)

    def expect(part: slice) -> Any:
        codes, scales = _parts(bits, message, part)
        return (reference.dequantize(codes, scales, part.stop - part.start, bits, _BLOCK),)

    (expected,) = by_blocks(expect, inputs.numel)
    return Case(
        lambda: kernels.dequantize(*own, inputs.numel, bits, _BLOCK, out=out), equals(expected)
    )


def _dequantize_add(bits: int, inputs: Inputs) -> Case:
    message = _message(bits, inputs)
    own = _put(inputs, message)

    def specify(part: slice) -> Any:
        out = inputs.residual[part].copy()
        reference.dequantize_add(*_parts(bits, message, part), bits, _BLOCK, out)
        return (out,)

    return changed(
        inputs,
        inputs.residual,
        lambda x: np.copyto(x, by_blocks(specify, x.size)[0]),
        lambda x: kernels.dequantize_add(*own, bits, _BLOCK, x),
    )


def _dequantize_sign_add(inputs: Inputs) -> Case:
    message = _message(_SIGN, inputs)
    own = _put(inputs, message)
    return changed(
        inputs,
        inputs.residual,
        lambda x: reference.dequantize_sign_add(*message, _BLOCK, x),
        lambda x: kernels.dequantize_sign_add(*own, _BLOCK, x),
    )


def _traffic(bits: int, vectors: int) -> Callable[[Inputs], int]:
    """Return the counted bytes of so many float32 vectors, of codes and of scales."""
    return lambda i: 4 * vectors * i.numel + _code_bytes(bits, i) + 4 * _scales(i)


def _quantize_row(bits: int, stochastic: bool, own_peers: tuple[Peer, ...]) -> Row:
    return Row(
        f"quantize/{bits}{'/stochastic' if stochastic else ''}",
        f"codes of {bits} bits, rounded {'at random' if stochastic else 'to nearest'}, "
        f"and a scale for every {_BLOCK}",
        _traffic(bits, 1),
        lambda inputs: _quantize(bits, stochastic, inputs),
        own_peers,
    )


def _compensate_row(bits: int, stochastic: bool, own_peers: tuple[Peer, ...]) -> Row:
    return Row(
        f"compensate_quantize/{bits}{'/stochastic' if stochastic else ''}",
        "acc = residual + gradient quantised, and what the codes miss of it",
        _traffic(bits, 3),
        lambda inputs: _compensate_quantize(bits, stochastic, inputs),
        own_peers,
    )


QUANTIZATION = (
    _quantize_row(4, False, peers.nearest_peers(4)),
    _quantize_row(8, False, peers.nearest_peers(8)),
    _quantize_row(4, True, peers.stochastic_peers(4)),
    _compensate_row(4, False, peers.compensate_nearest_peers(4)),
    _compensate_row(4, True, peers.compensate_stochastic_peers(4)),
    Row(
        "dequantize/4",
        "4-bit codes as float32",
        _traffic(4, 1),
        lambda inputs: _dequantize(4, inputs),
        peers.dequantize_peers(4),
    ),
    Row(
        "dequantize_add/4",
        "4-bit codes added to a vector",
        _traffic(4, 2),
        lambda inputs: _dequantize_add(4, inputs),
        peers.dequantize_add_peers(4),
    ),
    Row(
        "quantize_sign",
        f"signs, and the mean magnitude of every {_BLOCK}",
        _traffic(_SIGN, 1),
        _quantize_sign,
        peers.SIGN,
    ),
    Row(
        "compensate_sign",
        "acc = residual + gradient as signs, and what they miss of it",
        _traffic(_SIGN, 3),
        _compensate_sign,
        peers.COMPENSATE_SIGN,
    ),
    Row(
        "dequantize_sign_add",
        "signs added to a vector",
        _traffic(_SIGN, 2),
        _dequantize_sign_add,
        peers.SIGN_ADD,
    ),
)
