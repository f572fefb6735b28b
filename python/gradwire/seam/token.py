"""The token path: Horovod sums a one-element token per tensor, gradwire moves the gradients.

Horovod submits every parameter of a step before it completes the first one. So when the first
``decompress`` of a step is called, this rank has handed in all of its gradients, and one exchange
in name order is safe whatever the order of the hooks on the ranks. The token's returned value tells
whether all ranks took part (a rank in ``hvd.join()`` adds nothing to it).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradwire.arrays import write_back
from gradwire.buckets import BucketMemory, PlannedBucket
from gradwire.compressors import Compressor
from gradwire.errors import ConfigError, GradwireError
from gradwire.exchange import Exchange
from gradwire.payload import Float32
from gradwire.schedules import refusing, schedule_of
from gradwire.seam.origin import Origin
from gradwire.seam.statistics import Statistics, allreduce_bytes
from gradwire.seam.transport import open_communicator
from gradwire.seam.witness import check_all_take_part


@dataclass(frozen=True)
class TokenConfig:
    """What a token session needs to know."""

    compressor: Compressor
    schedule: Mapping[str, Any]
    transport: str
    seed: int
    bucket_bytes: int
    min_numel: int


@dataclass
class Ticket:
    """One tensor on its way: what ``compress`` hands to ``decompress`` through Horovod."""

    session: TokenSession
    name: str
    tensor: Any
    origin: Origin
    result: Any = None


@dataclass
class TokenSession:
    """All tensors of one optimizer (or of the calls without one), step after step."""

    config: TokenConfig
    statistics: Statistics
    process_set: Any
    has_optimizer: bool
    step: int = 0
    memory: BucketMemory | None = None  # without an optimizer there are no residuals
    _pending: dict[str, Ticket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _exchange: Exchange | None = None

    def __post_init__(self) -> None:
        """Set up the residuals."""
        if self.has_optimizer:
            self.memory = self._new_memory()

    def submit(self, tensor: Any, origin: Origin) -> tuple[Any, Ticket]:
        """Take a tensor in; return the token for Horovod and the ticket for ``decompress``."""
        import torch

        if not tensor.is_floating_point():
            raise ConfigError(
                f"gradwire compresses floating-point tensors only, got {tensor.dtype}"
            )
        with self._lock:
            name = origin.name or f"unnamed{len(self._pending):06d}"
            ticket = Ticket(self, name, tensor, origin)
            self._pending[name] = ticket
        return torch.ones(1), ticket

    def redeem(self, token: Any, ticket: Ticket) -> Any:
        """Return the reduced tensor of a ticket; the first one of a step starts the exchange."""
        if ticket.result is None:
            with self._lock:
                pending, self._pending = self._pending, {}
            check_all_take_part(float(token[0]), ticket.origin, self.process_set.size())
            if pending.get(ticket.name) is not ticket:
                raise GradwireError(
                    f"the gradient {ticket.name!r} was handed in again, or its step was given up, "
                    "before it could be reduced"
                )
            self._exchange_all(pending, float(token[0]))
        return ticket.result

    def state(self) -> dict[str, Any]:
        """Return the step number and the residuals by name."""
        return {"step": self.step, "residuals": self.memory.residuals() if self.memory else {}}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.step = state["step"]
        if self.memory:
            self.memory.load(state["residuals"])

    def close(self) -> None:
        """Free the communicator."""
        if self._exchange is not None:
            self._exchange.communicator.close()
            self._exchange = None

    def _exchange_all(self, tickets: dict[str, Ticket], token: float) -> None:
        """Exchange all tensors of a step; all of the state changes, or nothing does."""
        exchange = self._exchange or self._open()
        counters, start = exchange.communicator.counters, time.perf_counter()
        sent, messages = counters.bytes_sent, counters.messages_sent
        tensors = {name: tickets[name].tensor for name in sorted(tickets)}
        memory = self.memory or self._new_memory()
        with refusing(exchange.communicator):
            buckets = memory.buckets({name: tensor.numel() for name, tensor in tensors.items()})
        feedback = self.memory is not None and exchange.compressor.traits.needs_residual
        dtypes = ", ".join(sorted({str(tensor.dtype) for tensor in tensors.values()}))
        reduced = []
        for planned, residual in buckets:
            with refusing(exchange.communicator):
                collect(planned, tensors, residual.acc)
            bucket = replace(planned.bucket, description=f"{planned.bucket.description}, {dtypes}")
            reduced.append(
                exchange.reduce(bucket, residual.acc, self.step, residual if feedback else None)
            )
        finite = all(each.finite for each in reduced)
        scale = self._scale(next(iter(tickets.values())).origin, token)
        for (planned, residual), each in zip(buckets, reduced, strict=True):
            self.statistics.last_imbalance = each.report.imbalance
            values: Float32 | None = None
            if finite and feedback:
                values = each.commit(residual, scale)
            elif finite:
                values = residual.acc
                each.write(values, scale)
            for member in planned.members:
                ticket = tickets[member.name]
                ticket.result = _deliver(ticket, None if values is None else values[member.span])
        self.step += finite
        self.statistics.messages_sent += counters.messages_sent - messages
        self.statistics.exchange_seconds += time.perf_counter() - start
        self._book(tensors, counters.bytes_sent - sent, finite)

    def _scale(self, origin: Origin, token: float) -> float:
        """Return the factor that Horovod would have applied to the sum."""
        # Without an optimizer the token also carries the caller's pre- and postscale factors.
        known = origin.expected_token if origin.optimizer is not None else None
        return float((token if known is None else known) / self.process_set.size())

    def _new_memory(self) -> BucketMemory:
        # A tail is float32: beside it, a cast's values would no longer be narrow.
        casts = self.config.compressor.traits.rounding is not None
        return BucketMemory(self.config.bucket_bytes, 0 if casts else self.config.min_numel)

    def _open(self) -> Exchange:
        config = self.config
        communicator = open_communicator(self.process_set, config.transport)
        schedule = schedule_of(config.schedule)
        self._exchange = Exchange(config.compressor, schedule, communicator, config.seed)
        return self._exchange

    def _book(self, tensors: dict[str, Any], sent: int, finite: bool) -> None:
        statistics, size = self.statistics, self.process_set.size()
        elements = sum(tensor.numel() for tensor in tensors.values())
        statistics.begin_step()
        statistics.nonfinite_steps += not finite
        tokens = allreduce_bytes(4 * len(tensors), size)
        statistics.add_sent(sent + tokens, allreduce_bytes(4 * elements, size))


def collect(planned: PlannedBucket, tensors: dict[str, Any], bucket: Float32) -> None:
    """Copy tensors into their places in a flat bucket, as float32 in logical order."""
    import torch

    flat = torch.from_numpy(bucket)
    with torch.no_grad():
        for member in planned.members:
            tensor = tensors[member.name].detach()
            flat[member.span].view(tensor.shape).copy_(tensor)


def _deliver(ticket: Ticket, values: Float32 | None) -> Any:
    """Return the reduced tensor: in place for an optimizer's gradient, else a fresh tensor."""
    import torch

    own = ticket.origin.optimizer is not None
    target = ticket.tensor.detach() if own else torch.empty_like(ticket.tensor, requires_grad=False)
    if values is None:
        target.fill_(float(np.nan))
    else:
        write_back(values, target)
    return ticket.tensor if own else target
