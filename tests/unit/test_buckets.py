"""Bucket plans: every element has one place, the same on all ranks; residuals keep their names."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradwire.buckets import BucketMemory, PlannedBucket, plan_buckets
from gradwire.errors import ConfigError

names = st.text("abc.0_é", min_size=1, max_size=6)
tensors = st.dictionaries(names, st.integers(0, 3000), max_size=12)


def bytes_of(planned: PlannedBucket) -> int:
    return 4 * planned.bucket.numel


@settings(max_examples=200, deadline=None)
@given(tensors, st.integers(4, 20_000), st.integers(0, 2000), st.integers(0, 2**32 - 1))
def test_plans(sizes: dict[str, int], bucket_bytes: int, min_numel: int, seed: int) -> None:
    plan = plan_buckets(sizes, bucket_bytes, min_numel)
    shuffled = list(sizes.items())
    random.Random(seed).shuffle(shuffled)
    assert plan_buckets(dict(shuffled), bucket_bytes, min_numel) == plan
    placed = [member.name for planned in plan for member in planned.members]
    assert sorted(placed) == sorted(sizes)
    last = ""
    for planned in plan:
        bucket, members = planned.bucket, planned.members
        # One after the other, without gaps.
        assert [member.begin for member in members] == [
            sum(each.numel for each in members[:position]) for position in range(len(members))
        ]
        assert bucket.numel == sum(sizes[member.name] for member in members)
        assert all(member.numel == sizes[member.name] for member in members)
        # Small tensors are the tail.
        small = [member for member in members if member.numel < min_numel]
        assert members[len(members) - len(small) :] == tuple(small)
        assert bucket.tail == sum(member.numel for member in small)
        # Within the cap, or a single tensor that is not.
        occupied = [member for member in members if member.numel]
        assert bytes_of(planned) <= bucket_bytes or len(occupied) == 1
        # Buckets hold consecutive names.
        assert last <= min(member.name for member in members)
        last = max(member.name for member in members)
    assert len({planned.bucket.name for planned in plan}) == len(plan)


def test_buckets_are_filled() -> None:
    sizes = {f"t{number:02d}": 100 for number in range(10)}
    assert [len(each.members) for each in plan_buckets(sizes, 1600, 0)] == [4, 4, 2]
    assert [len(each.members) for each in plan_buckets(sizes, 1599, 0)] == [3, 3, 3, 1]
    large = plan_buckets({"a": 10, "b": 1000, "c": 10}, 400, 0)
    assert [[member.name for member in each.members] for each in large] == [["a"], ["b"], ["c"]]


def test_description_tells_contents_apart() -> None:
    """A different name, size or distribution is a different description: the ranks' agreement."""
    plans = [
        {"a": 2, "b": 3},
        {"a": 3, "b": 2},
        {"a": 2, "c": 3},
        {"a": 5},
        {"a": 2, "b": 3, "c": 0},
    ]
    descriptions = {plan_buckets(sizes, 400, 0)[0].bucket.description for sizes in plans}
    assert len(descriptions) == len(plans)


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ((3, 0), "bucket_bytes must be an integer >= 4, got 3"),
        ((float("nan"), 0), "bucket_bytes must be an integer >= 4, got nan"),
        (("64", 0), "bucket_bytes must be an integer >= 4, got '64'"),
        ((4, -1), "min_numel must be an integer >= 0, got -1"),
        ((4, 1.5), r"min_numel must be an integer >= 0, got 1\.5"),
    ],
)
def test_wrong_limits(limits: tuple[Any, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        plan_buckets({"a": 1}, *limits)


def filled(sizes: dict[str, int]) -> BucketMemory:
    """Return a memory in which every tensor's residual holds numbers of its own."""
    memory = BucketMemory(400, 10)
    for planned, residual in memory.buckets(sizes):
        for member in planned.members:
            residual.values[member.span] = numbers(member.name, member.numel)
    return memory


def numbers(name: str, numel: int) -> np.ndarray:
    return np.arange(numel, dtype=np.float32) + 1000 * ord(name[0])


def assert_holds(memory: BucketMemory, sizes: dict[str, int]) -> None:
    residuals = memory.residuals()
    for name, numel in sizes.items():
        assert np.array_equal(residuals[name], numbers(name, numel)), name


SIZES = {"a": 50, "b": 5, "c": 120, "d": 60, "e": 0}


def test_memory_survives_other_plans() -> None:
    """Tensors that are missing for a while come back to their residuals."""
    memory = filled(SIZES)
    assert_holds(memory, SIZES)
    for some in ({"a": 50, "d": 60}, {"f": 30}, {}, {"b": 5, "f": 30}, SIZES):
        memory.buckets(some)
        assert_holds(memory, SIZES)
    for planned, residual in memory.buckets(SIZES):
        for member in planned.members:
            values = residual.values[member.span]
            assert np.array_equal(values, numbers(member.name, member.numel))


def test_same_plan_keeps_its_memory() -> None:
    memory = filled(SIZES)
    first = [residual for _, residual in memory.buckets(SIZES)]
    again = [residual for _, residual in memory.buckets(dict(reversed(SIZES.items())))]
    assert all(a is b for a, b in zip(first, again, strict=True))


def test_new_tensors_start_empty() -> None:
    memory = filled(SIZES)
    memory.buckets({**SIZES, "z": 7})
    assert_holds(memory, SIZES)
    assert not memory.residuals()["z"].any()


def test_changed_size_is_refused_and_changes_nothing() -> None:
    memory = filled(SIZES)
    with pytest.raises(ConfigError, match="residual of 'c' has 120 elements, its gradient 121"):
        memory.buckets({**SIZES, "c": 121})
    assert_holds(memory, SIZES)
    assert len(memory.buckets(SIZES)) > 1
    assert_holds(memory, SIZES)


def test_saved_residuals_come_back() -> None:
    saved = filled(SIZES).residuals()
    resumed = BucketMemory(4000, 0)  # another plan
    resumed.load(saved)
    assert_holds(resumed, SIZES)
    resumed.buckets(SIZES)
    assert_holds(resumed, SIZES)
    again = resumed.residuals()
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in saved.items()
    }


def test_load_replaces_everything() -> None:
    memory = filled(SIZES)
    memory.load({"a": np.ones(50, np.float32)})
    memory.buckets(SIZES)
    residuals = memory.residuals()
    assert (residuals["a"] == 1).all() and not residuals["c"].any()


def test_saved_residuals_are_copies() -> None:
    memory = filled(SIZES)
    saved = memory.residuals()
    memory.load(saved)
    saved["a"][:] = -1
    assert_holds(memory, SIZES)
    memory.buckets(SIZES)
    memory.residuals()["c"][:] = -1
    assert_holds(memory, SIZES)
