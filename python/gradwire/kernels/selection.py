"""Selection of entries by magnitude.

Magnitudes are compared as integers (the bits without the sign), so the order is total: every NaN
is above infinity, and infinity above every finite number. Every operation here is

- deterministic: results depend on the input bits alone, not on threads or instruction sets;
- exact in its ties: the lowest index wins;
- ordered: indices come out strictly increasing;
- blind to zeros: neither +0 nor -0 is ever selected, and k counts non-zeros.

Values come out as float32. That holds float16 and bfloat16 exactly; float64 is rounded to it as it
is read, to nearest even, before anything else: beyond its range lies infinity.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import integer, magnitude
from gradwire.kernels.arrays import MAX_LENGTH, Array
from gradwire.kernels.buffers import Selected, selected, topk_room


def topk_workspace(n: int, k: int, like: Array | None = None) -> int:
    """Return the bytes of workspace that topk and its relatives need for k of n: O(k), not O(n).

    like: an array that is where x is; None: on the host. Those in a GPU's memory need other sizes.
    """
    n = integer("topk_workspace: n", n, 0, MAX_LENGTH)
    k = integer("topk_workspace: k", k, 0, MAX_LENGTH)
    return int((native.cpu if like is None else native.of(like)).topk_workspace(n, k))


def topk(
    x: Array,
    k: int,
    out_indices: Array | None = None,
    out_values: Array | None = None,
    workspace: Array | None = None,
) -> Selected:
    """Select the k entries of largest magnitude, exactly.

    x: (n,) float32, float16, bfloat16 or float64; k >= 0. out_indices, out_values: at least
    (min(k, n),) uint32 and float32; workspace: at least (topk_workspace(n, k, x),) uint8; each is
    allocated when None, the outputs of the same kind (NumPy or torch) as x. Returns found =
    min(k, non-zeros); threshold is the smallest selected magnitude when k were found, else 0.0.
    Determinism, ties and order: see the module. Reads x once if a sample of it (1/64) tells well
    enough where the k-th magnitude lies, which it does unless neighbours are alike and far ones are
    not; else three to five times.
    """
    k = integer("topk: k", k, 0, MAX_LENGTH)
    indices, values, work = topk_room(x, k, out_indices, out_values, workspace)
    return selected(native.of(x).topk(x, k, indices, values, work))


def select(x: Array, threshold: float, out_indices: Array, out_values: Array) -> Selected:
    """Select every non-zero entry with ``|x| >= threshold``.

    x: (n,) float32, float16, bfloat16 or float64; threshold >= 0 is rounded to float32 and returned
    so. out_indices: (c,) uint32 and out_values: (c,) float32 are the capacity: when found exceeds
    it, the first c entries were written. Determinism and order: see the module. One read.
    """
    threshold = magnitude("select: threshold", threshold)
    result = native.of(x).select(x, threshold, out_indices, out_values)
    return selected(result)


def compensate_select(
    gradient: Array,
    residual: Array,
    threshold: float,
    out_acc: Array,
    out_indices: Array,
    out_values: Array,
) -> Selected:
    """Write ``acc = residual + gradient`` and select every non-zero ``|acc| >= threshold``.

    gradient: (n,) float32, float16, bfloat16 or float64; residual, out_acc: (n,) float32. out_acc
    may be gradient itself if that is float32; no other arrays may share memory. The residual is
    never written. Threshold, outputs and result: see select. One pass, 12 bytes per element of
    float32.
    """
    threshold = magnitude("compensate_select: threshold", threshold)
    result = native.of(gradient).compensate_select(
        gradient, residual, threshold, out_acc, out_indices, out_values
    )
    return selected(result)


def compensate_topk(
    gradient: Array,
    residual: Array,
    k: int,
    floor: float,
    out_acc: Array,
    out_indices: Array | None = None,
    out_values: Array | None = None,
    workspace: Array | None = None,
) -> Selected:
    """Write ``acc = residual + gradient`` and select its k entries of largest magnitude, exactly.

    gradient: (n,) float32, float16, bfloat16 or float64; residual, out_acc: (n,) float32. out_acc
    may be gradient itself if that is float32; no other arrays may share memory. The residual is
    never written. floor >= 0, a guess somewhat below the k-th magnitude (0.0: a sample tells one),
    changes the speed and never the result: 12 bytes per element of float32 while between k and
    3 * k entries reach it, else what topk of the accumulator reads comes on top. Outputs, workspace
    and result: see topk.
    """
    k = integer("compensate_topk: k", k, 0, MAX_LENGTH)
    floor = magnitude("compensate_topk: floor", floor)
    indices, values, work = topk_room(gradient, k, out_indices, out_values, workspace)
    result = native.of(gradient).compensate_topk(
        gradient, residual, k, floor, out_acc, indices, values, work
    )
    return selected(result)
