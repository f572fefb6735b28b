"""Random bits that belong to the elements of a tensor, whatever the order of work."""

from __future__ import annotations

from typing import NamedTuple

from gradwire.kernels import native
from gradwire.kernels.arrays import Array, output


class RandomStream(NamedTuple):
    """Whose random bits: seed, key (see fnv1a32) and step are 32-bit words.

    rank: below 2**31; phase: 0 or 1.
    first: the element of the tensor that the first element of the array is, below 2**63. Bits of
    different streams are independent; a part of a tensor uses the bits that the whole would.
    """

    seed: int
    key: int
    step: int
    rank: int = 0
    phase: int = 0
    first: int = 0


def random_bits(n: int, random: RandomStream, out: Array | None = None) -> Array:
    """Return the 16 random bits of each of n elements: (n,) uint16.

    Element e (counted from random.first) uses the block of Philox4x32-10 with key (seed, key) and
    counter (e >> 3 low, e >> 3 high, step, rank | phase << 31): of its word (e >> 1) & 3, the low
    half for even e and the high half for odd e. out: at least (n,) uint16; a NumPy array is
    allocated when None. 2 bytes per element.
    """
    out = output("random_bits", out, n, "uint16", None)
    native.of(out).random_bits(random, out)
    return out
