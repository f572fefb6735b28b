"""Which tensor is it? Horovod hands a compressor a bare tensor, without a name.

``hvd.DistributedOptimizer`` calls ``compress(p.grad)`` from a method whose locals hold the
optimizer and the parameter; they are read from there and checked (the parameter's gradient must be
that very tensor). ``hvd.allreduce(tensor, compression=...)`` is recognised the same way. A caller
that is neither is served without a name: no error feedback, order of calls decides.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from gradwire.errors import ConfigError

_FRAMES = 4  # list comprehension, Horovod's method, and some to spare


@dataclass(frozen=True)
class Origin:
    """Where a tensor comes from.

    Attributes:
        optimizer: the distributed optimizer, or None for a call of ``hvd.allreduce``.
        name: the parameter's name, or "" where there is none.
        process_set: the ranks that take part.
        expected_token: what Horovod makes of a summed 1.0 if all ranks take part, or None if
            unknown.
    """

    optimizer: Any
    name: str
    process_set: Any
    expected_token: float | None


def find_origin(tensor: Any, attached: Sequence[Any] = ()) -> Origin:
    """Return the origin of a tensor that was just handed to ``compress``.

    ``attached`` are optimizers to look through when the caller cannot be recognised.

    Raises:
        ConfigError: the caller wants something that no compressor can do (Adasum, Min, ...).
    """
    import horovod.torch as hvd

    frame: FrameType | None = sys._getframe(2) if hasattr(sys, "_getframe") else None
    for _ in range(_FRAMES):
        if frame is None:
            break
        optimizer, parameter = frame.f_locals.get("self"), frame.f_locals.get("p")
        if parameter is not None and hasattr(optimizer, "_parameter_names"):
            return _from_optimizer(optimizer, parameter, tensor)
        if frame.f_code.co_name in ("allreduce", "grouped_allreduce") and (
            frame.f_globals.get("__name__") == "horovod.torch.mpi_ops"
        ):
            return _from_call(frame.f_locals)
        frame = frame.f_back
    for optimizer in attached:
        for parameter in getattr(optimizer, "_parameter_names", ()):
            if parameter.grad is tensor:
                return _from_optimizer(optimizer, parameter, tensor)
    return Origin(None, "", hvd.global_process_set, None)


def _from_optimizer(optimizer: Any, parameter: Any, tensor: Any) -> Origin:
    import horovod.torch as hvd

    op = getattr(optimizer, "op", hvd.Adasum)  # Horovod's Adasum optimizer has no attribute op
    size = optimizer.process_set.size() if hasattr(optimizer, "process_set") else hvd.size()
    expected = _expected_token(op, size)
    name = optimizer._parameter_names.get(parameter)
    if name is None or not (parameter.grad is tensor or parameter.grad.is_sparse):
        raise ConfigError(
            "gradwire could not tell which parameter a gradient belongs to; this Horovod's "
            "optimizer differs from the versions gradwire knows (0.28)"
        )
    return Origin(optimizer, name, optimizer.process_set, expected)


def _from_call(arguments: dict[str, Any]) -> Origin:
    import horovod.torch as hvd

    op, average = arguments.get("op"), arguments.get("average")
    if op is None:
        op = hvd.Sum if average is False else hvd.Average
    process_set = arguments.get("process_set") or hvd.global_process_set
    expected = _expected_token(op, process_set.size())
    expected *= arguments.get("prescale_factor", 1.0) * arguments.get("postscale_factor", 1.0)
    return Origin(None, "", process_set, expected)


def _expected_token(op: Any, size: int) -> float:
    import horovod.torch as hvd

    if op == hvd.Average:
        return 1.0
    if op == hvd.Sum:
        return float(size)
    raise ConfigError(
        "gradwire's compression works with op=hvd.Average and op=hvd.Sum; Adasum, Min, Max and "
        "Product combine gradients in ways that compressed payloads cannot express. Use "
        "hvd.Compression.none with them"
    )
