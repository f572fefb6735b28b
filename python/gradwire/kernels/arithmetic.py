"""Dense sums and products that come out the same on every rank.

Frameworks can switch a thread to flush denormals to zero. Ranks that do the same arithmetic in such
threads and in others would end with different replicas, so nothing that has to agree is left to
NumPy or torch: here denormals are kept and results rounded to nearest even, whatever the modes.

Vectors are float32, bfloat16 or float16; computed in float32 and rounded to the type of ``out``,
which is that of the inputs or float32. Elementwise and deterministic; overflow gives infinity.
``out`` may be one of the inputs (not a part of one); when None it is allocated with the type of the
first.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import number
from gradwire.kernels.arrays import Array, allocate, dtype_name, length


def add(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return ``out = a + b``.

    a, b, out: (n,), all of one type; or out float32 and a and b of one type; or a and out float32
    and b of any. 12 bytes per element for float32, 6 for the others.
    """
    out = _out(a, out)
    native.of(a).add(a, b, out)
    return out


def scale(x: Array, factor: float, out: Array | None = None) -> Array:
    """Return ``out = x * float32(factor)``.

    x, out: (n,), of one type or out float32. 8 bytes per element for float32, 4 for the others.
    """
    out = _out(x, out)
    native.of(x).scale(x, number("scale: factor", factor), out)
    return out


def scale_add(x: Array, factor: float, out: Array) -> Array:
    """Return ``out = out + x * float32(factor)``; the product is rounded to float32 first.

    x, out: (n,), of one type or out float32. 12 bytes per element for float32, 6 for the others.
    """
    native.of(x).scale_add(x, number("scale_add: factor", factor), out)
    return out


def _out(like: Array, out: Array | None) -> Array:
    return allocate(length(like), dtype_name(like), like) if out is None else out
