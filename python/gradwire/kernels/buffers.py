"""Results of selections, and the arrays around them."""

from __future__ import annotations

from typing import NamedTuple

from gradwire.kernels import native
from gradwire.kernels.arrays import Array, allocate, length


class Selected(NamedTuple):
    """Entries chosen from a vector, in index order.

    indices: (count,) uint32 and values: (count,) float32 are views of the output buffers, trimmed
    to what was written. found: how many entries qualified; more than count if the buffers were too
    small. threshold: smallest selected magnitude, or what the operation's docstring says.
    """

    indices: Array
    values: Array
    found: int
    threshold: float


def selected(result: tuple[Array, Array, int, float]) -> Selected:
    """Return what a native selection returned by name."""
    # Selected._make does the same and takes three times as long.
    return tuple.__new__(Selected, result)


def entries(
    indices: Array | None, values: Array | None, size: int, like: Array
) -> tuple[Array, Array]:
    """Return output buffers, allocated like `like` for `size` entries where they are None."""
    return (
        allocate(size, "uint32", like) if indices is None else indices,
        allocate(size, "float32", like) if values is None else values,
    )


def topk_room(
    x: Array, k: int, indices: Array | None, values: Array | None, workspace: Array | None
) -> tuple[Array, Array, Array]:
    """Return outputs and workspace for the top k of x, allocated where they are None."""
    if indices is None or values is None or workspace is None:
        n = length(x)
        indices, values = entries(indices, values, min(k, n), x)
        if workspace is None:
            workspace = native.workspace(native.of(x).topk_workspace(n, k), x)
    return indices, values, workspace
