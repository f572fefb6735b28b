"""What a vector's magnitudes look like: finiteness, histogram, k-th largest.

Magnitudes are the float32 bits without the sign, compared as integers: NaN above infinity above
finite numbers. Everything here is exact and deterministic. A float64 element counts as the float32
nearest to it: one beyond float32's range is infinite.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, allocate, length, trimmed

MAX_HISTOGRAM_BITS = 24
MAGNITUDE_BITS = 31


def finite_check(x: Array) -> bool:
    """Return True if x has neither NaN nor infinity.

    x: (n,) float32, float16, bfloat16 or float64. One read; stops early when it finds one.
    """
    return bool(native.of(x).finite_check(x))


def absmax(x: Array) -> float:
    """Return the largest magnitude of x; 0.0 if x is empty, NaN if it has one.

    x: (n,) float32, float16, bfloat16 or float64. Exact; one read.
    """
    return float(native.of(x).absmax(x))


def norm(x: Array, order: int = 2) -> float:
    """Return the sum of magnitudes (order 1) or the Euclidean norm (order 2) of x, in float64.

    x: (n,) float32, float16, bfloat16 or float64. The same bits everywhere: in tiles of 4,096
    elements lane l of 16 adds the elements l, l + 16, ... in index order; the lanes of a tile are
    added pairwise, and so are the tiles, as a binary counter carries. One read.
    """
    return float(native.of(x).norm(x, integer("norm: order", order, 1, 2)))


def histogram(x: Array, shift: int, bits: int, prefix: int = 0, out: Array | None = None) -> Array:
    """Count the non-zero elements of x by `bits` bits of their magnitude.

    x: (n,) float32, float16, bfloat16 or float64, which count as the float32 they stand for or are
    nearest to. Of the elements with ``magnitude >> (shift + bits) == prefix``, each is counted in
    bin ``(magnitude >> shift) & (2**bits - 1)``. 1 <= bits <= 24, shift + bits <= 31. out: at least
    (2**bits,) uint64; overwritten. Returns the counts, (2**bits,) uint64. One read.
    """
    bits = integer("histogram: bits", bits, 1, MAX_HISTOGRAM_BITS)
    shift = integer("histogram: shift", shift, 0, MAGNITUDE_BITS - bits)
    last = (1 << (MAGNITUDE_BITS - shift - bits)) - 1
    prefix = integer("histogram: prefix", prefix, 0, last)
    bins = 1 << bits
    if out is None:
        out = allocate(bins, "uint64", x)
    native.of(x).histogram(x, shift, bits, prefix, out)
    return trimmed(out, bins)


def kth_magnitude(x: Array, k: int) -> float:
    """Return the k-th largest magnitude of x, exactly; 0.0 if x has fewer than k non-zeros.

    x: (n,) float32, float16, bfloat16 or float64; k >= 1. Reads x twice, or three times where a
    sample of it misleads.
    """
    k = integer("kth_magnitude: k", k, 1, MAX_LENGTH)
    work = native.workspace(native.of(x).kth_magnitude_workspace(length(x)), x)
    return float(native.of(x).kth_magnitude(x, k, work))
