"""What a failed exchange leaves behind, and the end of its process, which must not take for ever.

MPI_Finalize waits for all ranks, and one that is stuck never comes. Then the launcher sees no rank
end, and ends none.
"""

from __future__ import annotations

import atexit
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpi4py import MPI

DYING_SECONDS = 5.0  # how long the others have to end by themselves
LONGEST_ALARM = 1e9  # seconds; an infinite deadline is no number of seconds for a timer

# Requests that can be neither cancelled nor waited for. They hold their buffers, which MPI may
# write to at any time, even when the communicator that they belonged to is no more: so they stay
# until the end of the process.
abandoned: list[MPI.Request] = []

_registered = False


def end_in_time(deadline: float) -> None:
    """See to it that this process, once it has come to its end, is gone after `deadline` seconds.

    The first call counts. An uncaught exception has ended the process for good, so it gets 5 s at
    most; a program that has dealt with the failure may well come to its end later on one rank than
    on others. After that an alarm kills the process, and the launcher ends the other ranks.
    """
    global _registered
    if not _registered:
        atexit.register(_set_alarm, deadline)
        _registered = True


def _set_alarm(deadline: float) -> None:
    uncaught = getattr(sys, "last_value", None) is not None
    seconds = min(DYING_SECONDS, deadline) if uncaught else min(deadline, LONGEST_ALARM)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
