"""What a compression has done so far on this rank, for users and benchmarks."""

from __future__ import annotations

from dataclasses import asdict, dataclass


def allreduce_bytes(nbytes: int, size: int) -> int:
    """Return what a bandwidth-optimal allreduce of ``nbytes`` makes each of ``size`` ranks send."""
    return 2 * nbytes * (size - 1) // size


@dataclass
class Statistics:
    """Totals of this rank since the start.

    Attributes:
        steps: exchanges (one per optimizer step).
        bytes_sent: bytes sent; what Horovod sums itself counts as 2 b (P - 1) / P of its bytes b.
        last_bytes_sent: the same, of the last step alone.
        dense_bytes: what a dense float32 allreduce of the same tensors would have sent.
        messages_sent: messages of gradwire's own exchanges.
        nonfinite_steps: exchanges that met Inf or NaN.
        exchange_seconds: time spent in gradwire's own exchanges.
        last_imbalance: largest share of an owner in the last exchange, over the mean.
    """

    steps: int = 0
    bytes_sent: int = 0
    last_bytes_sent: int = 0
    dense_bytes: int = 0
    messages_sent: int = 0
    nonfinite_steps: int = 0
    exchange_seconds: float = 0.0
    last_imbalance: float = 1.0

    def begin_step(self) -> None:
        """Count a step and start its bytes at 0."""
        self.steps += 1
        self.last_bytes_sent = 0

    def add_sent(self, nbytes: int, dense_nbytes: int) -> None:
        """Add bytes sent, and what dense float32 would have sent, to the step and the totals."""
        self.last_bytes_sent += nbytes
        self.bytes_sent += nbytes
        self.dense_bytes += dense_nbytes

    def as_dict(self) -> dict[str, float]:
        """Return the totals by name."""
        return asdict(self)
