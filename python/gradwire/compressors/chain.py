"""Select, then quantise: a sparsifier's entries in fewer bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from gradwire.compressors.base import Compressor, Context, Traits
from gradwire.compressors.bf16 import BF16
from gradwire.compressors.efsignsgd import EFSignSGD
from gradwire.compressors.fp16 import FP16
from gradwire.compressors.qsgd import QSGD
from gradwire.compressors.quantizer import Quantizer
from gradwire.compressors.registry import get_compressor
from gradwire.errors import ConfigError, unknown
from gradwire.payload import Float32, Indices, Payload

# Short names for the values of entries: the formats of `values.NAMED_FORMATS`.
_QUANTIZERS: dict[str, Quantizer] = {
    "fp16": FP16(),
    "bf16": BF16(),
    "int8": QSGD(8, 512, stochastic=False),
    "int4": QSGD(4, 512, stochastic=False),
    "sign": EFSignSGD(512),
}


def with_values(select: Compressor, values: str) -> Compressor:
    """Return a sparse compressor whose entries are written as "float32", "bf16", "int8", ...

    One that keeps everything has no entries, and its dense steps are not rounded.

    Raises:
        ConfigError: there is no such format.
    """
    if values != "float32" and values not in _QUANTIZERS:
        raise unknown("value format", str(values), ["float32", *_QUANTIZERS])
    if values == "float32" or not select.traits.sparse:
        return select
    return Chain(select, _QUANTIZERS[values])


@dataclass(frozen=True, repr=False)
class Chain(Compressor):
    """Sends the entries that ``select`` chooses, in the value format of ``quantize``.

    Rounding happens as messages are written, and what it takes away goes back into the residual: on
    the sender for what it sent, on a region's owner for the sums. Dense steps are not rounded.

    Args:
        select: a sparse compressor, or its configuration.
        quantize: a compressor with a value format (fp16, bf16, qsgd, efsignsgd), or its
            configuration.
    """

    select: Compressor
    quantize: Quantizer

    id: ClassVar[str] = "chain"
    examples: ClassVar[tuple[dict[str, Any], ...]] = tuple(
        {"select": {"id": "topk", "density": 0.05}, "quantize": quantize}
        for quantize in (
            {"id": "bf16"},
            {"id": "fp16"},
            {"id": "qsgd", "bits": 8},
            {"id": "qsgd", "bits": 4, "stochastic": False},
            {"id": "efsignsgd", "block": 512},
        )
    )

    def __post_init__(self) -> None:
        """Make compressors of configurations, and check that they fit."""
        for name in ("select", "quantize"):
            part = getattr(self, name)
            if isinstance(part, (str, Mapping)):
                object.__setattr__(self, name, get_compressor(part))
        select: Any = self.select
        if not isinstance(select, Compressor) or not select.traits.sparse:
            raise ConfigError(f"Chain: select must be a sparse compressor, got {select!r}")
        if not isinstance(self.quantize, Quantizer):
            raise ConfigError(
                f"Chain: quantize must be a compressor with a value format, got {self.quantize!r}"
            )

    def __repr__(self) -> str:
        return f"Chain(select={self.select.config()!r}, quantize={self.quantize.config()!r})"

    @property
    def traits(self) -> Traits:
        """Those of the selection; a contraction if both are."""
        chosen, rounded = self.select.traits.delta, self.quantize.traits
        where = self.select.traits.on_device
        if chosen is None:
            return Traits(sparse=True, needs_residual=True, on_device=where)
        relative = rounded.rounding[0] if rounded.rounding else 0.0

        def delta(n: int) -> float:
            # |C(x) - x|^2 = |x|^2 - t, and the rounding adds at most its share of t >= delta |x|^2.
            kept = rounded.delta(n) if rounded.delta else 1 - relative**2
            return chosen(n) * kept

        contraction = None if rounded.omega else delta
        return Traits(sparse=True, needs_residual=True, on_device=where, delta=contraction)

    def compress(self, acc: Float32, context: Context) -> Payload:
        """Return the chosen entries, to be written in the value format."""
        return self._formatted(self.select.compress(acc, context), context)

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, context: Context
    ) -> Payload:
        """Add and select."""
        return self._formatted(self.select.compensate(gradient, residual, acc, context), context)

    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        """Write what a receiver gets."""
        self.select.decompress(payload.received(), out, context)

    def decompress_into_zeros(
        self, payload: Payload, out: Float32, context: Context
    ) -> Indices | None:
        """Write what a receiver gets into zeros."""
        return self.select.decompress_into_zeros(payload.received(), out, context)

    def settle(self, acc: Float32, payload: Payload, delivered: Any, context: Context) -> None:
        """Take out what got through, as the selection does."""
        self.select.settle(acc, payload, delivered, context)

    def config(self) -> dict[str, Any]:
        """Return the configuration as a dictionary that JSON can hold."""
        return {
            "id": self.id,
            "select": self.select.config(),
            "quantize": self.quantize.config(),
        }

    def _formatted(self, payload: Payload, context: Context) -> Payload:
        return replace(payload, value_format=self.quantize.value_format, stream=context.stream())
