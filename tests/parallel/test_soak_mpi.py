"""Hundreds of exchanges over one MPI communicator: nothing is lost, and nothing piles up."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mpi4py")
from mpi4py import MPI

from gradwire.communicators import MpiCommunicator
from gradwire.communicators.mpi_end import abandoned
from gradwire.cost import Rates
from gradwire.testing.conservation import Evidence
from gradwire.testing.footprint import Footprint
from gradwire.testing.soak import Session, run_session

pytestmark = pytest.mark.parallel
WORLD = MPI.COMM_WORLD
SEED = 30
# By then MPI and the allocators have all the buffers that they keep; after that, of thousands of
# exchanges: what is made once takes some 300 blocks, an object that stays of each takes more.
WARM_UP = 2_000
MORE_BLOCKS, MORE_BYTES = 1_000, 32 << 20


def gathered(own: Evidence) -> list[Evidence] | None:
    """Bring the evidence of all ranks to rank 0, past the communicator that is tested."""
    return WORLD.gather(own, root=0)


@pytest.mark.parametrize("exchanges", [300, pytest.param(5_000, marks=pytest.mark.deep)])
def test_sessions_on_one_communicator(exchanges: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """See `Session` for how to repeat one of them alone, on as many ranks."""
    monkeypatch.setattr("gradwire.schedules.auto.measure_rates", lambda *_: Rates())
    communicator, before = MpiCommunicator(WORLD, 120.0), len(abandoned)
    done = number = 0
    first: Footprint | None = None
    while done < exchanges:
        session = Session.drawn(SEED, number, WORLD.size)
        run_session(session, communicator, gathered)
        done, number = done + session.exchanges, number + 1
        if first is None and done >= WARM_UP:
            first = Footprint.now()
    if first is not None:
        Footprint.now().check_growth(first, MORE_BLOCKS, MORE_BYTES)

    assert len(abandoned) == before
    own = communicator.counters
    totals = WORLD.allreduce(np.array([own.bytes_sent, own.bytes_received]))
    assert totals[0] == totals[1]
    assert own.messages_sent >= 2 * done * (WORLD.size - 1)
    communicator.barrier()
    # All that was sent has been received.
    assert not communicator._comm.Iprobe(MPI.ANY_SOURCE, MPI.ANY_TAG)
    communicator.close()
