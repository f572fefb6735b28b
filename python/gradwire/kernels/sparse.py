"""Sparse entries and dense vectors: clear, scatter, merge, intersect.

The dense vectors of clear, scatter and scatter_add are float32, bfloat16, float16 or float64, their
values of the same type. Indices are uint32 and strictly increasing; that is validated before
anything is written, and ConfigError raised otherwise. Everything is deterministic: each sum has one
order of additions.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradwire.errors import ConfigError
from gradwire.kernels import native
from gradwire.kernels.arguments import shown
from gradwire.kernels.arrays import Array, allocate, length
from gradwire.kernels.buffers import entries


def clear(x: Array, indices: Array | None = None) -> None:
    """Set ``x[indices] = 0`` (+0), or all of x if there are no indices.

    x: (n,) of a type above, changed in place; indices: (count,) uint32, strictly increasing, below
    n. O(count): at 1 % of n, nearly every entry costs a cache line. All of x: its bytes once.
    """
    native.of(x).clear(x, indices)


def scatter(out: Array, indices: Array, values: Array) -> None:
    """Set ``out[indices] = values``, bit for bit.

    out: (n,) of a type above, changed in place; indices: (count,) uint32, strictly increasing,
    below n; values: (count,) of out's type. O(count): at 1 % of n, nearly every entry costs a cache
    line.
    """
    native.of(out).scatter(out, indices, values)


def scatter_add(out: Array, indices: Array, values: Array) -> None:
    """Set ``out[indices] = out[indices] + values``.

    out: (n,) of a type above, changed in place; indices: (count,) uint32, strictly increasing,
    below n; values: (count,) of out's type. The 16-bit types are added in float32 and rounded to
    nearest even; denormals are kept even where the thread flushes them to zero. O(count): at 1 % of
    n, nearly every entry costs a cache line.
    """
    native.of(out).scatter_add(out, indices, values)


def merge(
    index_chunks: Sequence[Array],
    value_chunks: Sequence[Array],
    out_indices: Array | None = None,
    out_values: Array | None = None,
) -> tuple[Array, Array]:
    """Return the union of sorted chunks, with the values of common indices added.

    index_chunks: P arrays (count_p,) uint32, each strictly increasing; value_chunks: P arrays
    (count_p,) float32. Per index, the values are added in chunk order starting with the first one
    that is present, so the result is bit-identical wherever the chunks are in the same order. Sums
    that are zero stay. Denormals are kept even where the thread flushes them to zero.
    out_indices (uint32), out_values (float32): enough for the union (ConfigError if not; their
    contents are then unspecified); allocated for the sum of the counts when None.
    Returns (indices, values), views of the outputs, sorted. 16 bytes per entry.
    """
    check_chunks("merge", index_chunks, value_chunks)
    if (out_indices is None) != (out_values is None):
        raise ConfigError("merge: give both out_indices and out_values, or neither")
    if out_indices is None:
        like = index_chunks[0] if index_chunks else None
        most = sum(length(chunk) for chunk in index_chunks)
        out_indices, out_values = entries(None, None, most, like)
    union: tuple[Array, Array] = native.of(out_indices).merge(
        list(index_chunks), list(value_chunks), out_indices, out_values
    )
    return union


def check_chunks(who: str, index_chunks: Sequence[Array], value_chunks: Sequence[Array]) -> None:
    """Raise ConfigError unless both are lists, and as long as each other."""
    for name, chunks in (("index_chunks", index_chunks), ("value_chunks", value_chunks)):
        if not isinstance(chunks, (list, tuple, Sequence)):  # the abstract class is slow to ask
            raise ConfigError(f"{who}: {name} must be a list of arrays, got {shown(chunks)}")
    if len(index_chunks) != len(value_chunks):
        raise ConfigError(
            f"{who}: index_chunks and value_chunks must be of one length, "
            f"got {len(index_chunks)} and {len(value_chunks)}"
        )


def intersect(
    a: Array, b: Array, out: Array | None = None, out_positions: Array | None = None
) -> tuple[Array, Array]:
    """Return the common elements of two strictly increasing arrays, and their positions in a.

    a, b: uint32. out, out_positions: at least (min(len(a), len(b)),) uint32, allocated when None.
    Returns the written parts, strictly increasing. O(len(a) + len(b)), 4 bytes per element and 8
    per common one.
    """
    if out is None or out_positions is None:
        most = min(length(a), length(b))
        out = allocate(most, "uint32", a) if out is None else out
        out_positions = allocate(most, "uint32", a) if out_positions is None else out_positions
    common: tuple[Array, Array] = native.of(a).intersect(a, b, out, out_positions)
    return common
