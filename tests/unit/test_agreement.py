"""Ranks that are about to do different things find out, all of them, and nothing changes."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradwire import sparse_allreduce
from gradwire.communicators import Communicator, Simulation
from gradwire.compressors import TopK
from gradwire.errors import AgreementError
from gradwire.exchange import Bucket, Exchange
from gradwire.residual import OwnedResidual
from gradwire.schedules import Agreement, Allgather, Dense, OkTopk
from gradwire.schedules.agreement import agree
from gradwire.testing import exact_values


def errors_of(size: int, call: Callable[[Communicator], Any]) -> list[str]:
    """Return every rank's AgreementError as text; fail if one has none."""

    def rank(communicator: Communicator) -> str:
        with pytest.raises(AgreementError) as caught:
            call(communicator)
        communicator.barrier()  # still usable, in step
        return str(caught.value)

    return Simulation(size, seed=1).run(rank)


def one_differs(common: dict[str, Any], changed: dict[str, Any], culprit: int) -> Callable:
    """Return an exchange in which one rank has other parameters, checked for its effects."""

    def call(communicator: Communicator) -> None:
        own = {**common, **(changed if communicator.rank == culprit else {})}
        exchange = Exchange(TopK(own["density"]), own["schedule"], communicator, seed=own["seed"])
        bucket = Bucket(own["name"], own["contents"], own["numel"])
        generator = np.random.default_rng(communicator.rank)
        residual = OwnedResidual(bucket.numel)
        residual.values[:] = exact_values(generator, bucket.numel)
        residual.floor = 0.25
        before = residual.values.copy()
        try:
            exchange.reduce(bucket, exact_values(generator, bucket.numel), own["step"], residual)
        finally:
            assert residual.values.tobytes() == before.tobytes()
            assert residual.floor == 0.25
            assert communicator.counters.messages_sent <= 4 * (communicator.size - 1)

    return call


COMMON = {
    "density": 0.1,
    "schedule": OkTopk(),
    "seed": 0,
    "name": "bucket0",
    "contents": "w[100]",
    "numel": 100,
    "step": 5,
}


@pytest.mark.parametrize("culprit", [0, 1, 2])
@pytest.mark.parametrize(
    ("changed", "field", "value"),
    [
        ({"numel": 101}, "elements", "101"),
        ({"numel": 0}, "elements", "0"),
        ({"density": 0.2}, "compressor", "0.2"),
        ({"density": 1.0}, "compressor", "1.0"),
        ({"step": 6}, "step", "6"),
        ({"name": "bucket1"}, "bucket", "bucket1"),
        ({"contents": "w[50],v[50]"}, "contents", r"w\[50\],v\[50\]"),
        ({"seed": 1}, "seed", "1"),
        ({"schedule": OkTopk(repartition_every=7)}, "schedule", "7"),
        ({"schedule": Allgather()}, "schedule", "allgather"),
    ],
)
def test_difference_is_named_on_every_rank(
    changed: dict[str, Any], field: str, value: str, culprit: int
) -> None:
    texts = errors_of(3, one_differs(COMMON, changed, culprit))
    assert len(set(texts)) == 1
    with pytest.raises(AssertionError, match=rf"{field} is .*on rank . and .* on rank 0"):
        raise AssertionError(texts[0])
    with pytest.raises(AssertionError, match=value):
        raise AssertionError(texts[0])
    if culprit:
        assert f"on rank {culprit} " in texts[0]
        assert f"on rank {3 - culprit} " not in texts[0]


def test_several_differences_are_all_named() -> None:
    (text, _) = errors_of(2, one_differs(COMMON, {"numel": 7, "step": 9, "seed": 4}, 1))
    for difference in (
        "elements is 7 on rank 1 and 100 on rank 0",
        "seed is 4 on rank 1 and 0 on rank 0",
        "step is 9 on rank 1 and 5 on rank 0",
    ):
        assert difference in text


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"shape": (25, 4)}, r"float32\[25, 4\]"),
        ({"shape": (99,)}, "99"),
        ({"density": 0.3}, "0.3"),
        ({"dtype": "float16"}, "float16"),
        ({"average": False}, "sum of"),
    ],
)
def test_function_finds_differences_too(changed: dict[str, Any], named: str) -> None:
    """Everything that would make the results differ between ranks."""

    def call(communicator: Communicator) -> None:
        own = {"shape": (4, 25), "density": 0.1, "dtype": "float32", "average": True}
        own.update(changed if communicator.rank == 1 else {})
        gradient = np.ones(own["shape"], own["dtype"])
        residual = np.full(own["shape"], 0.5, np.float32)
        try:
            sparse_allreduce(
                gradient, own["density"], communicator, residual, average=own["average"]
            )
        finally:
            assert (residual == 0.5).all() and (gradient == 1).all()

    for text in errors_of(3, call):
        assert "on rank 1 and" in text
        with pytest.raises(AssertionError, match=named):
            raise AssertionError(text)


def test_equal_configurations_written_differently_agree() -> None:
    def rank(communicator: Communicator) -> bytes:
        density = (1, 1.0, np.float64(1), np.float32(1))[communicator.rank]
        return sparse_allreduce(np.ones(5, np.float32), density, communicator).tobytes()

    assert len(set(Simulation(4).run(rank))) == 1


def test_work_goes_on_after_a_disagreement() -> None:
    def rank(communicator: Communicator) -> np.ndarray:
        residual = np.zeros(50, np.float32)
        gradient = np.arange(50, dtype=np.float32)
        with pytest.raises(AgreementError):
            sparse_allreduce(gradient[: 50 - communicator.rank], 0.1, communicator)
        return sparse_allreduce(gradient, 0.1, communicator, residual)

    for out in Simulation(3).run(rank):
        assert list(np.flatnonzero(out)) == [45, 46, 47, 48, 49]


def test_finite_flags_are_combined() -> None:
    agreement = Agreement.of({"a": 1}, 0)
    for bad in (None, 0, 3):
        flags = Simulation(4).run(lambda c, bad=bad: agree(agreement, c.rank != bad, c))
        assert flags == [bad is None] * 4


@pytest.mark.parametrize("schedule", [Dense, Allgather, OkTopk])
def test_every_schedule_agrees_first(schedule: type) -> None:
    common = {**COMMON, "density": 1.0, "schedule": schedule()}
    texts = errors_of(2, one_differs(common, {"numel": 60}, 1))
    assert "elements is 60 on rank 1 and 100 on rank 0" in texts[0]


def test_long_descriptions() -> None:
    """Too long to show, or to send: still an error that says so."""

    def call(communicator: Communicator) -> None:
        letter = "ab"[communicator.rank]
        agree(Agreement.of({"contents": letter * length, "x": 1}, 0), True, communicator)

    length = 1000
    assert all(len(text) < 800 and "contents is" in text for text in errors_of(2, call))
    length = 100_000
    assert all("too long to show" in text for text in errors_of(2, call))
