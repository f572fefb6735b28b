"""What the benchmark consists of: methods, and cases of them that are ready to run."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradwire.bench.inputs import Floats


def nothing() -> None:
    """Do nothing: the start of a step that is not timed."""


@dataclass(frozen=True)
class Job:
    """What all methods of a run work on.

    Attributes:
        comm: mpi4py communicator of all ranks; methods that send on it do so in the same order.
        numel: elements of a gradient, n.
        seed: the same on all ranks.
    """

    comm: Any
    numel: int
    seed: int

    @property
    def rank(self) -> int:
        """Number of this rank."""
        return int(self.comm.Get_rank())

    @property
    def size(self) -> int:
        """Number of ranks, P."""
        return int(self.comm.Get_size())


class Phase(NamedTuple):
    """What a part of one step cost this rank."""

    seconds: float
    bytes_sent: int


class Rounding(NamedTuple):
    """Largest error of one rounded number: a share of it, and what tiny numbers lose at most."""

    relative: float
    absolute: float


FLOAT32 = Rounding(2.0**-24, 2.0**-150)
FLOAT16 = Rounding(2.0**-11, 2.0**-25)
BFLOAT16 = Rounding(2.0**-8, 2.0**-134)


class Case(abc.ABC):
    """A method with its arrays and its state, on one rank.

    Attributes:
        rounding: of the numbers that are added on the way.
        divides: a step returns the mean over the ranks; else their sum.
    """

    rounding: Rounding = FLOAT32
    divides: bool = True

    @abc.abstractmethod
    def step(self, gradient: Floats, start: Callable[[], None]) -> Floats:
        """Reduce one gradient; collective.

        Args:
            gradient: (n,) float32 of this rank; only read.
            start: to be called once, when the gradient is where the method's user would have it:
                it waits for all ranks, and the clock runs from there until the step returns.

        Returns:
            (n,) float32, the mean or the sum over the ranks (see ``divides``), or what the method
            has for it; valid until the next step.
        """

    def residual(self) -> Floats | None:
        """Return what this rank has kept for later steps, (n,) float32; None: nothing is kept.

        All zero before the first step.
        """
        return None

    def bytes_sent(self) -> int | None:
        """Return the bytes of all messages of this rank so far; None if nobody counts them."""
        return None

    def entries(self) -> int | None:
        """Return how many entries this rank brought to the last step; None if it is dense."""
        return None

    def phases(self) -> Mapping[str, Phase]:
        """Return the parts of the last step, in their order."""
        return {}

    def close(self) -> None:
        """Release what the case holds besides memory. Collective."""
        return


@dataclass(frozen=True)
class Method:
    """One way to reduce.

    Attributes:
        name: as in the table; no spaces.
        summary: what it does, for --list.
        prepare: makes a case from the job and a density; collective.
        sparse: the density matters to it.
        needs: modules that have to be installed, besides mpi4py.
        peer: others' work; left out with --no-peers.
    """

    name: str
    summary: str
    prepare: Callable[[Job, float], Case]
    sparse: bool = False
    needs: tuple[str, ...] = ()
    peer: bool = False
