"""Formats of a few bits per value and float32 scales per block of them.

An encoding is the scales, then the codes, as `gradwire.kernels` lays them out. Blocks begin at the
first value; a block of 0 is one of everything.
"""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass

import numpy as np

from gradwire import kernels
from gradwire.errors import ConfigError, require_integer
from gradwire.kernels import RandomStream
from gradwire.kernels.quantization import MAX_BITS, MAX_BLOCK, SCALES
from gradwire.values.base import Bytes, Encoded, Float32, ValueFormat, typed

UNIFORM_CODE, SIGN_CODE = 3, 4
_CHUNK = 512  # values whose bit planes lie side by side
_BLOCK_UNIT = 16
_FLOAT32 = np.dtype("<f4")


class Blocks(ValueFormat):
    """What formats with scales share."""

    block: int

    def nbytes(self, count: int) -> int:
        """Return the bytes that ``count`` values take."""
        return 4 * self._scale_count(count) + self._code_bytes(count)

    def finite(self, data: Bytes, count: int) -> bool:
        """Tell whether no scale is Inf or NaN: one bad value makes all of its block bad."""
        return kernels.finite_check(self._scales(data, count))

    def part(self, data: Bytes, count: int, begin: int, end: int) -> Bytes:
        """Return a copy of the scales and codes of some values."""
        scale_bytes = 4 * self._scale_count(count)
        first = 4 * self._scale_count(begin) if self.block else 0
        last = 4 * self._scale_count(end) if self.block else scale_bytes if end > begin else 0
        codes = data[scale_bytes:][self._code_bytes(begin) : self._code_bytes(end)]
        return np.concatenate([data[first:last], codes])

    @abc.abstractmethod
    def _scale_count(self, count: int) -> int: ...

    @abc.abstractmethod
    def _code_bytes(self, count: int) -> int: ...

    def _scales(self, data: Bytes, count: int) -> Float32:
        return typed(data[: 4 * self._scale_count(count)], _FLOAT32)

    def _codes(self, data: Bytes, count: int) -> Bytes:
        return data[4 * self._scale_count(count) :]

    def _room(self, count: int) -> tuple[Bytes, Float32, Bytes]:
        """Return memory for an encoding, and its two parts."""
        data = np.empty(self.nbytes(count), np.uint8)
        scale_bytes = 4 * self._scale_count(count)
        return data, data[:scale_bytes].view(np.float32), data[scale_bytes:]


@dataclass(frozen=True)
class Uniform(Blocks):
    """Codes of 2 to 8 bits, evenly spaced up to the block's scale (see `kernels.quantize`).

    Attributes:
        bits: per code.
        block: values per scale, a multiple of 16 up to 65536; 0: all.
        scale: "absmax", the block's largest magnitude; "l2", its Euclidean norm; "minmax", its
            smallest and largest value.
        stochastic: round to one of the two neighbours so that the expectation is the value; else to
            the nearest.
    """

    bits: int
    block: int
    scale: str = "absmax"
    stochastic: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_integer("Uniform: bits", self.bits, 1 if self.scale == "minmax" else 2)
        if self.bits > MAX_BITS:
            raise ConfigError(f"Uniform: bits must be at most {MAX_BITS}, got {self.bits}")
        require_block("Uniform", self.block)
        if self.scale not in SCALES:
            raise ConfigError(
                f"Uniform: scale must be one of {', '.join(SCALES)}, got {self.scale!r}"
            )

    @property
    def code(self) -> int:
        """3."""
        return UNIFORM_CODE

    @property
    def parameters(self) -> int:
        """Bits, kind of scale and block, as on the wire."""
        kind = SCALES.index(self.scale)
        return self.bits | kind << 4 | self.block // _BLOCK_UNIT << 8

    @property
    def alignment(self) -> int:
        """Whole chunks of whole blocks."""
        return math.lcm(_CHUNK, self.block) if self.block else _CHUNK

    def encode(self, values: Float32, stream: RandomStream | None = None) -> Encoded:
        """Return scales and codes."""
        data, scales, codes = self._room(len(values))
        kernels.quantize(
            values, self.bits, self.block, scale=self.scale, random=self._stream(stream),
            out_codes=codes, out_scales=scales,
        )  # fmt: skip
        return Encoded(self, len(values), data)

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, stream: RandomStream | None
    ) -> Encoded:
        """Encode ``residual + gradient`` and keep the error, in one pass."""
        data, scales, codes = self._room(len(gradient))
        kernels.compensate_quantize(
            gradient, residual, self.bits, self.block, acc, scale=self.scale,
            random=self._stream(stream), out_codes=codes, out_scales=scales,
        )  # fmt: skip
        return Encoded(self, len(gradient), data)

    def decode(self, data: Bytes, count: int) -> Float32:
        """Return the values."""
        codes, scales = self._codes(data, count), self._scales(data, count)
        values: Float32 = kernels.dequantize(
            codes, scales, count, self.bits, self.block, scale=self.scale
        )
        return values

    def add(self, data: Bytes, count: int, total: Float32) -> None:
        """Add the values to ``total`` in one pass."""
        codes, scales = self._codes(data, count), self._scales(data, count)
        kernels.dequantize_add(codes, scales, self.bits, self.block, total, scale=self.scale)

    def _scale_count(self, count: int) -> int:
        return kernels.scale_count(count, self.block, self.scale)

    def _code_bytes(self, count: int) -> int:
        return kernels.code_bytes(count, self.bits)

    def _stream(self, stream: RandomStream | None) -> RandomStream | None:
        if not self.stochastic:
            return None
        if stream is None:
            raise ConfigError("Uniform: stochastic rounding needs a random stream")
        return stream


@dataclass(frozen=True)
class Sign(Blocks):
    """One bit per value, and the mean magnitude per block (see `kernels.quantize_sign`).

    Attributes:
        block: values per scale, a multiple of 16 up to 65536; 0: all.
    """

    block: int

    def __post_init__(self) -> None:
        """Check the range."""
        require_block("Sign", self.block)

    @property
    def code(self) -> int:
        """4."""
        return SIGN_CODE

    @property
    def parameters(self) -> int:
        """The block, as on the wire."""
        return self.block // _BLOCK_UNIT << 8

    @property
    def alignment(self) -> int:
        """Whole bytes of whole blocks."""
        return self.block or 8

    def encode(self, values: Float32, stream: RandomStream | None = None) -> Encoded:
        """Return scales and signs."""
        del stream
        data, scales, codes = self._room(len(values))
        kernels.quantize_sign(values, self.block, out_codes=codes, out_scales=scales)
        return Encoded(self, len(values), data)

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, stream: RandomStream | None
    ) -> Encoded:
        """Encode ``residual + gradient`` and keep the error, in one pass."""
        del stream
        data, scales, codes = self._room(len(gradient))
        kernels.compensate_sign(
            gradient, residual, self.block, acc, out_codes=codes, out_scales=scales
        )
        return Encoded(self, len(gradient), data)

    def decode(self, data: Bytes, count: int) -> Float32:
        """Return the values."""
        codes, scales = self._codes(data, count), self._scales(data, count)
        values: Float32 = kernels.dequantize_sign(codes, scales, count, self.block)
        return values

    def add(self, data: Bytes, count: int, total: Float32) -> None:
        """Add the values to ``total`` in one pass."""
        codes, scales = self._codes(data, count), self._scales(data, count)
        kernels.dequantize_sign_add(codes, scales, self.block, total)

    def _scale_count(self, count: int) -> int:
        return kernels.scale_count(count, self.block)

    def _code_bytes(self, count: int) -> int:
        return -(-count // 8)


def require_block(who: str, block: int) -> None:
    """Refuse a length of blocks that the kernels do not have."""
    require_integer(f"{who}: block", block, 0)
    if block > MAX_BLOCK or block % _BLOCK_UNIT:
        raise ConfigError(
            f"{who}: block must be a multiple of {_BLOCK_UNIT} up to {MAX_BLOCK}, or 0, got {block}"
        )
