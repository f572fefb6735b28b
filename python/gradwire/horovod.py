"""Compression for an unmodified ``hvd.DistributedOptimizer``.

::

    import horovod.torch as hvd
    from gradwire.horovod import Compression

    optimizer = hvd.DistributedOptimizer(
        optimizer,
        named_parameters=model.named_parameters(),
        compression=Compression.oktopk(density=0.01),
    )

``Average`` and ``Sum``, ``backward_passes_per_step``, ``gradient_predivide_factor``, ``groups``,
process sets, sparse gradients, ``synchronize`` with ``skip_synchronize``, and several optimizers
work as they do with ``hvd.Compression``. ``Adasum`` and ``hvd.join`` do not, and say so on every
rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from gradwire.buckets import DEFAULT_BUCKET_BYTES, DEFAULT_MIN_NUMEL, plan_buckets
from gradwire.compressors import (
    BF16,
    FP16,
    Compressor,
    NoCompression,
    RandomK,
    TopK,
    with_values,
)
from gradwire.errors import ConfigError
from gradwire.schedules import (
    Allgather,
    Dense,
    OkTopk,
    Schedule,
    schedule_of,
)
from gradwire.seam.compression import HorovodCompression, Session
from gradwire.seam.statistics import Statistics
from gradwire.seam.summed import CastSession, SparsifierSession
from gradwire.seam.token import TokenConfig, TokenSession
from gradwire.seam.transport import TRANSPORTS

__all__ = ["Compression", "HorovodCompression"]


def _cast(compressor: Compressor) -> HorovodCompression:
    return HorovodCompression(compressor.config(), partial(_cast_session, compressor))


def _cast_session(
    compressor: Compressor, statistics: Statistics, process_set: Any, has_optimizer: bool
) -> Session:
    return CastSession(compressor, statistics, process_set)


def _exchanged(
    name: str,
    compressor: Compressor,
    schedule: Schedule,
    transport: str = "auto",
    seed: int = 0,
    bucket_bytes: int = DEFAULT_BUCKET_BYTES,
    min_numel: int = DEFAULT_MIN_NUMEL,
) -> HorovodCompression:
    if transport not in TRANSPORTS:
        raise ConfigError(
            f"Compression.{name}: transport must be one of {', '.join(TRANSPORTS)}, "
            f"got {transport!r}"
        )
    _check_common(name, seed, min_numel, bucket_bytes)
    config = {
        **compressor.config(),
        "id": name,
        "schedule": _named(schedule),
        "bucket_bytes": bucket_bytes,
        "min_numel": min_numel,
        "transport": transport,
        "seed": seed,
    }
    settings = TokenConfig(compressor, schedule.config(), transport, seed, bucket_bytes, min_numel)
    return HorovodCompression(config, partial(TokenSession, settings))


def _named(schedule: Schedule) -> str | dict[str, Any]:
    """Return a schedule's name, or its configuration if that is not the default."""
    config = schedule.config()
    return schedule.id if config == type(schedule)().config() else config


def _sparsifier_session(
    compressor: Compressor,
    seed: int,
    min_numel: int,
    statistics: Statistics,
    process_set: Any,
    has_optimizer: bool,
) -> Session:
    return SparsifierSession(compressor, statistics, process_set, seed=seed, min_numel=min_numel)


def _check_common(
    name: str, seed: int, min_numel: int, bucket_bytes: int = DEFAULT_BUCKET_BYTES
) -> None:
    plan_buckets({}, bucket_bytes, min_numel)
    if not isinstance(seed, int) or not 0 <= seed < 1 << 32:
        raise ConfigError(
            f"Compression.{name}: seed must be an integer in [0, 2**32), got {seed!r}"
        )


def _with_options(method: Callable[..., HorovodCompression]) -> Callable[..., HorovodCompression]:
    """Let Horovod say what is wrong when it gets the method in the place of what it returns."""

    def compress(tensor: Any) -> tuple[Any, Any]:
        raise ConfigError(
            f"Compression.{method.__name__} has options: write Compression.{method.__name__}(...)"
        )

    method.compress = compress  # type: ignore[attr-defined]
    return method


class Compression:
    """The compressions to choose from, named as in ``hvd.Compression`` where that has them.

    ``none``, ``fp16`` and ``bf16`` may be used as they stand (one object for the whole program, so
    that ``stats()`` adds up over all optimizers) or called; the others are called with their
    options. Common options of the sparse ones:

    density: share of the elements to send, in (0, 1].
    warmup_steps, ramp_steps: dense steps at first, then steps over which the density falls.
    values: how the values of entries travel: "float32", or rounded to "bf16", "fp16", "int8",
        "int4" (with a scale per 512) or "sign"; what rounding takes away stays in the residual.
    min_numel: tensors with fewer elements (biases, normalisation) travel dense.
    bucket_bytes: selection is exact within buckets of this many bytes of float32.
    transport: "auto" (MPI where Horovod runs on it, else Horovod's alltoall), "mpi", "horovod".
    seed: of the shared randomness; the same on all ranks.
    """

    none = _cast(NoCompression())
    """Float32 as it is, summed by Horovod."""

    fp16 = _cast(FP16())
    """Half precision, summed by Horovod."""

    bf16 = _exchanged("bf16", BF16(), Dense())
    """bfloat16, which Horovod refuses: moved by gradwire, summed in float32."""

    @staticmethod
    @_with_options
    def topk(
        density: float = 0.01,
        warmup_steps: int = 0,
        ramp_steps: int = 0,
        *,
        values: str = "float32",
        min_numel: int = DEFAULT_MIN_NUMEL,
        bucket_bytes: int = DEFAULT_BUCKET_BYTES,
        transport: str = "auto",
        seed: int = 0,
    ) -> HorovodCompression:
        """Top-k with error feedback, all ranks' entries gathered everywhere (grows with P)."""
        compressor = with_values(TopK(density, warmup_steps, ramp_steps), values)
        return _exchanged("topk", compressor, Allgather(), transport, seed, bucket_bytes, min_numel)

    @staticmethod
    @_with_options
    def oktopk(
        density: float = 0.01,
        warmup_steps: int = 0,
        ramp_steps: int = 0,
        *,
        values: str = "float32",
        min_numel: int = DEFAULT_MIN_NUMEL,
        bucket_bytes: int = DEFAULT_BUCKET_BYTES,
        transport: str = "auto",
        seed: int = 0,
    ) -> HorovodCompression:
        """Top-k with error feedback over Ok-Topk's O(k) sparse allreduce."""
        compressor = with_values(TopK(density, warmup_steps, ramp_steps), values)
        return _exchanged("oktopk", compressor, OkTopk(), transport, seed, bucket_bytes, min_numel)

    @staticmethod
    @_with_options
    def custom(
        compressor: Compressor,
        schedule: Schedule | str | Mapping[str, Any] = "oktopk",
        *,
        min_numel: int = DEFAULT_MIN_NUMEL,
        bucket_bytes: int = DEFAULT_BUCKET_BYTES,
        transport: str = "auto",
        seed: int = 0,
    ) -> HorovodCompression:
        """Any compressor, one of another package too, over a schedule.

        ``schedule`` is one of `gradwire.schedules`, its name or its configuration, such as
        ``{"id": "hierarchical", "inner": "gtopk"}``.

        Raises:
            ConfigError: the schedule cannot serve the compressor; the message names one that can.
        """
        if not isinstance(compressor, Compressor):
            raise ConfigError(
                "Compression.custom: expected a compressor such as TopK(density=0.01), got "
                f"{compressor!r}; get_compressor(name, ...) makes one by name"
            )
        made = schedule_of(schedule)
        if type(schedule_of(made.config())) is not type(made):
            raise ConfigError(f"Compression.custom: {made!r} is not what its configuration says")
        made.check(compressor)
        return _exchanged(compressor.id, compressor, made, transport, seed, bucket_bytes, min_numel)

    @staticmethod
    @_with_options
    def randomk(
        density: float = 0.01,
        warmup_steps: int = 0,
        ramp_steps: int = 0,
        *,
        unbiased: bool = False,
        min_numel: int = DEFAULT_MIN_NUMEL,
        seed: int = 0,
    ) -> HorovodCompression:
        """Random-k with a shared seed, its values summed by Horovod."""
        compressor = RandomK(density, warmup_steps, ramp_steps, unbiased)
        _check_common("randomk", seed, min_numel)
        config = {**compressor.config(), "min_numel": min_numel, "seed": seed}

        return HorovodCompression(config, partial(_sparsifier_session, compressor, seed, min_numel))
