"""All methods of ``bench training``; gradwire's own are those of `gradwire.bench.own`."""

from __future__ import annotations

import numpy as np

from gradwire.arrays import fill_nan, write_back
from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job
from gradwire.bench.own import OWN, OwnMethod, OwnReduction
from gradwire.bench.training.method import Gradients, Method, Reducer
from gradwire.bench.training.settings import WHO, Settings
from gradwire.buckets import DEFAULT_BUCKET_BYTES, BucketMemory, plan_buckets
from gradwire.communicators import MpiCommunicator
from gradwire.communicators.mpi_library import import_mpi
from gradwire.compressors import TopK
from gradwire.kernels.arrays import aligned
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


class OwnReducer(OwnReduction, Reducer):
    """Buckets on their way through `Exchange`, as the adapters do it."""

    def __init__(self, method: OwnMethod, job: Job, settings: Settings) -> None:
        select = TopK(settings.density, settings.warmup_steps, settings.ramp_steps)
        compressor = method.make_compressor(select)
        super().__init__(job, compressor, method.schedule, method.rounding)
        traits = self._traits
        # A tail is float32: beside it, a cast's values would no longer be narrow.
        min_numel = 0 if traits.rounding is not None or traits.lossless else settings.min_numel
        self._memory = BucketMemory(DEFAULT_BUCKET_BYTES, min_numel)

    def reduce(self, gradients: Gradients, step: int) -> None:
        """Exchange all buckets, then commit all of them, or none if one is not finite."""
        buckets = self._memory.buckets({name: each.numel() for name, each in gradients.items()})
        reduced = []
        for planned, residual in buckets:
            collect(planned, gradients, residual.acc)
            kept = residual if self._traits.needs_residual else None
            reduced.append(self._exchange.reduce(planned.bucket, residual.acc, step, kept))
        if not all(each.finite for each in reduced):
            for gradient in gradients.values():
                fill_nan(gradient)
            return
        scale = 1.0 / self._communicator.size
        for (planned, residual), each in zip(buckets, reduced, strict=True):
            if self._traits.needs_residual:
                values = each.commit(residual, scale)
            else:
                values = residual.acc
                each.write(values, scale)
            for member in planned.members:
                write_back(values[member.span], gradients[member.name])

    def residual(self) -> Floats | None:
        """Return a copy of the residuals; None before the first step."""
        residuals = self._memory.residuals() if self._traits.needs_residual else {}
        if not residuals:
            return None
        return np.concatenate([residuals[name] for name in sorted(residuals)])


def _method(own: OwnMethod) -> Method:
    def prepare(job: Job, settings: Settings) -> Reducer:
        return OwnReducer(own, job, settings)

    return Method(own.name, own.summary, prepare, own.sparse)


LOCAL = Method("local", "no exchange, ranks only meet: the floor of a step", Local, reduces=False)
BASELINE = Method("dense/mpi", "MPI_Allreduce of float32, in place", MpiAllreduce, counts=False)
# A method takes minutes where there is a curve, and what others add shows in `bench allreduce`.
_TRAINED = ("dense", "split_gather", "oktopk")
# The first two are always trained: what the others are compared with.
METHODS: tuple[Method, ...] = (
    LOCAL,
    BASELINE,
    *(_method(each) for each in OWN if each.schedule in _TRAINED),
)
