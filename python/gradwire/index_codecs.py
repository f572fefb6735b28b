"""Index codecs: the forms that the increasing indices of a message may have on the wire.

Those of `gradwire.kernels`, and "all" for a region in which nothing is missing. The sender of a
message chooses, by what bytes and computing cost, and the message says what it chose.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradwire import kernels
from gradwire.errors import WireError

Indices = npt.NDArray[np.uint32]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class IndexCodec:
    """A form of indices.

    Attributes:
        code: its number on the wire.
        name: the one that `kernels.encode_indices` knows, or "all".
        entry_seconds: what encoding and decoding of one index take, as `bench kernels` measures.
        position_seconds: the same for every position of the region, taken or not.
    """

    code: int
    name: str
    entry_seconds: float
    position_seconds: float = 0.0

    def largest(self, count: int, length: int) -> int:
        """Return the most bytes that ``count`` indices of ``length`` positions take."""
        return 0 if self.name == "all" else kernels.max_encoded_size(count, length, self.name)

    def fits(self, count: int, length: int) -> bool:
        """Tell whether the codec can hold every set of so many indices."""
        return self.name != "all" or count == length

    def seconds(self, count: int, length: int, byte_seconds: float) -> float:
        """Return about how long the indices keep sender, link and receiver busy."""
        computing = self.entry_seconds * count + self.position_seconds * length
        return computing + byte_seconds * self.largest(count, length)


CODECS = (
    IndexCodec(0, "u32", 2.0e-9),
    IndexCodec(1, "tile16", 2.2e-9),
    IndexCodec(2, "bitmap", 2.5e-9, 1.0e-10),
    IndexCodec(3, "rice", 5.9e-9),
    IndexCodec(4, "all", 1.0e-9),
)
U32 = CODECS[0]


def choose_codec(count: int, length: int, byte_seconds: float) -> IndexCodec:
    """Return the codec that is through first; never one that takes more bytes than "u32"."""
    possible = [
        codec
        for codec in CODECS
        if codec.fits(count, length) and codec.largest(count, length) <= 4 * count
    ]
    return min(possible, key=lambda codec: codec.seconds(count, length, byte_seconds))


def smallest_codec(count: int, length: int) -> IndexCodec:
    """Return the codec that takes the fewest bytes at most."""
    return choose_codec(count, length, 1.0)


def encode_indices(indices: Indices, begin: int, length: int, codec: IndexCodec, out: Bytes) -> int:
    """Write increasing indices of [begin, begin + length) and return how many bytes they took.

    Raises:
        ConfigError: the indices do not increase, or lie outside.
    """
    if codec.name == "all":
        kernels.encode_indices(indices, begin, length, U32.name)  # for its checks
        return 0
    return len(kernels.encode_indices(indices, begin, length, codec.name, out))


def decode_indices(data: Bytes, count: int, begin: int, length: int, codec: IndexCodec) -> Indices:
    """Return the indices that `encode_indices` wrote, from bytes that may be hostile.

    Raises:
        WireError: the bytes are not those of ``count`` increasing indices of the region.
    """
    if codec.name != "all":
        indices: Indices = kernels.decode_indices(data, count, begin, length, codec.name)
        return indices
    if len(data) or count != length:
        raise WireError(
            f"indices: {count} of {length} positions are not all of them, or bytes follow"
        )
    return np.arange(begin, begin + length, dtype=np.uint32)
