"""gradwire's own reductions: compressors and the schedules that serve them.

To add one, add a line to `OWN`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from time import perf_counter
from typing import Any

from gradwire.bench.collectives.method import (
    BFLOAT16,
    FLOAT16,
    FLOAT32,
    Case,
    Job,
    Method,
    Phase,
    Rounding,
)
from gradwire.bench.inputs import Floats
from gradwire.communicators import MpiCommunicator
from gradwire.compressors import Compressor, TopK, get_compressor, with_values
from gradwire.errors import GradwireError
from gradwire.exchange import Bucket, Exchange, Reduced
from gradwire.kernels.arrays import aligned
from gradwire.residual import OwnedResidual
from gradwire.schedules import get_schedule

Config = dict[str, Any]

NEAREST_8: Config = {"id": "qsgd", "bits": 8, "stochastic": False}
NEAREST_4: Config = {"id": "qsgd", "bits": 4, "stochastic": False}


@cache
def _shared_out(numel: int) -> Floats:
    """Return where results go; methods take turns."""
    return aligned(numel)


class OwnReduction(Case):
    """One bucket of n elements on its way through `Exchange`."""

    def __init__(self, job: Job, compressor: Compressor, schedule: str, rounding: Rounding) -> None:
        self.rounding = rounding
        self._communicator = MpiCommunicator(job.comm)
        traits = compressor.traits
        self._exchange = Exchange(compressor, get_schedule(schedule), self._communicator, job.seed)
        self._bucket = Bucket("bench", "gradient", job.numel)
        self._residual = OwnedResidual(job.numel) if traits.needs_residual else None
        self._out = _shared_out(job.numel)
        self._sparse = traits.sparse
        self._steps = self._entries = 0
        self._phases: dict[str, Phase] = {}

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Reduce and commit, as the adapters do it."""
        start()
        begin = perf_counter()
        reduced = self._exchange.reduce(
            self._bucket, gradient, self._steps, self._residual, self._out
        )
        exchanged = perf_counter()
        if not reduced.finite:
            raise GradwireError("bench allreduce: an exchange of finite gradients is not finite")
        mean = self._committed(reduced)
        self._steps += 1
        self._note(reduced, exchanged - begin, perf_counter() - exchanged)
        return mean

    def _committed(self, reduced: Reduced) -> Floats:
        scale = 1.0 / self._communicator.size
        if self._residual is not None:
            return reduced.commit(self._residual, scale, self._out)
        reduced.write(self._out, scale)
        return self._out

    def _note(self, reduced: Reduced, exchange: float, commit: float) -> None:
        """Keep what the step cost; "local" is what is done beside the schedule's phases."""
        self._entries = reduced.report.selected
        counts = reduced.report.phases
        phases = {name: Phase(each.seconds, each.bytes_sent) for name, each in counts.items()}
        local = exchange - sum(each.seconds for each in phases.values())
        self._phases = {"local": Phase(local, 0), **phases, "commit": Phase(commit, 0)}

    def residual(self) -> Floats | None:
        """Return the residual; None for a compressor that needs none."""
        return None if self._residual is None else self._residual.values

    def bytes_sent(self) -> int:
        """Return what the communicator has counted."""
        return self._communicator.counters.bytes_sent

    def entries(self) -> int | None:
        """Return how many entries were selected in the last step."""
        return self._entries if self._sparse else None

    def phases(self) -> dict[str, Phase]:
        """Return what was done beside the schedule's phases, those, and the commit."""
        return self._phases

    def close(self) -> None:
        """Free the communicator."""
        self._communicator.close()


def dense(
    schedule: str, compressor: Config, summary: str, name: str = "", rounding: Rounding = FLOAT32
) -> Method:
    """Return the method of a schedule and a compressor of all values.

    name: of the compressor, where its id does not tell enough. rounding: of what is added on the
    way and kept by nobody.
    """

    def prepare(job: Job, density: float) -> Case:
        del density
        return OwnReduction(job, get_compressor(compressor), schedule, rounding)

    return Method(f"{schedule}/{name or compressor['id']}", summary, prepare, False)


def sparse(schedule: str, values: str, summary: str) -> Method:
    """Return the method of a schedule and top-k of the run's density, in a value format."""

    def prepare(job: Job, density: float) -> Case:
        return OwnReduction(job, with_values(TopK(density), values), schedule, FLOAT32)

    suffix = "" if values == "float32" else f"+{values}"
    return Method(f"{schedule}/topk{suffix}", summary, prepare, True)


OWN: tuple[Method, ...] = (
    dense("dense", {"id": "none"}, "gradwire: float32, added in rank order"),
    dense("dense", {"id": "fp16"}, "gradwire: rounded to float16", rounding=FLOAT16),
    dense("dense", {"id": "bf16"}, "gradwire: rounded to bfloat16", rounding=BFLOAT16),
    dense("split_gather", NEAREST_8, "gradwire: 8 bits with error feedback, two hops", "int8"),
    dense("split_gather", NEAREST_4, "gradwire: 4 bits with error feedback, two hops", "int4"),
    sparse("oktopk", "float32", "gradwire: top-k by Ok-Topk"),
    sparse("oktopk", "bf16", "gradwire: the same, values rounded to bfloat16"),
    sparse("oktopk", "int8", "gradwire: the same, values of 8 bits"),
    sparse("allgather", "float32", "gradwire: top-k sent to all"),
    sparse("allgather", "bf16", "gradwire: the same, values rounded to bfloat16"),
    sparse("topkdsa", "float32", "gradwire: top-k, all sums of regions sent to all"),
    sparse("topkdsa", "bf16", "gradwire: the same, values rounded to bfloat16"),
    sparse("gtopk", "float32", "gradwire: top-k, merged in a tree that keeps k sums"),
    sparse("gtopk", "bf16", "gradwire: the same, values rounded to bfloat16"),
)
