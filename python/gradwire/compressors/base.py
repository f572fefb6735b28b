"""The contract of a compressor, and what it claims about itself.

A compressor turns an accumulator (the gradient plus what earlier steps left behind) into a
:class:`~gradwire.payload.Payload` and a reduced payload back into a dense vector. It knows nothing
of communication and keeps no state: the same arguments give the same payload on every machine.

Its configuration is its identity: ``id``, keyword arguments, ``repr`` that evaluates to an equal
object, and a round trip through JSON (:meth:`Compressor.config`, ``get_compressor``).
``traits`` are claims; the conformance suite checks each of them on every configuration in
``examples``, for every registered compressor.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from gradwire import kernels
from gradwire.kernels import RandomStream
from gradwire.payload import Float32, Indices, Payload
from gradwire.staging import beside

WORD = 2**32


@dataclass(frozen=True)
class Context:
    """Where a compressor is called: everything that may steer its result besides the data.

    Attributes:
        key: name of the bucket or tensor; randomness depends on it.
        step: number of the exchange for this key, from 0.
        rank: this rank; compressors whose randomness is shared must not use it.
        size: number of ranks.
        seed: the same on all ranks.
        floor: a magnitude that roughly ``budget`` elements are expected to reach; a wrong one
            costs time and never changes a result.
    """

    key: str = ""
    step: int = 0
    rank: int = 0
    size: int = 1
    seed: int = 0
    floor: float = 0.0

    def stream(self) -> RandomStream:
        """Return the random bits of this rank's elements in this exchange."""
        return RandomStream(self.seed, kernels.fnv1a32(self.key), self.step % WORD, self.rank)


@dataclass(frozen=True)
class Traits:
    """What a compressor claims.

    Attributes:
        summable: decompress(sum of payloads) = sum of decompressed payloads, so that any
            allreduce may add the dense values.
        sparse: payloads carry entries.
        lossless: decompress(compress(x)) = x, bit for bit.
        needs_residual: training needs error feedback.
        native: the values have a type that Horovod, MPI and NCCL sum themselves.
        on_device: vectors may also be in a GPU's memory (payloads are on the host).
        omega: n -> w with E||C(x) - x||^2 <= w ||x||^2 and E C(x) = x (unbiased), or None.
        delta: n -> d with E||C(x) - x||^2 <= (1 - d) ||x||^2 (contraction), or None.
        rounding: (relative, absolute) bound of the error of one element in normal range, or None.
    """

    summable: bool = False
    sparse: bool = False
    lossless: bool = False
    needs_residual: bool = False
    native: bool = False
    on_device: bool = False
    omega: Callable[[int], float] | None = None
    delta: Callable[[int], float] | None = None
    rounding: tuple[float, float] | None = None


class Compressor(abc.ABC):
    """Base of all compressors; subclasses are frozen dataclasses, their fields the configuration.

    Class attributes:
        id: name in the registry and in stored configurations.
        examples: configurations that the conformance suite and the benchmarks use.
    """

    id: ClassVar[str]
    examples: ClassVar[tuple[dict[str, Any], ...]] = ({},)

    @property
    @abc.abstractmethod
    def traits(self) -> Traits:
        """The claims of this configuration."""

    @abc.abstractmethod
    def compress(self, acc: Float32, context: Context) -> Payload:
        """Return the payload of ``acc`` ((n,) float32, contiguous), which is only read.

        Deterministic: the same ``acc`` and context give the same bits on every machine.
        """

    @abc.abstractmethod
    def decompress(self, payload: Payload, out: Float32, context: Context) -> None:
        """Write the dense vector that ``payload`` stands for into all of ``out`` ((n,) float32).

        A payload that was received has its values as float32, rounded by their sender; of another
        one that `compress` made, ``payload.received()`` has them.
        """

    def decompress_into_zeros(
        self, payload: Payload, out: Float32, context: Context
    ) -> Indices | None:
        """Do the same where all of ``out`` is zero already.

        Returns the indices of all elements that were written; None if that may be any of them.
        """
        self.decompress(payload, out, context)
        return None

    def compensate(
        self, gradient: Float32, residual: Float32, acc: Float32, context: Context
    ) -> Payload:
        """Write ``acc = residual + gradient`` and return its payload.

        Where dense values are rounded, ``acc`` is what the rounding took away instead: there is
        nothing else that could stay behind. ``acc`` may be ``gradient`` itself; ``residual`` is
        only read. Compressors with a fused kernel override this; the result must be the same.
        """
        kernels.add(residual, gradient, acc)
        return self.compress(acc, context)

    def settle(self, acc: Float32, payload: Payload, delivered: Any, context: Context) -> None:
        """Turn ``acc`` into the next residual: take out of it what got through.

        ``payload`` is what this rank sent, ``delivered`` its indices that the schedule kept. What
        the value format took away from these on their way comes back afterwards, as the schedule's
        correction.
        """
        if len(payload.dense):
            kernels.clear(acc)
        else:
            kernels.clear(acc, *beside(acc, delivered))

    def take_back(self, acc: Float32, begin: int, left: Float32, context: Context) -> None:
        """Add to the settled ``acc`` what rounding took away of sums that this rank owns.

        ``left`` ((count,) float32) belongs to the dense values from ``begin`` on. Compressors whose
        dense values are not those of all elements, in their order, override this.
        """
        owned = acc[begin : begin + len(left)]
        (there,) = beside(owned, left)
        kernels.add(owned, there, owned)

    def config(self) -> dict[str, Any]:
        """Return the configuration as a dictionary that JSON can hold."""
        return {"id": self.id, **dataclasses.asdict(self)}  # type: ignore[call-overload]
