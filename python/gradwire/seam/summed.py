"""The summed path: compressed values that Horovod's own allreduce adds (MPI, Gloo or NCCL).

Casts and shared-seed sparsifiers are linear and have a type that Horovod knows, so its data plane
does the work, tensor by tensor, overlapped with the backward pass.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradwire.arrays import write_back
from gradwire.compressors import FP16, Compressor, Context
from gradwire.errors import ConfigError
from gradwire.payload import Float32, Payload
from gradwire.residual import OwnedResidual
from gradwire.seam.origin import Origin
from gradwire.seam.statistics import Statistics, allreduce_bytes
from gradwire.seam.witness import WITNESS_VALUES, check_witness, witness
from gradwire.values import plain


@dataclass
class SummedTicket:
    """One tensor on its way through Horovod's allreduce."""

    session: SummedSession
    tensor: Any
    origin: Origin
    context: Context | None = None
    payload: Payload | None = None


@dataclass
class SummedSession(abc.ABC):
    """All tensors of one optimizer (or of the calls without one)."""

    compressor: Compressor
    statistics: Statistics
    process_set: Any
    _between_steps: bool = field(default=True, init=False)

    def submit(self, tensor: Any, origin: Origin) -> tuple[Any, SummedTicket]:
        """Return what Horovod is to sum, contiguous, and the ticket for ``decompress``."""
        if self._between_steps:
            self._finish_step()
            self.statistics.begin_step()
            self._between_steps = False
        wire, ticket = self._compress(tensor, origin)
        size = self.process_set.size()
        self.statistics.add_sent(
            allreduce_bytes(wire.numel() * wire.element_size(), size),
            allreduce_bytes(4 * tensor.numel(), size),
        )
        return wire, ticket

    def redeem(self, summed: Any, ticket: SummedTicket) -> Any:
        """Return the reduced tensor, in the dtype and shape of the one handed in."""
        self._between_steps = True
        return self._decompress(summed, ticket)

    def state(self) -> dict[str, Any]:
        """Return what the next step depends on."""
        return {}

    def load(self, state: dict[str, Any]) -> None:  # noqa: B027 - nothing to load by default
        """Go on from a state."""

    def close(self) -> None:  # noqa: B027
        """Nothing to free: Horovod moves the data."""

    def _finish_step(self) -> None:  # noqa: B027
        """Settle what the last step left open; called before the next one begins."""

    @abc.abstractmethod
    def _compress(self, tensor: Any, origin: Origin) -> tuple[Any, SummedTicket]: ...

    @abc.abstractmethod
    def _decompress(self, summed: Any, ticket: SummedTicket) -> Any: ...


@dataclass
class CastSession(SummedSession):
    """Values that Horovod sums as they are, or as float16."""

    def _compress(self, tensor: Any, origin: Origin) -> tuple[Any, SummedTicket]:
        import torch

        wire = tensor
        if isinstance(self.compressor, FP16) and tensor.is_floating_point():
            wire = tensor.to(torch.float16)
        elif tensor.dtype == torch.bfloat16:  # Horovod's allreduce does not know it
            wire = tensor.to(torch.float32)
        return wire.contiguous(), SummedTicket(self, tensor, origin)

    def _decompress(self, summed: Any, ticket: SummedTicket) -> Any:
        return summed.to(ticket.tensor.dtype)


@dataclass
class _TensorState:
    residual: OwnedResidual
    step: int = 0


@dataclass
class SparsifierSession(SummedSession):
    """Shared-seed sparsified values, with one residual per parameter.

    Horovod returns the tensors of a step one by one, and the last one may be the one that is not
    finite. So the new residuals wait beside the old ones until the step is over, and replace them
    only if all of its tensors were finite.
    """

    seed: int = 0
    min_numel: int = 0
    _states: dict[str, _TensorState] = field(default_factory=dict, init=False)
    _settled: list[_TensorState] = field(default_factory=list, init=False)
    _finite: bool = field(default=True, init=False)

    def state(self) -> dict[str, Any]:
        """Return step numbers and residuals by name."""
        self._finish_step()
        return {
            "steps": {name: state.step for name, state in self._states.items()},
            "residuals": {
                name: state.residual.values.copy() for name, state in self._states.items()
            },
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._states, self._settled, self._finite = {}, [], True
        for name, values in state["residuals"].items():
            residual = OwnedResidual(len(values))
            residual.values[:] = values
            self._states[name] = _TensorState(residual, state["steps"][name])

    def _compress(self, tensor: Any, origin: Origin) -> tuple[Any, SummedTicket]:
        import torch

        if not tensor.is_floating_point():
            raise ConfigError(
                f"gradwire compresses floating-point tensors only, got {tensor.dtype}"
            )
        if tensor.numel() < max(self.min_numel, 1):
            wire = tensor.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
            return wire, SummedTicket(self, tensor, origin)
        state = self._state(origin, tensor.numel())
        rank, size = self.process_set.rank(), self.process_set.size()
        context = Context(origin.name, state.step, rank, size, self.seed)
        acc = state.residual.acc
        with torch.no_grad():
            torch.from_numpy(acc).view(tensor.shape).copy_(tensor.detach())
        payload = self.compressor.compensate(acc, state.residual.values, acc, context)
        intention = f"{self.compressor!r} {self.seed} {self.min_numel} {state.step}"
        wire = torch.from_numpy(np.concatenate([payload.dense.decode(), witness(intention)]))
        return wire, SummedTicket(self, tensor, origin, context, payload)

    def _decompress(self, summed: Any, ticket: SummedTicket) -> Any:
        """A non-finite sum makes its whole tensor NaN and leaves all residuals alone."""
        import torch

        values: Float32 = summed.to("cpu", torch.float32).reshape(-1).numpy()
        if ticket.payload is not None:
            check_witness(values[-WITNESS_VALUES:], ticket.origin, self.process_set.size())
            values = values[:-WITNESS_VALUES]
        reduced = Payload(dense=plain(values))
        finite = reduced.finite()
        self.statistics.nonfinite_steps += self._finite and not finite
        self._finite = self._finite and finite
        if ticket.payload is None or ticket.context is None:
            return summed.to(ticket.tensor.dtype)
        target = ticket.tensor.detach()
        if not finite:
            target.fill_(float(np.nan))
            return ticket.tensor
        state = self._state(ticket.origin, ticket.tensor.numel())
        self.compressor.settle(state.residual.acc, ticket.payload, None, ticket.context)
        self._settled.append(state)
        out: Float32 = np.empty(ticket.tensor.numel(), np.float32)
        self.compressor.decompress(reduced, out, ticket.context)
        write_back(out, target)
        return ticket.tensor

    def _finish_step(self) -> None:
        if self._finite:
            for state in self._settled:
                state.residual.commit()
                state.step += 1
        self._settled, self._finite = [], True

    def _state(self, origin: Origin, numel: int) -> _TensorState:
        if origin.optimizer is None:
            raise ConfigError(
                "random-k draws positions by parameter name and step, so it works inside "
                "hvd.DistributedOptimizer(named_parameters=...) only; use Compression.oktopk for "
                "hvd.allreduce(tensor, compression=...)"
            )
        if origin.name not in self._states:
            self._states[origin.name] = _TensorState(OwnedResidual(numel))
        state = self._states[origin.name]
        if len(state.residual.values) != numel:
            raise ConfigError(
                f"the residual of {origin.name!r} has {len(state.residual.values)} elements, its "
                f"gradient {numel}; load the state of the same model or start without one"
            )
        return state
