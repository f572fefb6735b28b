"""Statistics that stay on the device; see `gradwire.kernels.statistics`.

out: (1,) of the type that each names. `gradwire.kernels.histogram` never waits as it is.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, length


def finite_check(x: Array, out: Array) -> None:
    """Queue `gradwire.kernels.finite_check`; out: uint32, which becomes 1 for True, 0 for False."""
    native.cuda().queued_finite_check(x, out)


def absmax(x: Array, out: Array) -> None:
    """Queue `gradwire.kernels.absmax`; out: float32."""
    native.cuda().queued_absmax(x, out)


def norm_workspace(n: int) -> int:
    """Return the bytes of workspace of norm."""
    n = integer("queued.norm_workspace: n", n, 0, MAX_LENGTH)
    return int(native.cuda().queued_norm_workspace(n))


def norm(x: Array, order: int, out: Array, workspace: Array | None = None) -> None:
    """Queue `gradwire.kernels.norm`; out: float64; workspace: norm_workspace(n) bytes."""
    order = integer("queued.norm: order", order, 1, 2)
    if workspace is None:
        workspace = native.workspace(norm_workspace(length(x)), x)
    native.cuda().queued_norm(x, order, out, workspace)


def kth_magnitude_workspace(n: int) -> int:
    """Return the bytes of workspace of kth_magnitude."""
    n = integer("queued.kth_magnitude_workspace: n", n, 0, MAX_LENGTH)
    return int(native.cuda().queued_kth_magnitude_workspace(n))


def kth_magnitude(x: Array, k: int, out: Array, workspace: Array | None = None) -> None:
    """Queue `gradwire.kernels.kth_magnitude`.

    out: float32; workspace: kth_magnitude_workspace(n) bytes.
    """
    k = integer("queued.kth_magnitude: k", k, 1, MAX_LENGTH)
    if workspace is None:
        workspace = native.workspace(kth_magnitude_workspace(length(x)), x)
    native.cuda().queued_kth_magnitude(x, k, out, workspace)
