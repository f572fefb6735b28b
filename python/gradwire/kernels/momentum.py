"""Momentum correction fused with selection (Deep Gradient Compression, Lin et al. 2018, 3.1).

With momentum u, residual v, gradient g and factor m:

- plain: ``u = m * u + g``, ``v = v + u``;
- Nesterov: ``u = m * (u + g)``, ``v = (v + u) + g``.

Every product and sum is rounded by itself. The old u and v are only read; after a successful
exchange, `clear` takes what was delivered out of both new ones (momentum factor masking).
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import finite, flag, integer, magnitude
from gradwire.kernels.arrays import MAX_LENGTH, Array
from gradwire.kernels.buffers import Selected, selected, topk_room


def momentum_select(
    gradient: Array,
    momentum: Array,
    residual: Array,
    factor: float,
    threshold: float,
    out_momentum: Array,
    out_acc: Array,
    out_indices: Array,
    out_values: Array,
    *,
    nesterov: bool = False,
) -> Selected:
    """Write the new momentum and residual and select every non-zero ``|residual| >= threshold``.

    gradient: (n,) float32, float16, bfloat16 or float64; momentum, residual, out_momentum, out_acc
    (the new residual): (n,) float32. out_momentum may be gradient itself if that is float32; no
    other arrays may share memory. Outputs and result: see select. One pass, 20 bytes per element of
    float32.
    """
    threshold = magnitude("momentum_select: threshold", threshold)
    result = native.of(gradient).momentum_select(
        gradient,
        momentum,
        residual,
        finite("momentum_select: factor", factor),
        flag("momentum_select: nesterov", nesterov),
        threshold,
        out_momentum,
        out_acc,
        out_indices,
        out_values,
    )
    return selected(result)


def momentum_topk(
    gradient: Array,
    momentum: Array,
    residual: Array,
    factor: float,
    k: int,
    floor: float,
    out_momentum: Array,
    out_acc: Array,
    out_indices: Array | None = None,
    out_values: Array | None = None,
    workspace: Array | None = None,
    *,
    nesterov: bool = False,
) -> Selected:
    """Write the new momentum and residual and select the residual's k largest entries, exactly.

    Arrays: see momentum_select. floor, outputs, workspace and result: see compensate_topk.
    One pass, 20 bytes per element of float32, with a good floor or sample.
    """
    k = integer("momentum_topk: k", k, 0, MAX_LENGTH)
    floor = magnitude("momentum_topk: floor", floor)
    indices, values, work = topk_room(gradient, k, out_indices, out_values, workspace)
    result = native.of(gradient).momentum_topk(
        gradient,
        momentum,
        residual,
        finite("momentum_topk: factor", factor),
        flag("momentum_topk: nesterov", nesterov),
        k,
        floor,
        out_momentum,
        out_acc,
        indices,
        values,
        work,
    )
    return selected(result)
