"""gradwire's own methods: compressors and the schedules that serve them.

To add one to all benchmarks, add a line to `_TABLE`. A schedule without any gets one by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gradwire.bench.method import BFLOAT16, FLOAT16, FLOAT32, Job, Reduction, Rounding
from gradwire.communicators import MpiCommunicator
from gradwire.compressors import Compressor, TopK, get_compressor, with_values
from gradwire.exchange import Exchange
from gradwire.schedules import SCHEDULES, get_schedule

Config = Mapping[str, Any]

NEAREST_8: Config = {"id": "qsgd", "bits": 8, "stochastic": False}
NEAREST_4: Config = {"id": "qsgd", "bits": 4, "stochastic": False}


@dataclass(frozen=True)
class OwnMethod:
    """A schedule and what it moves: all values of a compressor, or entries in a value format.

    Attributes:
        schedule: its id.
        compressor: configuration of a compressor of all values; None: top-k of the run's density.
        values: short name of the value format; of a dense compressor, what the table calls it.
        summary: what it does, for --list.
        rounding: of what is added on the way and kept by nobody.
    """

    schedule: str
    compressor: Config | None = field(hash=False)
    values: str
    summary: str
    rounding: Rounding = FLOAT32

    @property
    def sparse(self) -> bool:
        """The density matters to it."""
        return self.compressor is None

    @property
    def name(self) -> str:
        """As in the tables."""
        if not self.sparse:
            return f"{self.schedule}/{self.values}"
        return f"{self.schedule}/topk{'' if self.values == 'float32' else f'+{self.values}'}"

    def make_compressor(self, select: TopK) -> Compressor:
        """Return its compressor; ``select`` is what selects if it is sparse."""
        if self.compressor is None:
            return with_values(select, self.values)
        return get_compressor(self.compressor)


class OwnReduction(Reduction):
    """A compressor, a schedule and a communicator of their own, joined by `Exchange`."""

    def __init__(self, job: Job, compressor: Compressor, schedule: str, rounding: Rounding) -> None:
        self.rounding = rounding
        self._traits = compressor.traits
        self._communicator = MpiCommunicator(job.comm)
        self._exchange = Exchange(compressor, get_schedule(schedule), self._communicator, job.seed)

    def bytes_sent(self) -> int:
        """Return what the communicator has counted."""
        return self._communicator.counters.bytes_sent

    def close(self) -> None:
        """Free the communicator."""
        self._communicator.close()


def _dense(schedule: str, config: Config, values: str, summary: str, *more: Rounding) -> OwnMethod:
    return OwnMethod(schedule, config, values, f"gradwire: {summary}", *more)


def _sparse(schedule: str, values: str, summary: str) -> OwnMethod:
    return OwnMethod(schedule, None, values, f"gradwire: {summary}")


_TABLE: tuple[OwnMethod, ...] = (
    _dense("dense", {"id": "none"}, "none", "float32, added in rank order"),
    _dense("dense", {"id": "fp16"}, "fp16", "rounded to float16", FLOAT16),
    _dense("dense", {"id": "bf16"}, "bf16", "rounded to bfloat16", BFLOAT16),
    _dense("split_gather", NEAREST_8, "int8", "8 bits with error feedback, two hops"),
    _dense("split_gather", NEAREST_4, "int4", "4 bits with error feedback, two hops"),
    _sparse("oktopk", "float32", "top-k by Ok-Topk, with error feedback"),
    _sparse("oktopk", "bf16", "the same, values rounded to bfloat16"),
    _sparse("oktopk", "int8", "the same, values of 8 bits"),
    _sparse("allgather", "float32", "top-k sent to all"),
    _sparse("allgather", "bf16", "the same, values rounded to bfloat16"),
    _sparse("topkdsa", "float32", "top-k, all sums of regions sent to all"),
    _sparse("topkdsa", "bf16", "the same, values rounded to bfloat16"),
    _sparse("gtopk", "float32", "top-k, merged in a tree that keeps k sums"),
    _sparse("gtopk", "bf16", "the same, values rounded to bfloat16"),
    _sparse("hierarchical", "float32", "top-k, within hosts first, then by Ok-Topk"),
    _sparse("hierarchical", "bf16", "the same, values rounded to bfloat16 between hosts"),
    _sparse("auto", "float32", "top-k by the schedule that a prediction favours"),
)


def own_methods() -> tuple[OwnMethod, ...]:
    """Return the table, and a plain method of each schedule that it does not name."""
    found = list(_TABLE)
    for name in SCHEDULES:
        if any(each.schedule == name for each in _TABLE):
            continue
        if get_schedule(name).moves_dense:
            found.append(_dense(name, {"id": "none"}, "none", f"float32 by schedule {name}"))
        else:
            found.append(_sparse(name, "float32", f"top-k by schedule {name}"))
    return tuple(found)


OWN = own_methods()
