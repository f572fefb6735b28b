"""``sparse_allreduce``: Ok-Topk as one function call, for any MPI program."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

from gradwire.arrays import (
    as_float32,
    as_vector,
    empty_like,
    fill_nan,
    require_writable,
    writable_float32,
    write_back,
)
from gradwire.communicators import Communicator, MpiCommunicator
from gradwire.communicators.mpi_library import import_mpi
from gradwire.compressors import Compressor, TopK, with_values
from gradwire.errors import ConfigError
from gradwire.exchange import Bucket, Exchange
from gradwire.kernels.arrays import Array, on_device, overlap
from gradwire.recent import Recent
from gradwire.residual import BorrowedResidual, OwnedResidual, Residual
from gradwire.result import OwnedResult, Result, result_in
from gradwire.schedules import OkTopk, refusing
from gradwire.staging import place, vector


class _Session:
    """What calls on one communicator share: the schedule's regions, the call number, the floors.

    A floor only speeds up the next selection of the same size and density.
    """

    def __init__(self) -> None:
        self.schedule = OkTopk()
        self.calls = 0
        self.floors: Recent[tuple[int, str], float] = Recent()


@dataclass(frozen=True)
class _Call:
    """The checked arguments of one call."""

    exchange: Exchange
    bucket: Bucket
    values: Array
    target: Any
    feedback: Residual | None


_sessions: weakref.WeakKeyDictionary[Communicator, _Session] = weakref.WeakKeyDictionary()


def sparse_allreduce(
    gradient: Any,
    density: float = 0.01,
    comm: Any = None,
    residual: Any = None,
    out: Any = None,
    *,
    average: bool = True,
    values: str = "float32",
) -> Any:
    """Return the mean over all ranks of the ``density * n`` largest entries; collective.

    Every rank contributes its k = max(1, round(density * n)) entries of largest magnitude (of
    residual + gradient, if a residual is given); the k largest sums come back, all else is zero.
    Entries that were sent and came back leave the residual; all others stay in it, so over the
    calls nothing is lost. Moved by the Ok-Topk schedule (Li and Hoefler, PPoPP 2022).

    Arrays in a GPU's memory stay there, and what crosses is O(k): 8 bytes of each selected entry to
    the host, where ranks exchange them, and those of the result and of what rounding took away
    back. Dense calls (density 1) bring all values to the host. So does a build without CUDA kernels
    (``python -m gradwire info`` tells), and a residual on the host.

    Args:
        gradient: NumPy or CuPy array or torch tensor of any shape, floating point, the same shape
            on all ranks; only read, unless it is also ``out``.
        density: share of the elements to keep, in (0, 1].
        comm: an mpi4py communicator (default ``MPI.COMM_WORLD``) or a gradwire communicator. A
            private duplicate is made at the first call and kept on it.
        residual: an ``OwnedResidual(n)``, which keeps two vectors of n float32 and needs no copies;
            or a float32 array, contiguous, shaped like ``gradient``, updated in place. Either on
            the host or, for a gradient on a GPU, there: ``OwnedResidual(n, like=gradient)``.
            Without either, what is not delivered is dropped.
        out: where to put the result: an array shaped like ``gradient``, by default a new one of the
            gradient's kind, dtype and device; or an ``OwnedResult(n)``, which is faster as only
            the last result's entries are cleared, or ``OwnedResult(n, like=gradient)``.
        average: divide the sum by the number of ranks.
        values: how values travel: "float32", or rounded to "bf16", "fp16", "int8", "int4" (with a
            scale per 512) or "sign". What rounding takes away goes back into the residual.

    Returns:
        ``out``, or an ``OwnedResult``'s values, only to be read, shaped like ``gradient``; the next
        use of that overwrites them. The same bits on every rank and at every run. If a rank
        brings Inf or NaN, the result is NaN throughout on all ranks and the residual is as it was.

    Raises:
        ConfigError: an argument is wrong on this rank; the others get an AgreementError that says
            so. The communicator stays usable.
        DeviceError: a GPU failed; before the exchange as with ConfigError.
        AgreementError: shapes, dtypes, densities, ``average`` or ``values`` differ between ranks;
            raised on all of them.
        CommunicationError: a peer failed or did not answer; the residual is as it was.
    """
    communicator = _communicator(comm)
    session = _sessions.setdefault(communicator, _Session())
    with refusing(communicator):
        compressor = with_values(TopK(density), values)
        call = _checked(gradient, compressor, communicator, session, residual, out, average)
    result, feedback = _direct(call.target), call.feedback
    early = None if result is None or _holds(feedback, call.values, result) else result
    reduced = call.exchange.reduce(call.bucket, call.values, session.calls, feedback, early)
    session.calls += 1
    scale = 1.0 / communicator.size if average else 1.0
    if not reduced.finite:
        return _filled_with_nan(call.target, gradient)
    if feedback:
        mean = reduced.commit(feedback, scale, result)
        session.floors[len(call.values), repr(compressor)] = feedback.floor
    else:
        mean = reduced.write(result or vector(len(call.values), call.values), scale)
    return _delivered(mean, call.target, gradient)


def _checked(
    gradient: Any,
    compressor: Compressor,
    communicator: Communicator,
    session: _Session,
    residual: Any,
    out: Any,
    average: bool,
) -> _Call:
    """Return what a call needs, or raise ConfigError."""
    values = _values(gradient, residual)
    target = empty_like(gradient) if out is None else out
    if isinstance(target, OwnedResult):
        result_in(target, len(values))
    else:
        _check_array(target, gradient)
    exchange = Exchange(compressor, session.schedule, communicator)
    bucket = Bucket("sparse_allreduce", _description(gradient, average), len(values))
    feedback = None if residual is None else _feedback(residual, gradient, values, target)
    if isinstance(feedback, BorrowedResidual):
        feedback.floor = session.floors.get((len(values), repr(compressor)), 0.0)
    return _Call(exchange, bucket, values, target, feedback)


def _values(gradient: Any, residual: Any) -> Array:
    """Return the gradient's values where the call works: where the residual is, if there is one."""
    kept = residual.values if isinstance(residual, OwnedResidual) else residual
    read = as_vector if kept is None or on_device(kept) else as_float32
    return read(gradient, "gradient")


def _check_array(target: Any, gradient: Any) -> None:
    require_writable(target, "out")
    if tuple(target.shape) != tuple(gradient.shape):
        raise ConfigError(
            f"out must be shaped like gradient, {tuple(gradient.shape)}, got {tuple(target.shape)}"
        )


def _communicator(comm: Any) -> Communicator:
    if isinstance(comm, Communicator):
        return comm
    MPI = import_mpi("sparse_allreduce")
    if comm is None:
        comm = MPI.COMM_WORLD
    if not isinstance(comm, MPI.Intracomm) or comm == MPI.COMM_NULL:
        raise ConfigError(
            f"comm must be an intracommunicator of mpi4py or a gradwire communicator, got {comm!r}"
        )
    return MpiCommunicator.cached(comm)


def _description(gradient: Any, average: bool) -> str:
    """Return what ranks must share for the same result, besides configuration and size."""
    kind = "mean" if average else "sum"
    return f"{kind} of {_short_dtype(gradient)}{list(gradient.shape)}"


def _short_dtype(array: Any) -> str:
    return str(array.dtype).removeprefix("torch.")


def _feedback(residual: Any, gradient: Any, values: Array, target: Any) -> Residual:
    if isinstance(residual, OwnedResidual):
        return _checked_owned(residual, gradient, values, target)
    require_writable(residual, "residual")
    if tuple(residual.shape) != tuple(gradient.shape):
        raise ConfigError(
            f"residual must be shaped like gradient, {tuple(gradient.shape)}, "
            f"got {tuple(residual.shape)}"
        )
    kept = writable_float32(residual)
    if kept is None or place(kept) != place(values):
        raise ConfigError(
            "residual must be float32, contiguous and in host memory or, where gradwire has CUDA "
            f"kernels, on the gradient's GPU, got {_short_dtype(residual)} of shape "
            f"{tuple(residual.shape)} on {_where(residual)}"
        )
    if overlap(kept, gradient):
        raise ConfigError("residual and gradient must not share memory")
    if overlap(kept, _memory(target)):
        raise ConfigError("residual and out must not share memory")
    acc = None if isinstance(target, OwnedResult) else writable_float32(target)
    if acc is not None and (type(acc) is not type(kept) or place(acc) != place(kept)):
        acc = None
    if acc is None or overlap(acc, values):  # a failure must leave the gradient alone
        acc = vector(len(values), kept)
    return BorrowedResidual(kept, acc)


def _where(array: Any) -> str:
    number = place(array)
    return "the host" if number is None else f"GPU {number}"


def _checked_owned(
    residual: OwnedResidual, gradient: Any, values: Array, target: Any
) -> OwnedResidual:
    if len(residual.values) != len(values):
        raise ConfigError(
            f"residual must have as many elements as gradient, {len(values)}, "
            f"got {len(residual.values)}"
        )
    if place(residual.values) != place(values):
        raise ConfigError(
            f"residual must be where the gradient is, on {_where(gradient)}, got one on "
            f"{_where(residual.values)}: make it with OwnedResidual(n, like=gradient)"
        )
    memory = _memory(target)
    if overlap(residual.values, memory) or overlap(residual.acc, memory):
        raise ConfigError("residual and out must not share memory")
    return residual


def _memory(target: Any) -> Any:
    """Return the array in which a result ends up."""
    return target.memory if isinstance(target, OwnedResult) else target


def _direct(target: Any) -> Result | None:
    """Return the target as a result that can be written without a copy; None if it cannot."""
    if isinstance(target, OwnedResult):
        return target
    array = writable_float32(target)
    return None if array is None else Result(array)


def _holds(feedback: Residual | None, values: Array, result: Result) -> bool:
    """Tell whether an output holds what is still needed until the exchange has succeeded."""
    acc = values if feedback is None else feedback.acc
    memory = result.memory
    return overlap(memory, values) or overlap(memory, acc)


def _filled_with_nan(target: Any, gradient: Any) -> Any:
    if isinstance(target, OwnedResult):
        target.fill(float("nan"))
        return target.values.reshape(gradient.shape)
    fill_nan(target)
    return target


def _delivered(mean: Array, target: Any, gradient: Any) -> Any:
    """Return the result as the caller wants it."""
    if isinstance(target, OwnedResult):
        return mean.reshape(gradient.shape)
    direct = writable_float32(target)
    if direct is None or not overlap(direct, mean):
        write_back(mean, target)
    return target
