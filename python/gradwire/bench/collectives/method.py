"""What the benchmark consists of: methods, and cases of them that are ready to run."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gradwire.bench.inputs import Floats
from gradwire.bench.method import AnyMethod, Reduction


def nothing() -> None:
    """Do nothing: the start of a step that is not timed."""


class Phase(NamedTuple):
    """What a part of one step cost this rank."""

    seconds: float
    bytes_sent: int


class Case(Reduction, abc.ABC):
    """A method that is ready to reduce one vector after the other.

    Attributes:
        divides: a step returns the mean over the ranks; else their sum.
    """

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

    def entries(self) -> int | None:
        """Return how many entries this rank brought to the last step; None if it is dense."""
        return None

    def phases(self) -> Mapping[str, Phase]:
        """Return the parts of the last step, in their order."""
        return {}


@dataclass(frozen=True)
class Method(AnyMethod[float, Case]):
    """One way to reduce a vector; prepared with the density.

    Attributes:
        needs: modules that have to be installed, besides mpi4py.
        peer: others' work; left out with --no-peers.
    """

    needs: tuple[str, ...] = ()
    peer: bool = False
