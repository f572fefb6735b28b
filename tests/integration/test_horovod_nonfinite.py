"""One rank has an Inf or a NaN: all ranks notice, nothing is lost, and the next step goes on."""

import math
from typing import Any

import pytest
from chosen_gradients import (
    MIN_NUMEL,
    RANK,
    SHAPES,
    SIZE,
    assert_replicas,
    assert_same_bits,
    backward,
    dense_sum,
    distributed,
    gradients,
    horovod_running,
    hvd,
    parameters,
    reduced,
    torch,
)

from gradwire.horovod import Compression, HorovodCompression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)
COMPRESSIONS: dict[str, Any] = {
    "oktopk": lambda: Compression.oktopk(0.02, min_numel=MIN_NUMEL),
    "oktopk in buckets": lambda: Compression.oktopk(0.02, min_numel=MIN_NUMEL, bucket_bytes=4),
    "oktopk dense": lambda: Compression.oktopk(0.02, warmup_steps=99, min_numel=MIN_NUMEL),
    "topk": lambda: Compression.topk(0.02, min_numel=MIN_NUMEL),
    "topk in buckets": lambda: Compression.topk(0.02, min_numel=MIN_NUMEL, bucket_bytes=4),
    "bf16": Compression.bf16,
}


def _residuals(compression: HorovodCompression) -> dict[str, Any]:
    (state,) = compression.state_dict()["optimizers"]
    return dict(state["residuals"])


def _poisoned(step: int, tensor: str, value: float) -> dict[str, Any]:
    """Return this rank's gradients; the last rank's has one bad element."""
    chosen = gradients(step, RANK)
    if RANK == SIZE - 1:
        flat = chosen[tensor].reshape(-1)
        flat[flat.numel() // 2] = value
    return chosen


def _skipped(named: Any, optimizer: Any, chosen: Any) -> dict[str, Any]:
    """Reduce and drop the result, as torch.amp.GradScaler does on Inf."""
    for parameter in named.values():
        parameter.grad = None
    backward(named, chosen)
    optimizer.synchronize()
    optimizer._synchronized = False
    return {name: parameter.grad.clone() for name, parameter in named.items()}


@pytest.mark.parametrize(
    ("name", "tensor", "value"),
    [
        *((name, "wide.weight", math.nan) for name in COMPRESSIONS),
        *((name, "scale", math.nan) for name in COMPRESSIONS),
        *(("oktopk", "wide.weight", value) for value in (math.inf, -math.inf)),
        ("oktopk", "deep.bias", math.inf),
    ],
)
def test_a_bad_step_changes_nothing(name: str, tensor: str, value: float) -> None:
    """Compared with a run in which it never happened."""
    results = []
    for bad in (False, True):
        compression, named = COMPRESSIONS[name](), parameters()
        optimizer = distributed(named, compression)
        for step in range(3):
            if bad and step == 2:
                before = compression.state_dict()["optimizers"][0]
                values = _skipped(named, optimizer, _poisoned(9, tensor, value))
                assert not any(v.isfinite().any() for v in values.values())
                after = compression.state_dict()["optimizers"][0]
                assert before["step"] == after["step"] == 2
                assert_same_bits(before["residuals"], after["residuals"])
                assert compression.stats()["nonfinite_steps"] == 1
            last = reduced(named, optimizer, gradients(step, RANK))
        assert compression.stats()["nonfinite_steps"] == int(bad)
        results.append((last, named, _residuals(compression)))
    for left, right in zip(*results, strict=True):
        assert_same_bits(left, right)


@pytest.mark.parametrize("tensor", ["wide.weight", "deep.weight", "deep.bias", "scale"])
def test_a_bad_step_in_random_k(tensor: str) -> None:
    """Tensors are separate here, and the bad element may not have been drawn."""
    results = []
    for bad in (False, True):
        compression = Compression.randomk(0.02, min_numel=MIN_NUMEL)
        named = parameters()
        optimizer = distributed(named, compression)
        for step in range(3):
            if bad and step == 2:
                before = compression.state_dict()["optimizers"][0]
                values = _skipped(named, optimizer, _poisoned(9, tensor, math.inf))
                assert not values[tensor].isfinite().all()
                after = compression.state_dict()["optimizers"][0]
                assert before["steps"] == after["steps"]
                assert_same_bits(before["residuals"], after["residuals"])
                assert compression.stats()["nonfinite_steps"] == 1
                # Twice, because nobody has asked for the state after the second one.
                _skipped(named, optimizer, _poisoned(9, tensor, math.inf))
            last = reduced(named, optimizer, gradients(step, RANK))
        results.append((last, named, _residuals(compression)))
    for left, right in zip(*results, strict=True):
        assert_same_bits(left, right)


def test_two_bad_tensors_in_random_k_are_one_bad_step() -> None:
    compression = Compression.randomk(0.02, min_numel=MIN_NUMEL)
    named = parameters()
    optimizer = distributed(named, compression)
    chosen = _poisoned(0, "wide.weight", math.nan)
    chosen["deep.weight"] = _poisoned(0, "deep.weight", math.nan)["deep.weight"]
    _skipped(named, optimizer, chosen)
    assert compression.stats()["nonfinite_steps"] == 1


@pytest.mark.parametrize("bucket_bytes", [4, 5000, 1 << 20])
def test_nothing_is_lost_across_a_bad_step(bucket_bytes: int) -> None:
    """With several buckets, of which one is bad: the others deliver their part later."""
    compression = Compression.oktopk(0.02, min_numel=MIN_NUMEL, bucket_bytes=bucket_bytes)
    named = parameters()
    optimizer = distributed(named, compression, op=hvd.Sum)
    given, returned = [], []
    for step in range(6):
        if step in (0, 3):
            _skipped(named, optimizer, _poisoned(step, "deep.weight", math.inf))
            continue
        given += [gradients(step, rank) for rank in range(SIZE)]
        returned.append(reduced(named, optimizer, gradients(step, RANK)))
    total, delivered = dense_sum(given), dense_sum(returned)
    for tensor, kept in _residuals(compression).items():
        everywhere = hvd.allreduce(kept, op=hvd.Sum, name=f"kept.{tensor}")
        everywhere = everywhere.reshape(SHAPES[tensor])
        assert torch.equal(delivered[tensor] + everywhere, total[tensor]), tensor
    assert compression.stats()["nonfinite_steps"] == 2


@pytest.mark.parametrize("name", ["oktopk", "topk"])
def test_sums_beyond_the_range(name: str) -> None:
    """Every rank's values are finite, their sum is not."""
    compression = getattr(Compression, name)(0.5, min_numel=MIN_NUMEL)
    named = parameters()
    optimizer = distributed(named, compression)
    chosen = gradients(0, RANK)
    chosen["wide.weight"][3, 5] = 3e38
    values = _skipped(named, optimizer, chosen)
    assert not any(v.isfinite().any() for v in values.values())
    assert not any(kept.any() for kept in _residuals(compression).values())
    assert all(v.isfinite().all() for v in reduced(named, optimizer, gradients(1, RANK)).values())


@pytest.mark.parametrize("name", ["oktopk", "topk", "bf16"])
def test_allreduce_of_a_bad_tensor(name: str) -> None:
    compression = getattr(Compression, name)()
    values = torch.ones(4000)
    if RANK == 0:
        values[17] = math.nan
    bad = hvd.allreduce(values, compression=compression, name=f"bad.{name}")
    assert not bad.isfinite().any()
    assert compression.stats()["nonfinite_steps"] == 1
    good = hvd.allreduce(torch.ones(9), compression=compression, name=f"good.{name}")
    assert good.tolist() == [1.0] * 9


def test_gradient_scaler_skips_the_step_and_lowers_its_scale() -> None:
    """The pattern of Horovod's documentation for mixed precision."""
    compression, named = Compression.oktopk(0.1, min_numel=MIN_NUMEL), parameters()
    optimizer = distributed(named, compression)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    before = {name: parameter.detach().clone() for name, parameter in named.items()}
    for bad in (True, False):
        for parameter in named.values():
            parameter.grad = None
        chosen = _poisoned(0, "scale", math.inf) if bad else gradients(0, RANK)
        scaler.scale(sum((named[n] * chosen[n]).sum() for n in chosen)).backward()
        optimizer.synchronize()
        scaler.unscale_(optimizer)
        with optimizer.skip_synchronize():
            scaler.step(optimizer)
        scaler.update()
        if bad:
            assert_same_bits(named, before)
            assert scaler.get_scale() == 2.0
    assert not torch.equal(named["wide.weight"], before["wide.weight"])
    assert_replicas(named)
