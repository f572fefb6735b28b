"""Selection of entries by magnitude.

Magnitudes are compared as integers (the bits without the sign), so the order is total: every NaN
is above infinity, and infinity above every finite number. Every operation here is

- deterministic: results depend on the input bits alone, not on threads or instruction sets;
- exact in its ties: the lowest index wins;
- ordered: indices come out strictly increasing;
- blind to zeros: neither +0 nor -0 is ever selected, and k counts non-zeros.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import integer, magnitude
from gradwire.kernels.arrays import MAX_LENGTH, Array, length
from gradwire.kernels.buffers import Selected, entries, selected, workspace_of


def topk_workspace(k: int) -> int:
    """Return the bytes of workspace that topk and compensate_topk need for k: O(k), not O(n)."""
    return int(native.cpu.topk_workspace(integer("topk_workspace: k", k, 0, MAX_LENGTH)))


def topk(
    x: Array,
    k: int,
    out_indices: Array | None = None,
    out_values: Array | None = None,
    workspace: Array | None = None,
) -> Selected:
    """Select the k entries of largest magnitude, exactly.

    x: (n,) float32; k >= 0. out_indices, out_values: at least (min(k, n),) uint32 and float32;
    workspace: at least (topk_workspace(min(k, n)),) uint8; each is allocated when None, the outputs
    of the same kind (NumPy or torch) as x. Returns found = min(k, non-zeros); threshold is the
    smallest selected magnitude when k were found, else 0.0. Determinism, ties and order: see the
    module. Reads 8 bytes per element; more only if over k + 4096 entries share the 13 leading
    magnitude bits of the k-th.
    """
    k = integer("topk: k", k, 0, MAX_LENGTH)
    most = min(k, length(x))
    indices, values = entries(out_indices, out_values, most, x)
    work = workspace_of(workspace, native.cpu.topk_workspace(most))
    return selected(indices, values, native.cpu.topk(x, k, indices, values, work))


def select(x: Array, threshold: float, out_indices: Array, out_values: Array) -> Selected:
    """Select every non-zero entry with ``|x| >= threshold``.

    x: (n,) float32; threshold >= 0 is rounded to float32 and returned so. out_indices: (c,) uint32
    and out_values: (c,) float32 are the capacity: when found exceeds it, the first c entries were
    written. Determinism and order: see the module. Reads 4 bytes per element.
    """
    threshold = magnitude("select: threshold", threshold)
    result = native.cpu.select(x, threshold, out_indices, out_values)
    return selected(out_indices, out_values, result)


def compensate_select(
    gradient: Array,
    residual: Array,
    threshold: float,
    out_acc: Array,
    out_indices: Array,
    out_values: Array,
) -> Selected:
    """Write ``acc = residual + gradient`` and select every non-zero ``|acc| >= threshold``.

    gradient, residual, out_acc: (n,) float32. out_acc may be gradient itself; no other arrays may
    share memory. The residual is never written. Threshold, outputs and result: see select.
    One pass, 12 bytes per element.
    """
    threshold = magnitude("compensate_select: threshold", threshold)
    result = native.cpu.compensate_select(
        gradient, residual, threshold, out_acc, out_indices, out_values
    )
    return selected(out_indices, out_values, result)


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

    gradient, residual, out_acc: (n,) float32. out_acc may be gradient itself; no other arrays may
    share memory. The residual is never written. floor >= 0, a guess somewhat below the k-th
    magnitude (0.0 if there is none), changes the speed and never the result: 12 bytes per element
    while between k and 2 * k + 4096 entries reach it, else 16 (too low) or 20 (too high).
    Outputs, workspace and result: see topk.
    """
    k = integer("compensate_topk: k", k, 0, MAX_LENGTH)
    floor = magnitude("compensate_topk: floor", floor)
    most = min(k, length(gradient))
    indices, values = entries(out_indices, out_values, most, gradient)
    work = workspace_of(workspace, native.cpu.topk_workspace(most))
    result = native.cpu.compensate_topk(
        gradient, residual, k, floor, out_acc, indices, values, work
    )
    return selected(indices, values, result)
