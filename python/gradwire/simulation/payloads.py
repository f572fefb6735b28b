"""What virtual ranks hand to a schedule: payloads whose entries are made when they are looked at.

Held by every rank from the first phase of an exchange to the last, the entries of 1024 ranks with a
million each would take 8 GB. Virtual ranks go on one at a time, so those of one are enough.
"""

from __future__ import annotations

from gradwire.payload import Float32, Indices, Payload
from gradwire.schedules import Agreement, Schedule
from gradwire.simulation.selections import Source
from gradwire.values import FLOAT32, NO_VALUES, ValueFormat


class Remade(Payload):
    """A payload whose source makes its entries again if another rank's were made since.

    Schedules read it as any payload. What makes another payload of one (`scaled`, `with_tail`,
    `received`) is not for it.
    """

    def __init__(self, source: Source, rank: int, step: int, form: ValueFormat) -> None:
        """Note whose entries these are, and the format in which their values travel."""
        # The parent is frozen, and would ask for the entries themselves.
        vars(self).update(
            numel=source.numel, budget=source.k, value_format=form, tail=NO_VALUES,
            _source=source, _rank=rank, _step=step,
        )  # fmt: skip

    _source: Source
    _rank: int
    _step: int

    def in_format(self, value_format: ValueFormat) -> Remade:
        """Return this payload with its entries' values written in another format."""
        return Remade(self._source, self._rank, self._step, value_format)

    @property
    def indices(self) -> Indices:
        """(count,) uint32, strictly increasing."""
        return self._source.latest(self._rank, self._step)[0]

    @property
    def values(self) -> Float32:
        """(count,) float32."""
        return self._source.latest(self._rank, self._step)[1]


def payload_of(
    source: Source, schedule: Schedule, rank: int, step: int, form: ValueFormat = FLOAT32
) -> Payload:
    """Return what a rank brings to a schedule; everything about payloads is in here."""
    if schedule.moves_dense:
        return Payload(dense=form.encode(source.dense(rank, step)))
    return Remade(source, rank, step, form)


def agreement_of(schedule: Schedule, step: int) -> Agreement:
    """Return what virtual ranks agree about."""
    return Agreement.of({"simulation of": schedule.config()}, step)
