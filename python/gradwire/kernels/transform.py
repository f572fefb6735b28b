"""Orthonormal transforms."""

from __future__ import annotations

from gradwire.errors import ConfigError
from gradwire.kernels import native
from gradwire.kernels.arguments import WORD, integer, shown
from gradwire.kernels.arrays import Array, allocate, length

MAX_HADAMARD_BLOCK = 2**24
_SIGNS: dict[str | None, int] = {None: 0, "before": 1, "after": 2}


def hadamard(
    x: Array,
    block: int,
    out: Array | None = None,
    signs: str | None = None,
    seed: int = 0,
    key: int = 0,
    step: int = 0,
    rank: int = 0,
    phase: int = 0,
) -> Array:
    """Return the Walsh-Hadamard transform of every `block` elements of x.

    x, out: (n,) float32, n a multiple of block (pad the last one with zeros); out may be x itself,
    allocated when None. block: a power of two from 2 to 2**24.

    The transform is orthonormal and its own inverse, rows in natural (Sylvester) order:
    ``H[i, j] = (-1) ** popcount(i & j) / sqrt(block)``. Stages add and subtract elements 1, 2, 4,
    ... block / 2 apart, in this order, in float32; float32(1 / sqrt(block)) is multiplied once,
    after the last. Deterministic; denormals are kept; one Inf or NaN spreads over its block.
    Transforming twice gives x back up to an error, in the Euclidean norm of each block, of at most
    ``(log2(block) + 2) * 2**-23`` times the norm; exactly where all intermediate results are
    exact, as for small integers and blocks that are powers of four.

    signs: "before" gives ``H(sign * x)`` and "after" its inverse, ``sign * H(x)``. Element e is
    negated where bit ``e & 31`` of word ``(e >> 5) & 3`` of Philox4x32-10 is set, with key (seed,
    key) and counter (low word of e >> 7, high word, step, rank | phase << 31). seed, key (see
    fnv1a32) and step are 32-bit words, rank < 2**31, phase 0 or 1.

    8 bytes per element from and to memory up to blocks that fit into the second-level cache, then
    8 more for every further factor of 8.
    """
    block, number = block_length("hadamard", block), sign_number("hadamard", signs)
    if out is None:
        out = allocate(length(x), "float32", x)
    native.of(x).hadamard(
        x,
        block,
        out,
        number,
        integer("hadamard: seed", seed, 0, WORD - 1),
        integer("hadamard: key", key, 0, WORD - 1),
        integer("hadamard: step", step, 0, WORD - 1),
        stream_word("hadamard", rank, phase),
    )
    return out


def block_length(who: str, block: int) -> int:
    """Return a block that can be transformed; ConfigError if it cannot be."""
    block = integer(f"{who}: block", block, 2, MAX_HADAMARD_BLOCK)
    if block & (block - 1):
        raise ConfigError(f"{who}: block must be a power of two, got {block}")
    return block


def sign_number(who: str, signs: str | None) -> int:
    """Return the number by which native code knows where the signs go; ConfigError if none."""
    if not (signs is None or isinstance(signs, str)) or signs not in _SIGNS:
        raise ConfigError(f"{who}: signs must be None, 'before' or 'after', got {shown(signs)}")
    return _SIGNS[signs]


def stream_word(who: str, rank: int, phase: int) -> int:
    """Return the word of the counter that tells whose signs they are."""
    rank = integer(f"{who}: rank", rank, 0, WORD // 2 - 1)
    return rank | integer(f"{who}: phase", phase, 0, 1) << 31
