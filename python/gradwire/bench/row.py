"""What a benchmark consists of: rows, the peers they are compared with, and cases ready to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

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


def changed(start: Floats, change: Callable[[Floats], None], call: Callable[[Floats], Any]) -> Case:
    """Return the case of a call that changes a copy of start as `change` specifies it."""
    x = copied(start)
    expected: Floats = start.copy()
    change(expected)

    def run() -> Floats:
        call(x)
        return x

    return Case(run, equals(expected), reset=lambda: np.copyto(x, start))


Prepare = Callable[[Inputs], Case]


@dataclass(frozen=True)
class Peer:
    """The same job by other means."""

    name: str
    library: Literal["numpy", "torch"]
    prepare: Prepare


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
