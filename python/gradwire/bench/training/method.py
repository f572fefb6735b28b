"""What is compared: methods, and reducers that are ready to work."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any

from gradwire.bench.method import AnyMethod, Reduction
from gradwire.bench.training.settings import Settings

Gradients = dict[str, Any]  # name -> float32 tensor on the CPU, of any shape


class Reducer(Reduction, abc.ABC):
    """A method that is ready to reduce the gradients of a model.

    Its residual has the tensors in name order.
    """

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


@dataclass(frozen=True)
class Method(AnyMethod[Settings, Reducer]):
    """One way to reduce the gradients of a model; prepared with the run's settings.

    Attributes:
        reduces: its replicas are meant to stay the same.
        counts: its bytes are counted as they are sent, and not what the best algorithm would send.
    """

    reduces: bool = True
    counts: bool = True
