"""What is compared: methods, and reducers that are ready to work."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gradwire.bench.collectives.method import FLOAT32, Job, Rounding
from gradwire.bench.inputs import Floats
from gradwire.bench.training.settings import Settings

Gradients = dict[str, Any]  # name -> float32 tensor on the CPU, of any shape


class Reducer(abc.ABC):
    """A method with its state, on one rank.

    Attributes:
        rounding: of the numbers that are added on the way and kept by nobody.
    """

    rounding: Rounding = FLOAT32

    @abc.abstractmethod
    def reduce(self, gradients: Gradients, step: int) -> None:
        """Replace gradients by their mean over the ranks; collective.

        NaN takes the place of all of them if any rank's are not finite and the method notices.

        Args:
            gradients: of all parameters, the same names and shapes on all ranks and at all steps.
            step: number of the step.
        """

    @abc.abstractmethod
    def bytes_sent(self) -> int:
        """Return the bytes that this rank has sent so far, without a transport's framing."""

    def residual(self) -> Floats | None:
        """Return what this rank has kept for later steps, (n,) float32, tensors in name order.

        None: nothing is kept, or nothing yet.
        """
        return None

    def close(self) -> None:
        """Release what the reducer holds besides memory. Collective."""
        return


@dataclass(frozen=True)
class Method:
    """One way to reduce.

    Attributes:
        name: as in the table; no spaces.
        summary: what it does, for --list.
        prepare: makes a reducer; collective.
        sparse: the density matters to it.
        reduces: its replicas are meant to stay the same.
        counts: its bytes are counted as they are sent, and not what the best algorithm would send.
    """

    name: str
    summary: str
    prepare: Callable[[Job, Settings], Reducer]
    sparse: bool = False
    reduces: bool = True
    counts: bool = True
