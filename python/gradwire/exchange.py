"""The way of one bucket through gradwire: compensate, compress, exchange, commit, decompress."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gradwire import kernels
from gradwire.communicators.base import Communicator
from gradwire.compressors import Compressor, Context
from gradwire.errors import AgreementError, ConfigError
from gradwire.kernels.arrays import on_device
from gradwire.payload import Float32, Payload
from gradwire.residual import Residual, next_floor
from gradwire.result import Result, result_in
from gradwire.schedules import Agreement, Outcome, Report, Schedule, refusing
from gradwire.staging import put, to_host


@dataclass(frozen=True)
class Bucket:
    """One flat bucket of gradients on its way.

    Attributes:
        name: the same on all ranks; randomness depends on it.
        description: what the bucket consists of, the same on all ranks, for the agreement.
        numel: number of elements.
        tail: how many of them, at the end, travel dense: small tensors, in which every element
            counts.
    """

    name: str
    description: str
    numel: int
    tail: int = 0


@dataclass(frozen=True)
class Reduced:
    """A bucket that has been exchanged, before anything of this rank's state has changed.

    Attributes:
        finite: False if any rank brought, or any sum became, Inf or NaN; do not commit then.
        report: what the exchange cost.
    """

    finite: bool
    report: Report
    _compressor: Compressor
    _bucket: Bucket
    _context: Context
    _head: Payload
    _outcome: Outcome
    _result: Result | None = None

    def commit(
        self, residual: Residual, scale: float, out: Float32 | Result | None = None
    ) -> Float32:
        """Update the residual and return the (n,) float32 sums times ``scale``.

        The same bits on every rank. Without ``out``, here or in `Exchange.reduce`, the memory is
        the residual's accumulator, which the next exchange of this bucket overwrites.

        Raises:
            ConfigError: ``out`` has another size; nothing has changed.
        """
        if out is not None:
            out = result_in(out, self._bucket.numel)
        cut = self._bucket.numel - self._bucket.tail
        self._compressor.settle(
            residual.acc[:cut], self._head, self._outcome.delivered, self._context
        )
        correction = self._outcome.correction
        correction.add_entries_to(residual.acc[:cut])
        if len(correction.dense):
            self._compressor.take_back(
                residual.acc[:cut], correction.begin, correction.dense, self._context
            )
        if self._bucket.tail:
            kernels.clear(residual.acc[cut:])
        free = residual.commit()
        residual.floor = _floor_of(self._head)
        return self.write(out or self._result or free, scale)

    def write(self, out: Float32 | Result, scale: float) -> Float32:
        """Write the sums times ``scale`` into ``out`` and forget what did not get through.

        Returns them as others see them: ``out``, or the values of an `OwnedResult`.
        """
        result = result_in(out, self._bucket.numel)
        if self._result and result.memory is self._result.memory:
            result = self._result
        cut = self._bucket.numel - self._bucket.tail
        reduced = self._outcome.reduced.scaled(scale)
        head = result.memory[:cut]
        if _among_zeros(self._compressor, reduced):
            result.clear()
            written = self._compressor.decompress_into_zeros(reduced, head, self._context)
        else:
            self._compressor.decompress(reduced, head, self._context)
            written = None
        put(result.memory[cut:], reduced.tail)
        result.wrote(written, self._bucket.tail)
        return result.values


class Exchange:
    """Takes buckets of all ranks to their common sum.

    Args:
        compressor: what is sent.
        schedule: how it is moved and reduced.
        communicator: private to this exchange.
        seed: the same on all ranks.

    Raises:
        ConfigError: the schedule cannot serve the compressor, or these ranks.
    """

    def __init__(
        self,
        compressor: Compressor,
        schedule: Schedule,
        communicator: Communicator,
        seed: int = 0,
    ) -> None:
        schedule.check(compressor)
        schedule.check_ranks(communicator)
        self.compressor = compressor
        self.schedule = schedule
        self.communicator = communicator
        self.seed = seed
        self._worker: ThreadPoolExecutor | None = None
        self._started: dict[Future[Reduced], Residual | None] = {}

    def reduce(
        self,
        bucket: Bucket,
        gradient: Float32,
        step: int,
        residual: Residual | None = None,
        out: Float32 | Result | None = None,
    ) -> Reduced:
        """Exchange one bucket; collective. The residual's values are only read.

        With a residual, its accumulator becomes residual + gradient; ``gradient`` may be that
        accumulator. Both may be in a GPU's memory if the compressor can work there (`Traits`); the
        gradient may then also be float16 or bfloat16. ``out``: where the result will be, an
        `OwnedResult` or an array, on the host or a GPU; it may be overwritten at once, so that it
        is ready when the result is there. It shares no memory with the others.

        Raises:
            ConfigError: the gradient or ``out`` is not of the bucket's size; the compressor works
                on the host only, and the gradient is not there; exchanges that were started are
                under way.
            AgreementError: on all ranks, if they are not about to do the same; on the others, if
                this one raises before the exchange (from the compressor, say).
            WireError, CommunicationError: the exchange failed; the peers are told.
        """
        if self._under_way():
            raise ConfigError("Exchange.reduce: exchanges that were started are under way")
        return self._reduce(bucket, gradient, step, residual, out)

    def _reduce(
        self,
        bucket: Bucket,
        gradient: Float32,
        step: int,
        residual: Residual | None,
        out: Float32 | Result | None,
    ) -> Reduced:
        communicator = self.communicator
        floor = residual.floor if residual else 0.0
        context = Context(bucket.name, step, communicator.rank, communicator.size, self.seed, floor)
        with refusing(communicator):
            result = None if out is None else result_in(out, bucket.numel)
            head, tail = self._compress(bucket, gradient, residual, context)
            payload, agreement = head.with_tail(tail), self._agreement(bucket, step)
        soon = result.clearing() if result and _among_zeros(self.compressor, payload) else iter(())
        try:
            with communicator.while_waiting(soon):
                outcome = self.schedule.exchange(payload, agreement, communicator)
        except AgreementError:  # all ranks know
            raise
        except BaseException as error:
            communicator.fail(error)
            raise
        return Reduced(
            outcome.finite, outcome.report, self.compressor, bucket, context, head, outcome, result
        )

    def start(
        self,
        bucket: Bucket,
        gradient: Float32,
        step: int,
        residual: Residual | None = None,
        out: Float32 | Result | None = None,
    ) -> Future[Reduced]:
        """Begin `reduce` on a thread of this exchange; return a future of what it returns.

        Buckets are exchanged one after the other in the order in which they were started, which
        must be the same on all ranks. The exchange makes progress while this thread computes. Until
        a future is done its gradient, residual and ``out`` belong to the exchange, and the
        communicator is not to be used as long as any is under way. One thread starts exchanges.

        Raises:
            ConfigError: the communicator's ranks are bound to one thread; the gradient or
                ``out`` is in a GPU's memory; the residual is that of an exchange that is under way.
        """
        if not self.communicator.any_thread:
            raise ConfigError(f"Exchange.start: {self.communicator!r} is bound to its thread")
        if on_device(gradient) or on_device(out.memory if isinstance(out, Result) else out):
            raise ConfigError(
                "Exchange.start: gradient and out must be on the host, as other threads do not "
                "have this one's CUDA stream; use Exchange.reduce"
            )
        if residual and any(residual is other for other in self._under_way().values()):
            raise ConfigError("Exchange.start: an exchange with this residual is under way")
        if self._worker is None:
            self._worker = ThreadPoolExecutor(1, thread_name_prefix="gradwire")
        future = self._worker.submit(self._reduce, bucket, gradient, step, residual, out)
        self._started[future] = residual
        return future

    def _under_way(self) -> dict[Future[Reduced], Residual | None]:
        """Return the exchanges that were started and are not done, with their residuals."""
        for future in [future for future in self._started if future.done()]:
            del self._started[future]
        return self._started

    def _compress(
        self, bucket: Bucket, gradient: Float32, residual: Residual | None, context: Context
    ) -> tuple[Payload, Float32]:
        """Return the payload of all but the tail, and the tail."""
        if len(gradient) != bucket.numel:
            raise ConfigError(
                f"Exchange: bucket {bucket.name!r} has {bucket.numel} elements, the gradient "
                f"{len(gradient)}"
            )
        if on_device(gradient) and not self.compressor.traits.on_device:
            raise ConfigError(
                f"Exchange: {self.compressor!r} works on the host, and the gradient is in a GPU's "
                "memory; copy it, and use a residual and a result on the host"
            )
        cut = bucket.numel - bucket.tail
        if residual is None:
            return self.compressor.compress(gradient[:cut], context), to_host(gradient[cut:])
        acc = residual.acc
        head = self.compressor.compensate(gradient[:cut], residual.values[:cut], acc[:cut], context)
        if gradient is not acc:
            put(acc[cut:], gradient[cut:])
        return head, to_host(acc[cut:])

    def _agreement(self, bucket: Bucket, step: int) -> Agreement:
        return Agreement.of(
            {
                "compressor": self.compressor.config(),
                "schedule": self.schedule.config(),
                "seed": self.seed,
                "bucket": bucket.name,
                "contents": bucket.description,
                "elements": bucket.numel,
                "of which dense": bucket.tail,
            },
            step,
        )


def _among_zeros(compressor: Compressor, payload: Payload) -> bool:
    """Tell whether what a payload stands for is entries among zeros."""
    return compressor.traits.sparse and not len(payload.dense)


def _floor_of(payload: Payload) -> float:
    """Return a floor for the next selection from what this one kept."""
    if not len(payload.values):
        return 0.0
    return next_floor(float(np.abs(payload.values).min()))
