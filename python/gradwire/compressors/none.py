"""No compression: every value travels as float32. The baseline that all others are held against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from gradwire.compressors.base import Compressor, Context, Traits
from gradwire.payload import Float32, Payload
from gradwire.staging import put
from gradwire.values import plain


@dataclass(frozen=True)
class NoCompression(Compressor):
    """Sends the float32 values themselves (4 bytes per element)."""

    id: ClassVar[str] = "none"

    @property
    def traits(self) -> Traits:
        """Lossless and summable."""
        return Traits(
            summable=True,
            lossless=True,
            native=True,
            on_device=True,
            omega=lambda n: 0.0,
            delta=lambda n: 1.0,
        )

    def compress(self, acc: Float32, context: Context) -> Payload:
        """Return the values as they are (a view of ``acc`` where that is on the host)."""
        return Payload(dense=plain(acc))

    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        """Copy the values."""
        put(out, payload.dense.decode())
