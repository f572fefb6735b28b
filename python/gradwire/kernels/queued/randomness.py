"""Operations with random numbers, whose step lies in device memory: (1,) uint32.

The others of `gradwire.kernels` never wait either: a replayed graph would have the same bits again.
"""

from __future__ import annotations

from gradwire.kernels import native
from gradwire.kernels.arguments import WORD, integer
from gradwire.kernels.arrays import MAX_LENGTH, Array, output, trimmed
from gradwire.kernels.random_bits import RandomStream
from gradwire.kernels.transform import block_length, sign_number, stream_word


def random_bits(n: int, random: RandomStream, out: Array, step: Array) -> None:
    """Queue `gradwire.kernels.random_bits`; ``random.step`` does not count."""
    out = output("queued.random_bits", out, n, "uint16", None)
    native.cuda().queued_random_bits(random, step, out)


def random_indices_workspace(n: int) -> int:
    """Return the bytes of workspace of random_indices: n / 8 and some."""
    n = integer("queued.random_indices_workspace: n", n, 0, MAX_LENGTH)
    return int(native.cuda().queued_random_indices_workspace(n))


def random_indices(
    n: int,
    k: int,
    seed: int,
    key: int,
    step: Array,
    out: Array,
    workspace: Array | None = None,
) -> Array:
    """Queue `gradwire.kernels.random_indices` and return a view of its (k,) results.

    workspace: random_indices_workspace(n) bytes.
    """
    n = integer("queued.random_indices: n", n, 0, MAX_LENGTH)
    k = integer("queued.random_indices: k", k, 0, n)
    seed = integer("queued.random_indices: seed", seed, 0, WORD - 1)
    key = integer("queued.random_indices: key", key, 0, WORD - 1)
    if workspace is None:
        workspace = native.workspace(random_indices_workspace(n), out)
    native.cuda().queued_random_indices(n, k, seed, key, step, out, workspace)
    return trimmed(out, k)


def hadamard(
    x: Array,
    block: int,
    out: Array,
    signs: str,
    seed: int,
    key: int,
    step: Array,
    rank: int = 0,
    phase: int = 0,
) -> None:
    """Queue `gradwire.kernels.hadamard` with random signs."""
    who = "queued.hadamard"
    native.cuda().queued_hadamard(
        x,
        block_length(who, block),
        out,
        sign_number(who, signs),
        integer(f"{who}: seed", seed, 0, WORD - 1),
        integer(f"{who}: key", key, 0, WORD - 1),
        step,
        stream_word(who, rank, phase),
    )
