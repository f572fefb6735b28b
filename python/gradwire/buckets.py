"""Many tensors as a few flat buckets, in an order that all ranks share.

Tensors are taken in name order and packed into buckets of at most ``bucket_bytes`` (a larger tensor
gets one of its own). Within a bucket the tensors with fewer than ``min_numel`` elements come last:
their elements (biases, normalisation) are few and each of them counts, so they travel dense.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradwire.errors import ConfigError, require_integer
from gradwire.exchange import Bucket
from gradwire.payload import Float32
from gradwire.residual import OwnedResidual

DEFAULT_BUCKET_BYTES = 64 << 20
DEFAULT_MIN_NUMEL = 1024


@dataclass(frozen=True)
class Member:
    """Where one tensor lies in its bucket, in elements."""

    name: str
    begin: int
    numel: int

    @property
    def span(self) -> slice:
        """The tensor's part of the bucket."""
        return slice(self.begin, self.begin + self.numel)


@dataclass(frozen=True)
class PlannedBucket:
    """A bucket and the tensors in it."""

    bucket: Bucket
    members: tuple[Member, ...]


def plan_buckets(
    sizes: Mapping[str, int],
    bucket_bytes: int = DEFAULT_BUCKET_BYTES,
    min_numel: int = DEFAULT_MIN_NUMEL,
) -> tuple[PlannedBucket, ...]:
    """Return the buckets for tensors of the given names and numbers of elements.

    The same names and sizes give the same plan on every rank, whatever their order.

    Args:
        sizes: name -> number of elements.
        bucket_bytes: largest bucket, in bytes of float32.
        min_numel: tensors with fewer elements travel dense; 0 for none.

    Raises:
        ConfigError: a limit is out of range, or not an integer.
    """
    require_integer("bucket_bytes", bucket_bytes, 4)
    require_integer("min_numel", min_numel, 0)
    groups: list[list[str]] = []
    filled = bucket_bytes
    for name in sorted(sizes):
        nbytes = 4 * sizes[name]
        if not groups or filled + nbytes > bucket_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += nbytes
    return tuple(
        _planned(f"bucket{number}", group, sizes, min_numel) for number, group in enumerate(groups)
    )


def _planned(
    bucket_name: str, names: Sequence[str], sizes: Mapping[str, int], min_numel: int
) -> PlannedBucket:
    large = [name for name in names if sizes[name] >= min_numel]
    small = [name for name in names if sizes[name] < min_numel]
    members, begin = [], 0
    for name in large + small:
        members.append(Member(name, begin, sizes[name]))
        begin += sizes[name]
    contents = json.dumps([(member.name, member.numel) for member in members])
    digest = hashlib.blake2b(contents.encode(), digest_size=16).hexdigest()
    tail = sum(sizes[name] for name in small)
    description = f"{len(members)} tensors, {members[0].name} to {members[-1].name}, {digest}"
    return PlannedBucket(Bucket(bucket_name, description, begin, tail), tuple(members))


class BucketMemory:
    """The residuals of all buckets of a plan, addressed by tensor name.

    The plan may change between steps (a parameter that sometimes has a sparse gradient, say): the
    residuals of tensors that are not in the new plan wait until they come back.
    """

    def __init__(self, bucket_bytes: int, min_numel: int) -> None:
        self._bucket_bytes = bucket_bytes
        self._min_numel = min_numel
        self._sizes: dict[str, int] | None = None
        self._plan: tuple[PlannedBucket, ...] = ()
        self._residuals: list[OwnedResidual] = []
        self._waiting: dict[str, Float32] = {}

    def buckets(self, sizes: dict[str, int]) -> list[tuple[PlannedBucket, OwnedResidual]]:
        """Return the buckets for these tensors, each with its residual."""
        if sizes != self._sizes:
            self._replan(sizes)
        return list(zip(self._plan, self._residuals, strict=True))

    def residuals(self) -> dict[str, Float32]:
        """Return a copy of every tensor's residual, by name, flat float32."""
        kept = {name: values.copy() for name, values in self._waiting.items()}
        kept.update((name, values.copy()) for name, values in self._views())
        return kept

    def load(self, residuals: Mapping[str, Float32]) -> None:
        """Replace all residuals; those of tensors not seen yet wait for their first step."""
        self._waiting = {
            name: np.array(values, np.float32).reshape(-1) for name, values in residuals.items()
        }
        self._sizes, self._plan, self._residuals = None, (), []

    def _views(self) -> Iterator[tuple[str, Float32]]:
        for planned, residual in zip(self._plan, self._residuals, strict=True):
            for member in planned.members:
                yield member.name, residual.values[member.span]

    def _replan(self, sizes: dict[str, int]) -> None:
        plan = plan_buckets(sizes, self._bucket_bytes, self._min_numel)
        waiting = self.residuals()
        for name, numel in sizes.items():
            if name in waiting and len(waiting[name]) != numel:
                raise ConfigError(
                    f"the residual of {name!r} has {len(waiting[name])} elements, its gradient "
                    f"{numel}; load the state of the same model or start without one"
                )
        self._plan, self._sizes = plan, dict(sizes)
        self._residuals = [OwnedResidual(planned.bucket.numel) for planned in plan]
        for name, view in self._views():
            if name in waiting:
                view[:] = waiting.pop(name)
        self._waiting = waiting
