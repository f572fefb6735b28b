"""Exchange after exchange of all that can be chosen at random, checked by what each must keep.

A session is a number of exchanges in a row over one communicator, of buckets that come, stay for a
while and go, with one compressor and one schedule object. It is drawn from a seed and a number, so
one that fails can be repeated alone::

    from gradwire.testing.soak import Session, simulated

    simulated(Session.drawn(seed=1, number=42))

After every exchange all ranks must have the same bits, and nothing may be lost: on the undivided
sum, residuals after + sum = residuals before + gradients (`gradwire.testing.conservation`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import Compressor
from gradwire.exchange import Bucket, Exchange
from gradwire.payload import Float32
from gradwire.residual import OwnedResidual
from gradwire.schedules import get_schedule
from gradwire.testing.conservation import Evidence, Setting, check_exchange
from gradwire.testing.draws import (
    INTEGERS,
    drawn_compressor,
    drawn_numel,
    drawn_schedule,
    drawn_shape,
    drawn_tail,
    gradient_of,
)

LIVE_BUCKETS = 6  # at a time, each with a residual
NAMES = 3  # of buckets: one name comes back with another size
LARGEST_RANKS = 8
LONGEST_DRAWN = 24  # exchanges
# Of ranks' evidence, collectively: everybody's in rank order on the rank that checks, None on
# others.
Gather = Callable[[Evidence], "list[Evidence] | None"]


@dataclass(frozen=True)
class Turn:
    """One exchange of a session; the same on all ranks.

    Attributes:
        number: of the exchange in its session.
        bucket: what is exchanged.
        key: which of the session's buckets it is, in the order of their coming.
        step: how often that bucket has been exchanged before.
        shape: name of a shape of gradients, or ``INTEGERS``.
        poisoned: rank whose gradient has a NaN, or None.
    """

    number: int
    bucket: Bucket
    key: int
    step: int
    shape: str
    poisoned: int | None


@dataclass(frozen=True)
class Session:
    """Exchanges in a row.

    Attributes:
        seed, number: what it was drawn from.
        size: number of ranks.
        compressor: what all exchanges send.
        schedule: configuration of how they send it.
        exchanges: how many.
        newcomers: share of them whose bucket is a new one.
        feedback: whether there are residuals.
        shuffled: whether simulated messages arrive in random order.
        kinds: where sizes are drawn from; see `drawn_numel`.
    """

    seed: int
    number: int
    size: int
    compressor: Compressor
    schedule: dict[str, Any]
    exchanges: int
    newcomers: float = 0.4
    feedback: bool = True
    shuffled: bool = True
    kinds: str = "all"

    @classmethod
    def drawn(cls, seed: int, number: int, size: int | None = None) -> Session:
        """Return session ``number`` of a seed, on ``size`` ranks if given, 1 to 8 otherwise."""
        generator = np.random.default_rng([seed, number])
        ranks = int(generator.integers(1, LARGEST_RANKS + 1))
        compressor = drawn_compressor(generator)
        return cls(
            seed,
            number,
            size or ranks,
            compressor,
            drawn_schedule(generator, compressor),
            exchanges=int(generator.integers(1, LONGEST_DRAWN + 1)),
            feedback=compressor.traits.needs_residual or bool(generator.random() < 0.5),
            shuffled=bool(generator.random() < 0.5),
        )

    def turns(self) -> Iterator[Turn]:
        """Yield what is exchanged, one after the other."""
        generator = np.random.default_rng([self.seed, self.number, 1])
        live: dict[int, Turn] = {}
        for number in range(self.exchanges):
            if not live or generator.random() < self.newcomers:
                numel = drawn_numel(generator, self.kinds)
                name = f"bucket{number % NAMES}"
                bucket = Bucket(name, f"{numel}", numel, drawn_tail(generator, numel))
                turn = Turn(number, bucket, number, 0, drawn_shape(generator), None)
                if len(live) == LIVE_BUCKETS:
                    del live[next(iter(live))]
            else:
                last = live[list(live)[int(generator.integers(len(live)))]]
                turn = replace(last, number=number, step=last.step + 1)
            live[turn.key] = turn
            bad = turn.bucket.numel and generator.random() < 0.03
            yield replace(turn, poisoned=int(generator.integers(self.size)) if bad else None)


@dataclass
class Rank:
    """One rank's part in a session.

    Attributes:
        exchange: what it exchanges with, from the first turn to the last.
        residuals: of the buckets that may come back, by their keys.
    """

    session: Session
    communicator: Communicator
    exchange: Exchange = field(init=False)
    residuals: dict[int, OwnedResidual] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the exchange."""
        config = dict(self.session.schedule)
        schedule = get_schedule(config.pop("id"), **config)
        self.exchange = Exchange(
            self.session.compressor, schedule, self.communicator, self.session.seed
        )

    def take(self, turn: Turn) -> Evidence:
        """Do one exchange; return what this rank saw of it."""
        session, numel = self.session, turn.bucket.numel
        generator = np.random.default_rng(
            [session.seed, session.number, 2, turn.number, self.communicator.rank]
        )
        gradient = gradient_of(turn.shape, generator, numel)
        if turn.poisoned == self.communicator.rank:
            gradient[int(generator.integers(numel))] = np.nan
        residual = self._residual_of(turn)
        if residual is None:
            acc, out = gradient.copy(), np.full(numel, np.nan, np.float32)
            reduced = self.exchange.reduce(turn.bucket, gradient, turn.step, out=out)
            if reduced.finite:
                reduced.write(out, 1.0)
            return Evidence(acc, None, None, out if reduced.finite else None, reduced.report)
        before: Float32 = residual.values.copy()
        acc = before + gradient
        reduced = self.exchange.reduce(turn.bucket, gradient, turn.step, residual)
        sums = reduced.commit(residual, 1.0).copy() if reduced.finite else None
        return Evidence(acc, before, residual.values.copy(), sums, reduced.report)

    def _residual_of(self, turn: Turn) -> OwnedResidual | None:
        if not self.session.feedback:
            return None
        if turn.key not in self.residuals:
            if len(self.residuals) == LIVE_BUCKETS:
                del self.residuals[next(iter(self.residuals))]
            self.residuals[turn.key] = OwnedResidual(turn.bucket.numel)
        return self.residuals[turn.key]


def run_session(
    session: Session,
    communicator: Communicator,
    gather: Gather,
    after_each: Callable[[Rank, Turn], None] | None = None,
) -> Rank:
    """Do and check all exchanges of a session; collective. Return this rank's part in it.

    Args:
        session: the same on all ranks; its size is the communicator's.
        communicator: any; it is used for nothing but the exchanges.
        gather: brings the ranks' evidence together, some other way.
        after_each: is called after every exchange.

    Raises:
        AssertionError: an exchange failed or did not keep what it must; names session and turn.
    """
    part = Rank(session, communicator)
    for turn in session.turns():
        try:
            everyone = gather(part.take(turn))
            if everyone is not None:
                setting = Setting(
                    session.compressor,
                    part.exchange.schedule,
                    turn.bucket,
                    turn.step,
                    turn.shape == INTEGERS,
                    turn.poisoned is not None,
                )
                check_exchange(setting, everyone)
        except Exception as error:
            raise AssertionError(f"{session}, {turn}: {type(error).__name__}: {error}") from error
        if after_each is not None:
            after_each(part, turn)
    return part


def simulated(
    session: Session, after_each: Callable[[Rank, Turn], None] | None = None
) -> list[Rank]:
    """Do and check a session on simulated ranks; return their parts.

    Raises:
        AssertionError: as in `run_session`.
    """
    board: dict[int, Evidence] = {}

    def rank(communicator: Communicator) -> Rank:
        def gather(own: Evidence) -> list[Evidence] | None:
            # Nobody comes to put up its next one before rank 0 takes part in the next exchange.
            board[communicator.rank] = own
            communicator.barrier()
            if communicator.rank:
                return None
            everyone = [board[each] for each in range(session.size)]
            board.clear()
            return everyone

        return run_session(session, communicator, gather, after_each)

    simulation = Simulation(session.size, session.number, shuffle=session.shuffled)
    parts: list[Rank] = simulation.run(rank)
    return parts
