"""How a rank waits: spin briefly, then sleep longer and longer, and give up in the end."""

from __future__ import annotations

import math
import os
import time

from gradwire.errors import ConfigError

DEFAULT_DEADLINE = 300.0  # seconds
DEADLINE_VARIABLE = "GRADWIRE_DEADLINE"

# Peers that run at the same time answer within this time, and a sleep would cost more than it.
# Ranks that share cores lose at most this much per wait. Measured with 2 and 4 ranks on 2 cores:
# yielding the core while spinning is slower, for other processes keep it for milliseconds.
SPIN_SECONDS = 300e-6
# Afterwards a rank sleeps for a share of the time that it has waited, so that it comes too late by
# no more than that.
SLEEP_SHARE = 1 / 16
FIRST_SLEEP, LONGEST_SLEEP = 20e-6, 1e-3  # seconds
# A process that polls less often was not running: stopped, suspended with its job, or starved.
LONGEST_GAP = 1.0  # seconds


class Patience:
    """Paces one polling loop and knows when its deadline has passed.

    Time in which this process does not run is not held against its peers: when a whole job is
    stopped and resumed, all ranks go on.

    Args:
        deadline: seconds without progress.
        spin: seconds to poll without sleeping, after each progress.
    """

    def __init__(self, deadline: float, spin: float = SPIN_SECONDS) -> None:
        self._deadline = deadline
        self._spin = spin
        self.progress()

    def progress(self) -> None:
        """Start over: something happened."""
        self._since = self._last_look = time.monotonic()

    def pause(self) -> None:
        """Wait a little before the next poll, or not at all."""
        waited = self._waited()
        if waited >= self._spin:
            time.sleep(min(max(waited * SLEEP_SHARE, FIRST_SLEEP), LONGEST_SLEEP))

    @property
    def exhausted(self) -> bool:
        """Whether nothing has happened for `deadline` seconds."""
        return self._waited() > self._deadline

    def _waited(self) -> float:
        """Return the seconds since the last progress, gaps between two looks at most 1 s each."""
        now = time.monotonic()
        self._since += max(0.0, now - self._last_look - LONGEST_GAP)
        self._last_look = now
        return now - self._since


def resolve_deadline(deadline: float | None) -> float:
    """Return seconds without progress after which an operation gives up.

    `None` means the environment variable GRADWIRE_DEADLINE, or 300 s without one.
    """
    source = "deadline"
    if deadline is None:
        source = DEADLINE_VARIABLE
        text = os.environ.get(DEADLINE_VARIABLE, str(DEFAULT_DEADLINE))
        try:
            deadline = float(text)
        except ValueError:
            raise ConfigError(f"{source}: expected seconds, got {text!r}") from None
    if math.isnan(deadline) or deadline <= 0:
        raise ConfigError(f"{source}: expected seconds > 0, got {deadline}")
    return deadline
