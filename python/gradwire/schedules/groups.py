"""Groups of ranks that are near each other, such as those of a host."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gradwire.errors import ConfigError


@dataclass(frozen=True)
class Place:
    """Where a rank is among groups of equal size.

    Attributes:
        near: the ranks of its group, increasing.
        far: of every group the rank that has the same place in it, increasing.
    """

    near: list[int]
    far: list[int]


def place_of(rank: int, hosts: Sequence[str], group_size: int | None) -> Place:
    """Return where a rank is.

    Groups are successive ranks if their size is given. Otherwise they are the ranks of a host; if
    hosts have different numbers of ranks, hosts are cut into groups of the largest size that
    divides all these numbers.

    Raises:
        ConfigError: groups of this size do not come out even.
    """
    groups = _successive(len(hosts), group_size) if group_size else _of_hosts(hosts)
    near = next(group for group in groups if rank in group)
    place = near.index(rank)
    return Place(near, sorted(group[place] for group in groups))


def _successive(size: int, group_size: int) -> list[list[int]]:
    if size % group_size:
        raise ConfigError(
            f"schedule 'hierarchical': groups of {group_size} ranks do not come out even with "
            f"{size} ranks"
        )
    return [list(range(begin, begin + group_size)) for begin in range(0, size, group_size)]


def _of_hosts(hosts: Sequence[str]) -> list[list[int]]:
    ranks_of: dict[str, list[int]] = {}
    for rank, host in enumerate(hosts):
        ranks_of.setdefault(host, []).append(rank)
    size = math.gcd(*(len(ranks) for ranks in ranks_of.values()))
    return [
        ranks[begin : begin + size]
        for ranks in ranks_of.values()
        for begin in range(0, len(ranks), size)
    ]
