"""The object that ``hvd.DistributedOptimizer(compression=...)`` takes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from gradwire.errors import ConfigError
from gradwire.seam.origin import Origin, find_origin
from gradwire.seam.statistics import Statistics
from gradwire.seam.summed import SummedSession
from gradwire.seam.token import TokenSession
from gradwire.seam.transport import restart_numbering

Session = TokenSession | SummedSession
STATE_FORMAT = 1
_EMPTY_STATE: dict[str, Any] = {"step": 0, "steps": {}, "residuals": {}}


class HorovodCompression:
    """Compresses the gradients of one or several distributed optimizers.

    Each optimizer gets a session of its own: residuals, step count and, where gradwire moves the
    data, a private communicator. Optimizers must be created and stepped in the same order on all
    ranks, as Horovod itself requires.

    Args:
        config: what identifies this compression, for people and stored states.
        new_session: makes the session for a process set; the last argument says whether it serves
            an optimizer.
    """

    def __init__(
        self,
        config: dict[str, Any],
        new_session: Callable[[Statistics, Any, bool], Session],
    ) -> None:
        self.config = config
        self._new_session = new_session
        self._statistics = Statistics()
        self._attached: list[weakref.ref[Any]] = []
        self._sessions: weakref.WeakKeyDictionary[Any, Session] = weakref.WeakKeyDictionary()
        self._sessions_without_optimizer: weakref.WeakKeyDictionary[Any, Session] = (
            weakref.WeakKeyDictionary()
        )
        self._in_order: list[weakref.ref[Session]] = []
        self._to_load: list[dict[str, Any]] = []

    def __call__(self) -> HorovodCompression:
        """Return a new compression with the same configuration and no state."""
        return HorovodCompression(self.config, self._new_session)

    def __repr__(self) -> str:
        """Show the configuration."""
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.config.items() if k != "id")
        return f"Compression.{self.config['id']}({arguments})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy or pickle the configuration, as launchers do that send it to the ranks.

        Raises:
            ConfigError: there is state, which a copy would lose or share.
        """
        if self._in_order or self._to_load or self._sessions_without_optimizer:
            raise ConfigError(
                f"{self!r} is in use and cannot be copied: call it for a new one of the same "
                "configuration, and carry its state over with state_dict() and load_state_dict()"
            )
        return HorovodCompression, (self.config, self._new_session)

    def compress(self, tensor: Any) -> tuple[Any, Any]:
        """Take a gradient; return the tensor that Horovod sums and the ticket for decompress."""
        origin = find_origin(tensor, [each() for each in self._attached])
        return self._session(origin).submit(tensor, origin)

    def decompress(self, tensor: Any, ticket: Any) -> Any:
        """Return the reduced gradient for what Horovod summed.

        Horovod moves sparse gradients itself and asks with ``ticket=None``: they pass through.
        """
        return tensor if ticket is None else ticket.session.redeem(tensor, ticket)

    def attach(self, optimizer: Any) -> None:
        """Make an optimizer known before its first step.

        Needed only where Python cannot tell who calls (interpreters without frame access).
        """
        if not hasattr(optimizer, "_parameter_names"):
            raise ConfigError(
                "attach expects what hvd.DistributedOptimizer returned, "
                f"got {type(optimizer).__name__}"
            )
        self._attached.append(weakref.ref(optimizer))

    def stats(self) -> dict[str, float]:
        """Return this rank's totals (see :class:`Statistics` for the names)."""
        return self._statistics.as_dict()

    def state_dict(self) -> dict[str, Any]:
        """Return this rank's state: every rank must save and load its own.

        Residuals are torch tensors, so ``torch.save`` and ``torch.load`` work as usual.
        """
        import torch
        from horovod.torch import rank, size

        sessions = [session for ref in self._in_order if (session := ref()) is not None]
        states = []
        for state in [*(session.state() for session in sessions), *self._to_load]:
            residuals = state.get("residuals", {}).items()
            tensors = {name: torch.from_numpy(values.copy()) for name, values in residuals}
            states.append({**state, "residuals": tensors})
        return {
            "format": STATE_FORMAT,
            "config": dict(self.config),
            "rank": rank(),
            "size": size(),
            "optimizers": states,
        }

    def load_state_dict(self, state: dict[str, Any], residual: str = "keep") -> None:
        """Go on from a state that :meth:`state_dict` returned on this rank.

        Args:
            state: the state.
            residual: "keep", or "drop" to start with empty residuals, which is the only choice
                when the number of ranks has changed.

        Raises:
            ConfigError: the state is of another compression, rank or number of ranks.
        """
        from horovod.torch import rank, size

        if residual not in ("keep", "drop"):
            raise ConfigError(f"residual must be 'keep' or 'drop', got {residual!r}")
        if state.get("format") != STATE_FORMAT:
            raise ConfigError(f"state format {STATE_FORMAT} expected, got {state.get('format')!r}")
        if state["config"] != self.config:
            raise ConfigError(f"the state is of {state['config']}, this is {self.config}")
        here = (rank(), size())
        if residual == "keep" and (state["rank"], state["size"]) != here:
            raise ConfigError(
                f"the state is of rank {state['rank']} of {state['size']}, this is rank {here[0]} "
                f"of {here[1]}; load each rank's own, or pass residual='drop'"
            )
        self._to_load = [_as_numpy(each, residual == "drop") for each in state["optimizers"]]
        for ref in self._in_order:
            session = ref()
            if session is not None:
                session.load(self._to_load.pop(0) if self._to_load else _EMPTY_STATE)

    def reset(self) -> None:
        """Forget all state and connections (a callback for Horovod's elastic states)."""
        for session in [*self._sessions.values(), *self._sessions_without_optimizer.values()]:
            session.close()
        self._sessions.clear()
        self._sessions_without_optimizer.clear()
        self._in_order, self._to_load = [], []
        restart_numbering()

    def _session(self, origin: Origin) -> Session:
        if origin.optimizer is None:
            # Not by its number: Horovod gives the number of a removed set to another one.
            session = self._sessions_without_optimizer.get(origin.process_set)
            if session is None:
                session = self._new_session(self._statistics, origin.process_set, False)
                self._sessions_without_optimizer[origin.process_set] = session
            return session
        session = self._sessions.get(origin.optimizer)
        if session is None:
            session = self._new_session(self._statistics, origin.process_set, True)
            self._sessions[origin.optimizer] = session
            self._in_order.append(weakref.ref(session))
            if self._to_load:
                session.load(self._to_load.pop(0))
        return session


def _as_numpy(state: dict[str, Any], drop: bool) -> dict[str, Any]:
    residuals = {
        name: np.zeros(values.numel(), np.float32) if drop else values.numpy().reshape(-1).copy()
        for name, values in state.get("residuals", {}).items()
    }
    return {**state, "residuals": residuals}
