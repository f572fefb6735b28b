"""Reduced gradients and residuals against NumPy, bit by bit, step after step."""

from typing import Any

import numpy as np
import pytest
from chosen_gradients import (
    MIN_NUMEL,
    RANK,
    SHAPES,
    SIZE,
    assert_replicas,
    assert_same_bits,
    dense_sum,
    distributed,
    gradients,
    horovod_running,
    hvd,
    parameters,
    reduced,
    torch,
)
from oktopk_by_hand import OkTopkByHand

from gradwire.horovod import Compression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)
STEPS = 5
SIZES = {name: int(np.prod(shape)) for name, shape in SHAPES.items()}


def _flat(chosen: dict[str, Any]) -> dict[str, Any]:
    return {name: values.numpy().reshape(-1) for name, values in chosen.items()}


def _residuals(compression: Any) -> dict[str, Any]:
    (state,) = compression.state_dict()["optimizers"]
    return dict(state["residuals"])


def _check_against(by_hand: OkTopkByHand, compression: Any, op: Any) -> None:
    named = parameters()
    optimizer = distributed(named, compression, op=op)
    scale = np.float32(1 / SIZE if op == hvd.Average else 1)
    for step in range(STEPS):
        expected = by_hand.step([_flat(gradients(step, rank)) for rank in range(SIZE)])
        result = reduced(named, optimizer, gradients(step, RANK))
        for name, values in result.items():
            # Compared as numbers: a sum of -0.0 has no say in the sign of a zero by hand.
            np.testing.assert_array_equal(values.numpy().reshape(-1), expected[name] * scale, name)
        own = _residuals(compression)
        for name, values in by_hand.residuals[RANK].items():
            np.testing.assert_array_equal(own[name].numpy(), values, name)
        assert_replicas(result)
    assert_replicas(named)
    assert any(residual.any() for residual in _residuals(compression).values())


@pytest.mark.parametrize("op", ["Average", "Sum"])
@pytest.mark.parametrize("density", [0.0001, 0.01, 0.3])
def test_oktopk_is_the_global_top_k(density: float, op: str) -> None:
    compression = Compression.oktopk(density, min_numel=MIN_NUMEL)
    by_hand = OkTopkByHand(SIZES, SIZE, density, MIN_NUMEL)
    _check_against(by_hand, compression, getattr(hvd, op))


def test_oktopk_without_small_tensors() -> None:
    """With min_numel=0 even a scalar is selected from."""
    compression = Compression.oktopk(0.05, min_numel=0)
    _check_against(OkTopkByHand(SIZES, SIZE, 0.05, 0), compression, hvd.Average)


def test_oktopk_in_several_buckets() -> None:
    """Each bucket has its own budget; a tensor beyond the limit has a bucket of its own."""
    compression = Compression.oktopk(0.05, min_numel=MIN_NUMEL, bucket_bytes=5000)
    buckets = [["deep.bias", "deep.weight", "scale"], ["wide.weight"]]
    _check_against(OkTopkByHand(SIZES, SIZE, 0.05, MIN_NUMEL, buckets), compression, hvd.Average)


def test_a_bucket_for_every_tensor() -> None:
    compression = Compression.oktopk(0.05, min_numel=MIN_NUMEL, bucket_bytes=4)
    buckets = [[name] for name in SIZES]
    _check_against(OkTopkByHand(SIZES, SIZE, 0.05, MIN_NUMEL, buckets), compression, hvd.Average)


def test_topk_delivers_all_that_was_sent() -> None:
    compression = Compression.topk(0.05, min_numel=MIN_NUMEL)
    by_hand = OkTopkByHand(SIZES, SIZE, 0.05, MIN_NUMEL, gathered=True)
    _check_against(by_hand, compression, hvd.Average)


@pytest.mark.parametrize("name", ["oktopk", "topk", "randomk"])
def test_nothing_is_lost_over_steps(name: str) -> None:
    """Gradients of all ranks = what was returned + what all ranks hold back, exactly."""
    compression = getattr(Compression, name)(0.02, min_numel=MIN_NUMEL)
    named = parameters()
    optimizer = distributed(named, compression, op=hvd.Sum)
    given, returned = [], []
    for step in range(STEPS):
        given += [gradients(step, rank) for rank in range(SIZE)]
        returned.append(reduced(named, optimizer, gradients(step, RANK)))
    total, delivered = dense_sum(given), dense_sum(returned)
    kept = _residuals(compression)
    held_back = 0
    for tensor in SHAPES:
        own = kept.get(tensor, torch.zeros(SIZES[tensor])).reshape(SHAPES[tensor])
        residual = hvd.allreduce(own, op=hvd.Sum, name=f"kept.{name}.{tensor}")
        assert torch.equal(delivered[tensor] + residual, total[tensor]), tensor
        held_back += int(torch.count_nonzero(residual))
    assert held_back > 100


@pytest.mark.parametrize("op", ["Average", "Sum"])
@pytest.mark.parametrize("name", ["oktopk", "topk", "randomk"])
def test_density_1_is_no_compression(name: str, op: str) -> None:
    results = []
    for compression in (getattr(Compression, name)(1.0, min_numel=0), hvd.Compression.none):
        named = parameters()
        optimizer = distributed(named, compression, momentum=0.5, op=getattr(hvd, op))
        for step in range(3):
            last = reduced(named, optimizer, gradients(step, RANK))
        results.append((last, named))
    assert_same_bits(results[0][0], results[1][0])
    assert_same_bits(results[0][1], results[1][1])


def test_warm_up_is_dense_and_then_the_density_falls() -> None:
    compression = Compression.oktopk(0.01, warmup_steps=2, ramp_steps=2, min_numel=MIN_NUMEL)
    named = parameters()
    optimizer = distributed(named, compression, op=hvd.Sum)
    counts = []
    for step in range(5):
        chosen = [gradients(step, rank) for rank in range(SIZE)]
        result = reduced(named, optimizer, chosen[RANK])
        if step < 2:
            assert_same_bits(result, dense_sum(chosen))
        counts.append(sum(int(torch.count_nonzero(result[n])) for n in SIZES if "weight" in n))
    numel = sum(numel for numel in SIZES.values() if numel >= MIN_NUMEL)
    assert counts[2:] == [round(numel * 0.01 ** (i / 3)) for i in (1, 2, 3)]
