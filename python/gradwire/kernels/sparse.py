"""Sparse entries and dense vectors: clear, scatter, merge, intersect.

Indices are uint32 and strictly increasing; that is validated before anything is written, and
ConfigError raised otherwise. Everything is deterministic: each sum has one order of additions.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradwire import _cpu
from gradwire.errors import ConfigError
from gradwire.kernels.arrays import Array, View, allocate, require_length, view, writable
from gradwire.kernels.buffers import Named, entries, require_apart


def clear(x: Array, indices: Array) -> None:
    """Set ``x[indices] = 0`` (+0).

    x: (n,) float32, changed in place; indices: (count,) uint32, strictly increasing, below n.
    O(count): 8 bytes per index plus what a cache line costs.
    """
    at, at_indices = writable("clear: x", x, "float32"), view("clear: indices", indices, "uint32")
    require_apart("clear", [("indices", at_indices)], [("x", at)])
    _cpu.clear(at.address, at.size, at_indices.address, at_indices.size)


def scatter(out: Array, indices: Array, values: Array) -> None:
    """Set ``out[indices] = values``, bit for bit.

    out: (n,) float32, changed in place; indices: (count,) uint32, strictly increasing, below n;
    values: (count,) float32. O(count): 12 bytes per entry plus what a cache line costs.
    """
    at, at_indices, at_values = _dense_and_entries("scatter", out, indices, values)
    _cpu.scatter(at.address, at.size, at_indices.address, at_values.address, at_values.size)


def scatter_add(out: Array, indices: Array, values: Array) -> None:
    """Set ``out[indices] = out[indices] + values``.

    out: (n,) float32, changed in place; indices: (count,) uint32, strictly increasing, below n;
    values: (count,) float32. O(count): 16 bytes per entry plus what a cache line costs.
    Denormals are kept even where the thread flushes them to zero.
    """
    at, at_indices, at_values = _dense_and_entries("scatter_add", out, indices, values)
    _cpu.scatter_add(at.address, at.size, at_indices.address, at_values.address, at_values.size)


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
    if len(index_chunks) != len(value_chunks):
        raise ConfigError(
            "merge: index_chunks and value_chunks must be of one length, "
            f"got {len(index_chunks)} and {len(value_chunks)}"
        )
    inputs: list[Named] = []
    chunks: list[tuple[int, int, int]] = []
    for position, (indices, values) in enumerate(zip(index_chunks, value_chunks, strict=True)):
        names = f"index_chunks[{position}]", f"value_chunks[{position}]"
        at_indices = view(f"merge: {names[0]}", indices, "uint32")
        at_values = view(f"merge: {names[1]}", values, "float32")
        require_length(f"merge: {names[1]}", at_values, at_indices.size, names[0])
        inputs += [(names[0], at_indices), (names[1], at_values)]
        chunks.append((at_indices.address, at_values.address, at_indices.size))
    total = sum(count for _, _, count in chunks)
    like = index_chunks[0] if index_chunks else None
    # Given buffers may be smaller than the sum of the counts: only the union has to fit.
    least = 0 if out_indices is not None or out_values is not None else total
    if (out_indices is None) != (out_values is None):
        raise ConfigError("merge: give both out_indices and out_values, or neither")
    out = entries("merge", out_indices, out_values, least, like)
    require_apart("merge", inputs, out.named())
    count = _cpu.merge(chunks, out.at_indices.address, out.at_values.address, out.capacity)
    return out.indices[:count], out.values[:count]


def intersect(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return the common elements of two strictly increasing arrays.

    a, b: uint32. out: at least (min(len(a), len(b)),) uint32, allocated when None.
    Returns the written part of out, strictly increasing. O(len(a) + len(b)), 4 bytes per element.
    """
    at_a, at_b = view("intersect: a", a, "uint32"), view("intersect: b", b, "uint32")
    least = min(at_a.size, at_b.size)
    if out is None:
        out = allocate(least, "uint32", a)
    at_out = writable("intersect: out", out, "uint32", least)
    require_apart("intersect", [("a", at_a), ("b", at_b)], [("out", at_out)])
    count = _cpu.intersect(at_a.address, at_a.size, at_b.address, at_b.size, at_out.address)
    return out[:count]


def _dense_and_entries(
    who: str, out: Array, indices: Array, values: Array
) -> tuple[View, View, View]:
    at = writable(f"{who}: out", out, "float32")
    at_indices = view(f"{who}: indices", indices, "uint32")
    at_values = view(f"{who}: values", values, "float32")
    require_length(f"{who}: values", at_values, at_indices.size, "indices")
    require_apart(who, [("indices", at_indices), ("values", at_values)], [("out", at)])
    return at, at_indices, at_values
