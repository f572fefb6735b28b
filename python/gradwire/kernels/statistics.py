"""What a vector's magnitudes look like: finiteness, histogram, k-th largest.

Magnitudes are the float32 bits without the sign, compared as integers: NaN above infinity above
finite numbers. Everything here is exact and deterministic.
"""

from __future__ import annotations

import numpy as np

from gradwire.kernels import native
from gradwire.kernels.arguments import integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, allocate

MAX_HISTOGRAM_BITS = 24
MAGNITUDE_BITS = 31


def finite_check(x: Array) -> bool:
    """Return True if x has neither NaN nor infinity.

    x: (n,) float32. Reads 4 bytes per element; stops early when it finds one.
    """
    return bool(native.cpu.finite_check(x))


def histogram(x: Array, shift: int, bits: int, prefix: int = 0, out: Array | None = None) -> Array:
    """Count the non-zero elements of x by `bits` bits of their magnitude.

    x: (n,) float32. Of the elements with ``magnitude >> (shift + bits) == prefix``, each is counted
    in bin ``(magnitude >> shift) & (2**bits - 1)``. 1 <= bits <= 24, shift + bits <= 31.
    out: at least (2**bits,) uint64; overwritten. Returns the counts, (2**bits,) uint64.
    Reads 4 bytes per element.
    """
    bits = integer("histogram: bits", bits, 1, MAX_HISTOGRAM_BITS)
    shift = integer("histogram: shift", shift, 0, MAGNITUDE_BITS - bits)
    last = (1 << (MAGNITUDE_BITS - shift - bits)) - 1
    prefix = integer("histogram: prefix", prefix, 0, last)
    bins = 1 << bits
    if out is None:
        out = allocate(bins, "uint64", x)
    native.cpu.histogram(x, shift, bits, prefix, out)
    return out[:bins]


def kth_magnitude(x: Array, k: int) -> float:
    """Return the k-th largest magnitude of x, exactly; 0.0 if x has fewer than k non-zeros.

    x: (n,) float32; k >= 1. Reads x three times, 12 bytes per element, most of it at the speed of
    a plain read.
    """
    k = integer("kth_magnitude: k", k, 1, MAX_LENGTH)
    work = np.empty(native.cpu.kth_magnitude_workspace(), np.uint8)
    return float(native.cpu.kth_magnitude(x, k, work))
