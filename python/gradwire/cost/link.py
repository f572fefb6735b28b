"""Links: seconds per message and per byte, fitted to what a running job measures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np

from gradwire.communicators.base import Communicator
from gradwire.errors import ConfigError, require_integer

# Bytes to every other rank: from messages that cost their latency only to such that fill a link.
MESSAGE_BYTES = (64, 4_096, 65_536, 262_144, 1_048_576)
_REPETITIONS = 7
# Small messages take little time, and what disturbs them disturbs them most.
_SMALL, _TIMES_AS_OFTEN = 65_536, 4
_BITS = 8
# Of the product of the sums of squares: below it, rounding decides what alpha is and what beta.
_LEAST_DETERMINANT = 1e-9


class Sample(NamedTuple):
    """What one rank exchanged at a time: messages sent, bytes in each direction, seconds."""

    messages: float
    nbytes: float
    seconds: float


@dataclass(frozen=True)
class Link:
    """What each rank is joined to the others by.

    Attributes:
        alpha: seconds per message.
        beta: seconds per byte, in each direction; both directions at once.
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        """Refuse what is no time."""
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not 0.0 <= value < float("inf"):
                raise ConfigError(f"Link: {name} must be finite seconds >= 0, got {value}")

    @classmethod
    def of_rate(cls, bits_per_second: float, latency: float) -> Link:
        """Return the link of a rate, in bits per second, and a latency, in seconds per message."""
        if not bits_per_second > 0.0:
            raise ConfigError(f"Link: the rate must be above 0 bit/s, got {bits_per_second}")
        return cls(latency, _BITS / bits_per_second)

    def seconds(self, messages: float, bytes_sent: float, bytes_received: float) -> float:
        """Return how long one rank takes to send and receive so much."""
        return self.alpha * messages + self.beta * max(bytes_sent, bytes_received)


def slowest(link: Link, loads: Iterable[tuple[float, float, float]]) -> float:
    """Return the seconds of a phase: those of its slowest rank, 0 if there is none.

    loads: (messages sent, bytes sent, bytes received) of every rank.
    """
    return max((link.seconds(*load) for load in loads), default=0.0)


def fit(samples: Sequence[Sample]) -> Link:
    """Return the link that explains the samples best: least squares of the relative errors.

    Relative, because a microsecond matters where a message takes ten and not where it takes a
    thousand. Neither alpha nor beta is below 0. Plain float64 arithmetic in the order of the
    samples: the same samples give the same bits on every machine.

    Raises:
        ConfigError: fewer than two samples, one that is not positive and finite, or samples whose
            messages and bytes are all in one proportion, which leave alpha and beta open.
    """
    _check(samples)
    # The model divided by each sample's seconds: alpha x + beta y = 1.
    xs = [each.messages / each.seconds for each in samples]
    ys = [each.nbytes / each.seconds for each in samples]
    xx, yy = sum(x * x for x in xs), sum(y * y for y in ys)
    xy = sum(x * y for x, y in zip(xs, ys, strict=True))
    determinant = xx * yy - xy * xy
    if not determinant > _LEAST_DETERMINANT * xx * yy:
        raise ConfigError(
            "fit: messages and bytes of all samples are in one proportion, so alpha and beta "
            "cannot be told apart; give samples of other sizes"
        )
    x, y = sum(xs), sum(ys)
    alpha, beta = (x * yy - y * xy) / determinant, (y * xx - x * xy) / determinant
    if alpha >= 0.0 and beta >= 0.0:
        return Link(alpha, beta)

    def squares(link: Link) -> float:
        return sum((link.alpha * x + link.beta * y - 1.0) ** 2 for x, y in zip(xs, ys, strict=True))

    # The best point with both >= 0 then lies on one of the two axes.
    return min((Link(0.0, y / yy), Link(x / xx, 0.0)), key=squares)


def measure_link(
    communicator: Communicator,
    message_bytes: Sequence[int] = MESSAGE_BYTES,
    repetitions: int = _REPETITIONS,
) -> Link:
    """Return the link that messages of a few sizes to all other ranks measure; collective.

    A size's time is the median of its repetitions, after one that does not count, and that of a
    repetition is the slowest rank's; so all ranks get the same bits.

    Args:
        communicator: of two ranks or more.
        message_bytes: bytes of the message to each rank, two different sizes or more.
        repetitions: exchanges of each size, at least 1; four times as many of small ones.

    Raises:
        ConfigError: arguments out of range.
    """
    if communicator.size < 2:
        raise ConfigError("measure_link: needs at least 2 ranks, got 1; start it with mpirun")
    for nbytes in message_bytes:
        require_integer("measure_link: message_bytes", nbytes, 0)
    require_integer("measure_link: repetitions", repetitions, 1)
    peers = communicator.size - 1
    samples = []
    for nbytes in message_bytes:
        count = repetitions * (_TIMES_AS_OFTEN if nbytes <= _SMALL else 1)
        own = np.array(_times(communicator, nbytes, count), np.float64)
        slowest_rank = communicator.allreduce(own, "max").tolist()
        samples.append(Sample(peers, peers * nbytes, median(slowest_rank)))
    return fit(samples)


def _times(communicator: Communicator, nbytes: int, repetitions: int) -> list[float]:
    """Return the seconds of some exchanges of equal messages."""
    messages = [np.zeros(nbytes, np.uint8)] * communicator.size
    times = []
    for _ in range(1 + repetitions):
        communicator.barrier()
        begin = perf_counter()
        communicator.exchange(messages, nbytes)
        times.append(perf_counter() - begin)
    return times[1:]


def _check(samples: Sequence[Sample]) -> None:
    if len(samples) < 2:
        raise ConfigError(f"fit: needs at least 2 samples, got {len(samples)}")
    for each in samples:
        usable = 0 < each.seconds < float("inf") and each.messages >= 0 and each.nbytes >= 0
        if not usable or each.messages == each.nbytes == 0:
            raise ConfigError(
                "fit: a sample needs messages or bytes, and seconds above 0, "
                f"got {each.messages} messages, {each.nbytes} B and {each.seconds} s"
            )
