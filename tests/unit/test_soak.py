"""Thousands of exchanges in a row: nothing is lost, replicas agree and memory does not grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradwire.compressors import BF16, Chain, TopK
from gradwire.cost import Link, Rates
from gradwire.exchange import Reduced
from gradwire.payload import Payload
from gradwire.recent import MAX_RECENT
from gradwire.residual import OwnedResidual
from gradwire.schedules import Auto, Correction, OkTopk, TopkDsa
from gradwire.schedules.partitioned import Partitioned
from gradwire.testing.footprint import Footprint
from gradwire.testing.soak import Rank, Session, Turn, simulated

SEED = 20
WARM_UP, EXCHANGES = 2_000, 10_000
# Fewer than one object in 16 exchanges, and 2 KiB an exchange.
MORE_BLOCKS, MORE_BYTES = 500, 16 << 20
LONG = Session(SEED, 0, 3, TopK(0.05), {"id": "oktopk"}, 0, newcomers=1.0, kinds="any below 3000")


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `auto` choose by a link that is as good as any: how long things take here is no test."""
    monkeypatch.setattr("gradwire.schedules.auto.measure_link", lambda _: Link(1e-5, 8e-9))
    monkeypatch.setattr("gradwire.schedules.auto.measure_rates", lambda *_: Rates())


def sessions(exchanges: int) -> Iterator[tuple[Session, int]]:
    """Yield sessions, and how many exchanges there are up to the end of each."""
    done = number = 0
    while done < exchanges:
        session = Session.drawn(SEED, number)
        done, number = done + session.exchanges, number + 1
        yield session, done


def test_hundreds_of_exchanges() -> None:
    for session, _ in sessions(600):
        simulated(session)


@pytest.mark.deep
def test_ten_thousand_exchanges_in_a_row() -> None:
    """Some 800 sessions; see `Session` for how to repeat one of them alone."""
    first: Footprint | None = None
    for session, done in sessions(EXCHANGES):
        simulated(session)
        if first is None and done >= WARM_UP:
            first = Footprint.now()
    assert first is not None
    Footprint.now().check_growth(first, MORE_BLOCKS, MORE_BYTES)


def test_sessions_are_of_many_kinds() -> None:
    """And the same ones at every run."""
    drawn = [Session.drawn(SEED, number) for number in range(400)]
    assert drawn == [Session.drawn(SEED, number) for number in range(400)]
    assert {each.size for each in drawn} == set(range(1, 9))
    names = {each.compressor.id for each in drawn}
    assert names == {"topk", "chain", "qsgd", "efsignsgd", "none", "fp16", "bf16", "randomk"}
    schedules = {each.schedule["id"] for each in drawn}
    assert schedules >= {
        "oktopk", "topkdsa", "gtopk", "allgather", "dense", "split_gather", "auto",
    }  # fmt: skip
    turns = [turn for each in drawn for turn in each.turns()]
    assert turns[:100] == [turn for each in drawn for turn in each.turns()][:100]
    assert {0, 1, 100_000} < {turn.bucket.numel for turn in turns}
    assert any(turn.bucket.tail == turn.bucket.numel > 1 for turn in turns)
    assert any(0 < turn.bucket.tail < turn.bucket.numel for turn in turns)
    assert max(turn.step for turn in turns) > 8
    integers = sum(turn.shape == "integers" for turn in turns)
    assert 0.4 < integers / len(turns) < 0.6


@pytest.mark.parametrize("limit", [50, pytest.param(MAX_RECENT, marks=pytest.mark.deep)])
@pytest.mark.parametrize("schedule", ["oktopk", "topkdsa", "auto"])
def test_one_schedule_and_any_number_of_sizes(
    schedule: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More buckets than a schedule remembers, of which some come back."""
    monkeypatch.setattr("gradwire.recent.MAX_RECENT", limit)
    session = replace(LONG, schedule={"id": schedule}, exchanges=3 * limit)
    assert len({turn.bucket for turn in session.turns()}) > 2 * limit
    reached: list[Footprint] = []

    def after_each(rank: Rank, turn: Turn) -> None:
        # By the first of these all that is remembered is full.
        if rank.communicator.rank == 0 and turn.number in (int(2.4 * limit), 3 * limit - 1):
            reached.append(Footprint.now())

    for rank in simulated(session, after_each):
        assert remembered(rank.exchange.schedule) == limit
    reached[1].check_growth(reached[0], MORE_BLOCKS, MORE_BYTES)


def remembered(schedule: Any) -> int:
    """Return of how many buckets a schedule remembers something, at most."""
    if isinstance(schedule, Auto):
        parts = [remembered(each) for each in schedule._schedules.values()]
        return max(len(schedule.choices), len(schedule._rates), *parts)
    return len(schedule._partitions) if isinstance(schedule, Partitioned) else 0


# ---- the checks themselves -----------------------------------------------------------------------


def nothing_corrected(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Correction, "add_entries_to", lambda *_: None)


def all_delivered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OkTopk, "delivered", lambda _, payload, reduced: (payload.indices, slice(None)))


def nothing_delivered(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TopkDsa, "delivered", lambda _, payload, reduced: (payload.indices[:0], []))


def fewer_selected(patch: pytest.MonkeyPatch) -> None:
    original = TopK.compensate

    def compensate(*arguments: Any) -> Payload:
        payload = original(*arguments)
        return replace(payload, indices=payload.indices[1:], values=payload.values[1:])

    patch.setattr(TopK, "compensate", compensate)


def one_rank_apart(patch: pytest.MonkeyPatch) -> None:
    original = Reduced.write

    def write(reduced: Reduced, out: np.ndarray, scale: float) -> np.ndarray:
        written = original(reduced, out, scale)
        if reduced._context.rank == 2:
            written[-1:] = np.nextafter(written[-1:], np.float32(np.inf))
        return written

    patch.setattr(Reduced, "write", write)


def committed_anyway(patch: pytest.MonkeyPatch) -> None:
    original = Reduced.__init__

    def init(reduced: Reduced, finite: bool, *arguments: Any) -> None:
        original(reduced, True, *arguments)

    patch.setattr(Reduced, "__init__", init)


def not_swapped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OwnedResidual, "commit", lambda residual: residual.acc)


@pytest.mark.parametrize(
    ("compressor", "schedule", "sabotage", "complaint"),
    [
        (Chain(TopK(0.1), BF16()), "oktopk", nothing_corrected, "lost"),
        (TopK(0.1), "gtopk", nothing_corrected, "lost"),
        (TopK(0.1), "oktopk", all_delivered, "lost"),
        (TopK(0.1), "topkdsa", nothing_delivered, "are gone"),
        (TopK(0.1), "allgather", fewer_selected, "selected"),
        (TopK(0.1), "oktopk", one_rank_apart, "replicas differ"),
        (TopK(0.1), "allgather", committed_anyway, "a NaN went unnoticed"),
        (TopK(0.1), "oktopk", not_swapped, "are gone"),
    ],
)
def test_what_goes_wrong_is_noticed(
    compressor: Any,
    schedule: str,
    sabotage: Callable[[pytest.MonkeyPatch], None],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the session and its exchange are named."""
    session = Session(SEED, 5, 3, compressor, {"id": schedule}, exchanges=100)
    simulated(session)
    sabotage(monkeypatch)
    found = rf"Session\(seed=20, number=5, .*, Turn\(number=\d+, .*: .*{complaint}"
    with pytest.raises(AssertionError, match=found):
        simulated(session)


def test_growing_memory_is_noticed() -> None:
    first, kept = Footprint.now(), [[] for _ in range(1_000)]
    with pytest.raises(AssertionError, match=r"memory grew by \d+ blocks"):
        Footprint.now().check_growth(first, MORE_BLOCKS, MORE_BYTES)
    kept.clear()
    Footprint.now().check_growth(first, MORE_BLOCKS, MORE_BYTES)
