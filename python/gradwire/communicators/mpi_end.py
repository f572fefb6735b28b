"""The end of a process whose exchange has failed: MPI_Finalize must not wait for ever.

MPI_Finalize waits for all ranks, and one that is stuck never comes. Then the launcher sees no rank
end, and ends none.
"""

from __future__ import annotations

import atexit
import signal
import sys

DYING_SECONDS = 5.0  # how long the others have to end by themselves
LONGEST_ALARM = 1e9  # seconds; an infinite deadline is no number of seconds for a timer

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
