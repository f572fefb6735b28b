"""All methods of ``bench training``: to add one of gradwire's, add a line to `OWN`."""

from __future__ import annotations

import numpy as np

from gradwire.arrays import fill_nan, write_back
from gradwire.bench.collectives.method import BFLOAT16, FLOAT16, FLOAT32, Job, Rounding
from gradwire.bench.collectives.methods.own import NEAREST_4, NEAREST_8, Config
from gradwire.bench.inputs import Floats
from gradwire.bench.training.method import Gradients, Method, Reducer
from gradwire.bench.training.settings import WHO, Settings
from gradwire.buckets import DEFAULT_BUCKET_BYTES, BucketMemory, plan_buckets
from gradwire.communicators import MpiCommunicator
from gradwire.communicators.mpi_library import import_mpi
from gradwire.compressors import Compressor, TopK, get_compressor, with_values
from gradwire.exchange import Exchange
from gradwire.kernels.arrays import aligned
from gradwire.schedules import get_schedule
from gradwire.seam.statistics import allreduce_bytes
from gradwire.seam.token import collect


class Local(Reducer):
    """Leaves gradients as they are: as many models as there are ranks.

    Ranks wait for each other nevertheless: the slowest one's time is the floor of a step whose
    ranks have to meet, and where ranks share cores their turns change from step to step.
    """

    def __init__(self, job: Job, settings: Settings) -> None:
        del settings
        self._communicator = MpiCommunicator(job.comm)

    def reduce(self, gradients: Gradients, step: int) -> None:
        """Wait for all ranks."""
        self._communicator.barrier()

    def bytes_sent(self) -> int:
        """Return 0: a barrier's empty messages do not count."""
        return 0

    def close(self) -> None:
        """Free the communicator."""
        self._communicator.close()


class MpiAllreduce(Reducer):
    """MPI_Allreduce of flat buckets, in place, by whatever algorithm MPI was told to use."""

    def __init__(self, job: Job, settings: Settings) -> None:
        del settings
        self._comm = job.comm
        self._in_place = import_mpi(WHO).IN_PLACE
        self._bytes_of_a_step = allreduce_bytes(4 * job.numel, job.size)
        self._steps = 0
        self._values: Floats = aligned(job.numel)

    def reduce(self, gradients: Gradients, step: int) -> None:
        """Sum bucket by bucket, in name order."""
        del step
        scale = np.float32(1.0 / self._comm.Get_size())
        sizes = {name: gradient.numel() for name, gradient in gradients.items()}
        for planned in plan_buckets(sizes, min_numel=0):
            values = self._values[: planned.bucket.numel]
            collect(planned, gradients, values)
            self._comm.Allreduce(self._in_place, values)
            values *= scale
            for member in planned.members:
                write_back(values[member.span], gradients[member.name])
        self._steps += 1

    def bytes_sent(self) -> int:
        """Return what a ring sends: MPI does not count."""
        return self._bytes_of_a_step * self._steps


class OwnReducer(Reducer):
    """Buckets on their way through `Exchange`, as the adapters do it."""

    def __init__(
        self,
        job: Job,
        settings: Settings,
        compressor: Compressor,
        schedule: str,
        rounding: Rounding,
    ) -> None:
        self.rounding = rounding
        self._communicator = MpiCommunicator(job.comm)
        traits = compressor.traits
        self._exchange = Exchange(compressor, get_schedule(schedule), self._communicator, job.seed)
        self._feedback = traits.needs_residual
        # A tail is float32: beside it, a cast's values would no longer be narrow.
        min_numel = 0 if traits.rounding is not None or traits.lossless else settings.min_numel
        self._memory = BucketMemory(DEFAULT_BUCKET_BYTES, min_numel)

    def reduce(self, gradients: Gradients, step: int) -> None:
        """Exchange all buckets, then commit all of them, or none if one is not finite."""
        buckets = self._memory.buckets({name: each.numel() for name, each in gradients.items()})
        reduced = []
        for planned, residual in buckets:
            collect(planned, gradients, residual.acc)
            kept = residual if self._feedback else None
            reduced.append(self._exchange.reduce(planned.bucket, residual.acc, step, kept))
        if not all(each.finite for each in reduced):
            for gradient in gradients.values():
                fill_nan(gradient)
            return
        scale = 1.0 / self._communicator.size
        for (planned, residual), each in zip(buckets, reduced, strict=True):
            if self._feedback:
                values = each.commit(residual, scale)
            else:
                values = residual.acc
                each.write(values, scale)
            for member in planned.members:
                write_back(values[member.span], gradients[member.name])

    def bytes_sent(self) -> int:
        """Return what the communicator has counted."""
        return self._communicator.counters.bytes_sent

    def residual(self) -> Floats | None:
        """Return a copy of the residuals; None before the first step."""
        residuals = self._memory.residuals() if self._feedback else {}
        if not residuals:
            return None
        return np.concatenate([residuals[name] for name in sorted(residuals)])

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

    def prepare(job: Job, settings: Settings) -> Reducer:
        return OwnReducer(job, settings, get_compressor(compressor), schedule, rounding)

    return Method(f"{schedule}/{name or compressor['id']}", summary, prepare)


def sparse(schedule: str, values: str, summary: str) -> Method:
    """Return the method of a schedule and top-k of the run's density, in a value format."""

    def prepare(job: Job, settings: Settings) -> Reducer:
        select = TopK(settings.density, settings.warmup_steps, settings.ramp_steps)
        return OwnReducer(job, settings, with_values(select, values), schedule, FLOAT32)

    suffix = "" if values == "float32" else f"+{values}"
    return Method(f"{schedule}/topk{suffix}", summary, prepare, sparse=True)


LOCAL = Method("local", "no exchange, ranks only meet: the floor of a step", Local, reduces=False)
BASELINE = Method("dense/mpi", "MPI_Allreduce of float32, in place", MpiAllreduce, counts=False)
OWN: tuple[Method, ...] = (
    dense("dense", {"id": "none"}, "gradwire: float32, added in rank order"),
    dense("dense", {"id": "fp16"}, "gradwire: rounded to float16", rounding=FLOAT16),
    dense("dense", {"id": "bf16"}, "gradwire: rounded to bfloat16", rounding=BFLOAT16),
    dense("split_gather", NEAREST_8, "gradwire: 8 bits with error feedback, two hops", "int8"),
    dense("split_gather", NEAREST_4, "gradwire: 4 bits with error feedback, two hops", "int4"),
    sparse("oktopk", "float32", "gradwire: top-k by Ok-Topk, with error feedback"),
    sparse("oktopk", "bf16", "gradwire: the same, values rounded to bfloat16"),
    sparse("oktopk", "int8", "gradwire: the same, values of 8 bits"),
)
# The first two are always trained: what the others are compared with.
METHODS: tuple[Method, ...] = (LOCAL, BASELINE, *OWN)
