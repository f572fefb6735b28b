"""What the methods of all launched benchmarks share: a job, names, and how they are chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Generic, NamedTuple, TypeVar

from gradwire.bench.choice import matching
from gradwire.bench.inputs import Floats

Setup = TypeVar("Setup")  # what a method is prepared with, besides the job
Prepared = TypeVar("Prepared", bound="Reduction")


@dataclass(frozen=True)
class Job:
    """What all methods of a run work on.

    Attributes:
        comm: mpi4py communicator of all ranks; methods that send on it do so in the same order.
        numel: elements of a gradient, n.
        seed: the same on all ranks.
        result_in: whose memory gradwire writes its results to, "gradwire" (read-only to others) or
            "caller" (anybody's, cleared for each).
    """

    comm: Any
    numel: int
    seed: int
    result_in: str = "gradwire"

    @property
    def rank(self) -> int:
        """Number of this rank."""
        return int(self.comm.Get_rank())

    @property
    def size(self) -> int:
        """Number of ranks, P."""
        return int(self.comm.Get_size())


class Rounding(NamedTuple):
    """Largest error of one rounded number: a share of it, and what tiny numbers lose at most."""

    relative: float
    absolute: float


FLOAT32 = Rounding(2.0**-24, 2.0**-150)
FLOAT16 = Rounding(2.0**-11, 2.0**-25)
BFLOAT16 = Rounding(2.0**-8, 2.0**-134)


class Reduction:
    """A method with its arrays and its state, on one rank.

    Attributes:
        rounding: of the numbers that are added on the way and kept by nobody.
    """

    rounding: Rounding = FLOAT32

    def residual(self) -> Floats | None:
        """Return what this rank has kept for later steps, (n,) float32; None: nothing is kept.

        All zero, or None, before the first step.
        """
        return None

    def bytes_sent(self) -> int | None:
        """Return the bytes of all messages of this rank so far, without a transport's framing.

        None: nobody counts them.
        """
        return None

    def close(self) -> None:
        """Release what is held besides memory. Collective."""
        return


@dataclass(frozen=True)
class AnyMethod(Generic[Setup, Prepared]):
    """One way to reduce.

    Attributes:
        name: as in the table; no spaces.
        summary: what it does, for --list.
        prepare: makes it ready to work, from the job and what the benchmark adds to that;
            collective.
        sparse: the density matters to it.
    """

    name: str
    summary: str
    prepare: Callable[[Job, Setup], Prepared]
    sparse: bool = False


Chosen = TypeVar("Chosen", bound=AnyMethod[Any, Any])


def matching_methods(
    who: str, methods: Sequence[Chosen], patterns: Sequence[str] | None, always: Sequence[Chosen]
) -> list[Chosen]:
    """Return the methods whose names match one of the patterns, `always` first; all without any.

    Raises:
        ConfigError: a pattern matches nothing.
    """
    chosen = matching(who, "method", methods, patterns)
    return [*always, *(each for each in chosen if each not in always)]


def described(name: str, density: float | None) -> str:
    """Return a method's name and density, for people."""
    return name if density is None else f"{name} at {density:g}"


def absent(modules: Iterable[str]) -> list[str]:
    """Return those of the modules that are not installed; none of them is imported."""
    return [name for name in modules if find_spec(name) is None]
