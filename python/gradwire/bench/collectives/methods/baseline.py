"""What all others are compared with: MPI's own allreduce of float32."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradwire.bench.collectives.method import Case, Method
from gradwire.bench.inputs import Floats
from gradwire.bench.method import Job
from gradwire.communicators.mpi_library import import_mpi
from gradwire.kernels.arrays import aligned


class MpiAllreduce(Case):
    """MPI_Allreduce in place, by whatever algorithm MPI was told to use."""

    # As MPI leaves it: a user who wants the mean divides in the next operation on the gradient.
    divides = False

    def __init__(self, job: Job, density: float) -> None:
        del density
        self._comm = job.comm
        self._in_place = import_mpi("bench allreduce").IN_PLACE
        self._values: Floats = aligned(job.numel)

    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Sum in the memory that holds the gradient."""
        np.copyto(self._values, gradient)
        start()
        self._comm.Allreduce(self._in_place, self._values)
        return self._values


BASELINE = Method("dense/mpi", "MPI_Allreduce of float32, in place", MpiAllreduce)
