"""One rank misbehaves in one phase of one exchange: every rank ends with an error that says so.

On simulated ranks; ``tests/integration/test_launched_failures.py`` does it to processes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_inputs import assert_same_bits

from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import Compressor, NoCompression, TopK
from gradwire.errors import (
    AgreementError,
    ConfigError,
    DeadlockError,
    GradwireError,
    PeerError,
    WireError,
)
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import Allgather, Dense, GTopk, OkTopk, Schedule, TopkDsa
from gradwire.testing import SHAPES
from gradwire.testing.faults import (
    HEADED_PHASES,
    LAST_PHASES,
    PHASES_OF,
    TAMPERINGS,
    FaultyCommunicator,
    Place,
    Sending,
    Tampering,
    flipped,
    phases_noted,
)
from gradwire.wire import HEADER_BYTES

SIZES = (2, 3, 5)
NUMEL = 241  # a prime, so that no two owners' slices of dense values need be alike
STEPS = 4
FAULTY_STEP = 2
FLIPPED_INDICES, SWAPPED = "flipped in the indices", "of another rank"
INDEX_CODEC_BYTE = 4
LOAD_BYTES = range(32, 36)  # of a header; in a gathered message any load is as good as another


@dataclass(frozen=True)
class Method:
    """A schedule, and a compressor that it serves."""

    schedule: Callable[[], Schedule]
    compressor: Compressor


METHODS = {
    "oktopk": Method(lambda: OkTopk(repartition_every=1), TopK(0.1)),
    # Few entries: a full region's message has no indices in which a flipped bit could be noticed.
    "topkdsa": Method(lambda: TopkDsa(repartition_every=1), TopK(0.02)),
    "gtopk": Method(GTopk, TopK(0.1)),
    "allgather": Method(Allgather, TopK(0.1)),
    "dense": Method(Dense, NoCompression()),
}
PLACES = [(name, phase) for name in METHODS for phase in PHASES_OF[name]]
WITH_HEADERS = [(name, phase) for name, phase in PLACES if phase in HEADED_PHASES]


@dataclass
class Witness:
    """What one rank saw: results and residuals (the first one from the start), and the end."""

    outs: list[np.ndarray] = field(default_factory=list)
    residuals: list[np.ndarray] = field(default_factory=list)
    error: BaseException | None = None
    hit: bool = False


class Leaves(BaseException):
    """The rank is gone, and has told nobody."""


def exchanged(communicator: FaultyCommunicator, method: Method) -> Witness:
    """Exchange until something goes wrong, and check that nothing but results has changed."""
    # Bytes that cost nothing travel as u32, where a flipped bit is an index out of range; shorter
    # codes have hardly a bit that could not as well be another one.
    communicator.byte_seconds = 0.0
    exchange = Exchange(method.compressor, method.schedule(), communicator)
    residual, witness = OwnedResidual(NUMEL), Witness()
    witness.residuals.append(residual.values.copy())
    for step in range(STEPS):
        gradient = SHAPES["layered_laplace"](
            np.random.default_rng([communicator.rank, step]), NUMEL
        )
        kept, floor = gradient.copy(), residual.floor
        try:
            reduced = exchange.reduce(
                Bucket("bucket", "one tensor", NUMEL), gradient, step, residual
            )
        except BaseException as error:
            witness.error = error
            assert_same_bits(residual.values, witness.residuals[-1])
            assert_same_bits(gradient, kept)
            assert residual.floor == floor
            break
        if not reduced.finite:  # only a flipped bit can make it so
            continue
        witness.outs.append(reduced.commit(residual, 1 / communicator.size).copy())
        witness.residuals.append(residual.values.copy())
    witness.hit = communicator.hit
    return witness


def witnesses(
    name: str,
    size: int,
    place: Place | None = None,
    culprit: int = 0,
    act: Callable[[], None] | None = None,
    tamper: Tampering | None = None,
) -> list[Witness]:
    """Return what every rank of a simulation saw in which one has a fault."""

    def rank(communicator: Communicator) -> Witness:
        faults = (place, act, tamper) if communicator.rank == culprit else ()
        return exchanged(FaultyCommunicator(communicator, *faults), METHODS[name])

    with phases_noted():
        return Simulation(size, seed=culprit).run(rank)


@cache
def undisturbed(name: str, size: int) -> list[Witness]:
    return witnesses(name, size)


def routes(phase: str, size: int) -> list[tuple[int, int]]:
    """Return some ranks that send messages in a phase, each with the first one that gets one."""
    if phase == "merge":  # up the tree: to the rank without the lowest bit
        return [(rank, rank & rank - 1) for rank in sorted({1, size - 1})]
    if phase == "broadcast":  # and down, to the farthest one first
        return [(0, 1 << (size - 1).bit_length() - 1)]
    return [(rank, (rank + 1) % size) for rank in sorted({0, size - 1})]


def assert_right_as_far_as_it_went(name: str, seen: list[Witness], phase: str) -> None:
    """What was committed is what it would have been, on every rank as far as it came.

    Only in its last phase can an exchange succeed on one rank and fail on another: that is how far
    ranks can be apart when one fails there, or in the first phase of the next exchange.
    """
    fewer, more = phase == "agree", phase in LAST_PHASES
    allowed = {FAULTY_STEP, FAULTY_STEP - fewer, FAULTY_STEP + more}
    for own, expected in zip(seen, undisturbed(name, len(seen)), strict=True):
        done = len(own.outs)
        assert done in allowed
        for got, wanted in zip(own.outs, expected.outs, strict=False):
            assert_same_bits(got, wanted)
        for got, wanted in zip(own.residuals, expected.residuals[: done + 1], strict=True):
            assert_same_bits(got, wanted)


def test_phases_are_those_of_the_schedules() -> None:
    """Every place that the tests below choose exists, and nothing is wrong without a fault."""
    noted: list[tuple[str, str]] = []
    for name, phase in PLACES:
        seen = witnesses(
            name, 2, Place(FAULTY_STEP, phase), act=lambda at=(name, phase): noted.append(at)
        )
        assert [len(own.outs) for own in seen] == [STEPS, STEPS]
        assert [own.error for own in seen] == [None, None]
    assert noted == PLACES


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize(("name", "phase"), PLACES)
def test_rank_that_raises(name: str, phase: str, kind: type[BaseException], size: int) -> None:
    def act() -> None:
        raise kind("no room")

    for culprit in {0, size - 1}:
        seen = witnesses(name, size, Place(FAULTY_STEP, phase), culprit, act=act)
        assert_right_as_far_as_it_went(name, seen, phase)
        assert isinstance(seen[culprit].error, kind)
        for rank, own in enumerate(seen):
            if rank != culprit:
                assert isinstance(own.error, PeerError)
                assert str(own.error) == f"rank {culprit} gave up: {kind.__name__}: no room"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "phase"), PLACES)
def test_rank_that_is_gone(name: str, phase: str, size: int) -> None:
    """Nobody goes on without it; the simulation says at once whom everybody waits for."""
    for culprit in {0, size - 1}:
        outs: list[int] = []

        def rank(
            communicator: Communicator, culprit: int = culprit, outs: list[int] = outs
        ) -> None:
            mine = communicator.rank == culprit
            faulty = FaultyCommunicator(
                communicator, Place(FAULTY_STEP, phase) if mine else None, act=leave
            )
            if mine:
                faulty.fail = lambda error: None  # type: ignore[method-assign]
            outs.append(len(exchanged(faulty, METHODS[name]).outs))

        def leave() -> None:
            raise Leaves

        with phases_noted(), pytest.raises(DeadlockError) as caught:
            Simulation(size, seed=culprit).run(rank)
        waiting = [line for line in str(caught.value).splitlines() if " waits in " in line]
        assert waiting and any(f" for ranks [{culprit}]" in line for line in waiting)
        assert set(outs) <= {FAULTY_STEP}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fault", TAMPERINGS)
@pytest.mark.parametrize(("name", "phase"), WITH_HEADERS)
def test_message_that_is_bad(name: str, phase: str, fault: str, size: int) -> None:
    """Who receives it refuses it and tells the others; nobody takes anything from it."""
    if fault == FLIPPED_INDICES and name == "dense":
        pytest.skip("dense messages have no indices")
    if fault == SWAPPED and (phase != "split" or size == 2):
        pytest.skip("all get the same message, or there is no other rank that gets one")
    if fault == SWAPPED and name == "dense":
        size = 3  # 241 elements make slices of 80, 80 and 81
    for culprit, victim in routes(phase, size):
        place = Place(FAULTY_STEP, phase)
        victims = {victim, (victim + 1) % size} if fault == SWAPPED else {victim}
        if name == "dense" and fault == SWAPPED and 2 not in victims:
            continue
        seen = witnesses(name, size, place, culprit, tamper=TAMPERINGS[fault])
        assert seen[culprit].hit
        assert_right_as_far_as_it_went(name, seen, phase)
        refusing = {rank for rank, own in enumerate(seen) if isinstance(own.error, WireError)}
        assert refusing and refusing <= victims
        for rank, own in enumerate(seen):
            assert rank in refusing or isinstance(own.error, PeerError)
            if fault != FLIPPED_INDICES:
                assert f"rank {culprit}" in str(own.error)


@pytest.mark.parametrize("fault", [fault for fault in TAMPERINGS if fault != SWAPPED])
def test_bad_message_that_is_passed_on(fault: str) -> None:
    """Rank 0 of a tree of 8 sends it to rank 4, and that one to three others before it reads it."""
    seen = witnesses("gtopk", 8, Place(FAULTY_STEP, "broadcast"), 0, tamper=TAMPERINGS[fault])
    assert_right_as_far_as_it_went("gtopk", seen, "broadcast")
    refusing = {rank for rank, own in enumerate(seen) if isinstance(own.error, WireError)}
    assert refusing and refusing <= {4, 5, 6, 7}
    assert all(isinstance(own.error, (WireError, PeerError)) for own in seen)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fault", ["cut short", "cut to nothing", "too long"])
@pytest.mark.parametrize("phase", ["agree", "partition", "select"])
def test_bare_message_of_another_length(phase: str, fault: str, size: int) -> None:
    """Reductions have no headers, but everybody knows their lengths."""
    for culprit in {0, size - 1}:
        place, victim = Place(FAULTY_STEP, phase), (culprit + 1) % size
        seen = witnesses("oktopk", size, place, culprit, tamper=TAMPERINGS[fault])
        assert_right_as_far_as_it_went("oktopk", seen, phase)
        for own in seen:
            assert isinstance(own.error, GradwireError)
            assert f"rank {culprit}" in str(own.error) or f"rank {victim}" in str(own.error)


@pytest.mark.parametrize(("name", "phase"), WITH_HEADERS)
def test_every_byte_of_a_header_counts(name: str, phase: str) -> None:
    for position in range(HEADER_BYTES):
        if phase in LAST_PHASES and name != "allgather" and position in LOAD_BYTES:
            continue
        tamper, (culprit, victim) = flipped(position, 0x01), routes(phase, 3)[-1]
        seen = witnesses(name, 3, Place(FAULTY_STEP, phase), culprit, tamper=tamper)
        if position == INDEX_CODEC_BYTE and name == "dense":
            # Without entries it is all the same how indices would be written.
            assert all(own.error is None for own in seen)
            continue
        assert isinstance(seen[victim].error, WireError), position
        assert_right_as_far_as_it_went(name, seen, phase)


@settings(deadline=None, max_examples=100)
@given(
    at=st.sampled_from(PLACES),
    size=st.sampled_from(SIZES),
    position=st.integers(0, 10**6),
    bits=st.integers(1, 255),
    culprit=st.integers(0, 4),
)
def test_any_flipped_byte(
    at: tuple[str, str], size: int, position: int, bits: int, culprit: int
) -> None:
    """Ranks never hang, never fail with anything but gradwire's errors, and never alone.

    A flipped byte of a value, of a count or of an index that stays in order is a legal message: it
    cannot be told from a right one. What gradwire checks is what a message says about itself;
    that its bytes are those that were sent is the transport's to guarantee, by TCP's checksums for
    one.
    """

    def tamper(sending: Sending) -> list[np.ndarray]:
        length = len(sending.messages[sending.victim])
        return flipped(position % length, bits)(sending) if length else sending.messages

    name, phase = at
    seen = witnesses(name, size, Place(FAULTY_STEP, phase), culprit % size, tamper=tamper)
    failed = [own.error for own in seen if own.error is not None]
    assert all(isinstance(error, GradwireError) and str(error) for error in failed)
    assert len(failed) in (0, size)
    for own, expected in zip(seen, undisturbed(name, size), strict=True):
        for got, wanted in zip(own.outs[:FAULTY_STEP], expected.outs, strict=False):
            assert_same_bits(got, wanted)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", METHODS)
def test_work_goes_on_after_a_difference(name: str, size: int) -> None:
    """Refused by all, forgotten by all: the same exchange, agreed on, gives the right result."""

    def rank(communicator: Communicator, culprit: int, changed: str) -> list[np.ndarray]:
        exchange = Exchange(METHODS[name].compressor, METHODS[name].schedule(), communicator)
        residual, outs = OwnedResidual(NUMEL), []
        for step in range(STEPS):
            gradient = SHAPES["layered_laplace"](
                np.random.default_rng([communicator.rank, step]), NUMEL
            )
            odd_one = communicator.rank == culprit
            bucket = Bucket("bucket", "one tensor", NUMEL)
            odd_step = step + 1 if odd_one and changed == "step" else step
            odd_bucket = (
                Bucket("bucket", "two", NUMEL) if odd_one and changed == "contents" else bucket
            )
            odd_gradient = gradient[:-1] if odd_one and changed == "size" else gradient
            kind = ConfigError if odd_one and changed == "size" else AgreementError
            before = residual.values.copy()
            with pytest.raises(kind):
                exchange.reduce(odd_bucket, odd_gradient, odd_step, residual)
            assert_same_bits(residual.values, before)
            reduced = exchange.reduce(bucket, gradient, step, residual)
            outs.append(reduced.commit(residual, 1 / size).copy())
        return outs

    for culprit in {0, size - 1}:
        for changed in ("step", "contents", "size"):
            seen = Simulation(size).run(rank, culprit, changed)
            for outs, expected in zip(seen, undisturbed(name, size), strict=True):
                for got, wanted in zip(outs, expected.outs, strict=True):
                    assert_same_bits(got, wanted)
