"""What a benchmark consists of: rows, the peers they are compared with, and cases ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from gradwire.bench.checks import equals
from gradwire.bench.inputs import Floats, Inputs, copied


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Case:
    """One job with its arrays: ready to be called again and again.

    call: what is timed; returns the result. wrong: how many elements of a result are not what they
    must be; None if results cannot be compared. reset: undoes what a call changed in its inputs;
    runs before every call, untimed.
    """

    call: Callable[[], Any]
    wrong: Callable[[Any], int] | None
    reset: Callable[[], None] = nothing


def changed(
    inputs: Inputs,
    start: Floats,
    change: Callable[[Floats], None],
    call: Callable[[Any], Any],
    for_torch: bool = False,
) -> Case:
    """Return the case of a call that changes a copy of start as `change` specifies it.

    The copy is where the kernels run, a tensor for torch.
    """
    put = inputs.tensor if for_torch else inputs.put
    x, source = put(copied(start)), put(start)
    expected: Floats = start.copy()
    change(expected)

    def run() -> Any:
        call(x)
        return x

    def reset() -> None:
        if for_torch:
            x.copy_(source)
        else:
            inputs.place.assign(x, source)

    return Case(run, equals(expected), reset)


Prepare = Callable[[Inputs], Case]


@dataclass(frozen=True)
class Peer:
    """The same job by other means."""

    name: str
    library: Literal["numpy", "torch"]
    prepare: Prepare

    @property
    def runs_on_gpu(self) -> bool:
        """Whether its library works with arrays in a GPU's memory."""
        return self.library != "numpy"


@dataclass(frozen=True)
class Row:
    """One operation of gradwire on one input.

    name: as in the table; no spaces. summary: what it does, for --list. nbytes: the counted bytes
    of one call: each input read once, each output written once.
    """

    name: str
    summary: str
    nbytes: Callable[[Inputs], float]
    prepare: Prepare
    peers: tuple[Peer, ...] = ()
