"""Tensors of every type and shape, through an optimizer and through hvd.allreduce."""

from typing import Any

import numpy as np
import pytest
from chosen_gradients import (
    FIRST_AND_LAST,
    RANK,
    SIZE,
    assert_same_bits,
    dense_sum,
    distributed,
    exact,
    gradients,
    horovod_running,
    hvd,
    parameters,
    reduced,
    torch,
)
from oktopk_by_hand import OkTopkByHand, largest

from gradwire.errors import ConfigError
from gradwire.horovod import Compression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)
ODD_SHAPES = {
    "zero_dim": (),
    "one": (1,),
    "empty": (0, 3),
    "column": (5, 1),
    "deep": (2, 3, 1, 4),
    "z.large": (33, 65),
}
DTYPES = [torch.float16, torch.bfloat16, torch.float64]
SHARE = float(np.float32(1 / SIZE))


@pytest.mark.parametrize("min_numel", [0, 24, 10**6])
@pytest.mark.parametrize("name", ["oktopk", "topk", "randomk"])
def test_odd_shapes(name: str, min_numel: int) -> None:
    named = parameters(ODD_SHAPES)
    compression = getattr(Compression, name)(1.0, min_numel=min_numel)
    optimizer = distributed(named, compression, op=hvd.Sum)
    for step in range(2):
        chosen = [gradients(step, rank, ODD_SHAPES) for rank in range(SIZE)]
        assert_same_bits(reduced(named, optimizer, chosen[RANK]), dense_sum(chosen))


def test_tensors_too_small_for_the_density() -> None:
    """At least one element is sent of each bucket."""
    named = parameters({"zero_dim": (), "pair": (2,)})
    compression = Compression.oktopk(0.001, min_numel=0, bucket_bytes=4)
    optimizer = distributed(named, compression, op=hvd.Sum)
    chosen = {"zero_dim": torch.tensor(1.0), "pair": torch.tensor([1.0, 2.0])}
    result = reduced(named, optimizer, chosen)
    assert result["zero_dim"] == SIZE
    assert result["pair"].tolist() == [0, 2 * SIZE]
    (state,) = compression.state_dict()["optimizers"]
    assert state["residuals"]["pair"].tolist() == [1, 0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["oktopk", "topk", "randomk", "bf16", "none"])
def test_other_types_come_back_as_they_were(name: str, dtype: Any) -> None:
    """The sums fit all of the types, so any path gives the same bits."""
    named = parameters(dtype=dtype)
    compression = getattr(Compression, name)(1.0, min_numel=9) if "k" in name else Compression.none
    optimizer = distributed(named, compression, op=hvd.Sum)
    chosen = [{n: v.round() for n, v in gradients(0, rank).items()} for rank in range(SIZE)]
    expected = {n: v.to(dtype) + 0.0 for n, v in dense_sum(chosen).items()}
    result = reduced(named, optimizer, chosen[RANK])
    assert_same_bits({n: v + 0.0 for n, v in result.items()}, expected)


def test_several_types_in_one_bucket() -> None:
    shapes = {str(dtype): (30, 10) for dtype in (*DTYPES, torch.float32)}
    named = {
        name: parameters({name: shape}, dtype)[name]
        for (name, shape), dtype in zip(shapes.items(), (*DTYPES, torch.float32), strict=True)
    }
    compression = Compression.oktopk(0.1, min_numel=0)
    optimizer = distributed(named, compression)
    by_hand = OkTopkByHand({name: 300 for name in shapes}, SIZE, 0.1, 0)
    for step in range(3):
        chosen = [
            {n: v.round() for n, v in gradients(step, r, shapes).items()} for r in range(SIZE)
        ]
        flat = [{n: v.numpy().reshape(-1) for n, v in each.items()} for each in chosen]
        expected = by_hand.step(flat)
        for name, values in reduced(named, optimizer, chosen[RANK]).items():
            wanted = torch.from_numpy(expected[name] * np.float32(SHARE)).to(values.dtype)
            assert torch.equal(values.reshape(-1), wanted), name


@pytest.mark.parametrize(
    ("options", "factor"),
    [
        ({}, SHARE),
        ({"op": "Sum"}, 1.0),
        ({"average": False}, 1.0),
        ({"op": "Sum", "prescale_factor": 0.5, "postscale_factor": 0.25}, 0.125),
        ({"op": "Average", "prescale_factor": 4.0}, 4.0 * SHARE),
        ({"op": "Sum", "prescale_factor": -2.0}, -2.0),
    ],
)
@pytest.mark.parametrize("name", ["oktopk", "topk", "bf16"])
def test_allreduce_of_one_tensor(name: str, options: dict[str, Any], factor: float) -> None:
    options = {**options, **({"op": getattr(hvd, options["op"])} if "op" in options else {})}
    compression = getattr(Compression, name)()
    if name != "bf16":
        compression = getattr(Compression, name)(0.1, min_numel=0)
    tensors = [exact((30, 20), 7, rank) * 16 for rank in range(SIZE)]
    mine = tensors[RANK].clone()
    result = hvd.allreduce(mine, compression=compression, name="one", **options)
    assert torch.equal(mine, tensors[RANK])
    if name == "bf16":
        total = torch.stack(tensors).sum(0)
    else:
        by_hand = OkTopkByHand({"one": 600}, SIZE, 0.1, 0, gathered=name == "topk")
        flat = by_hand.step([{"one": tensor.numpy().reshape(-1)} for tensor in tensors])["one"]
        total = torch.from_numpy(flat).view(30, 20)
    assert total.any()
    assert torch.allclose(result, total * factor, rtol=2**-20, atol=0)
    # No error feedback: the same again gives the same again.
    assert torch.equal(hvd.allreduce(mine, compression=compression, name="one", **options), result)
    assert compression.stats()["steps"] == 2


def test_allreduce_in_a_process_set_and_of_any_layout() -> None:
    compression = Compression.oktopk(1.0, min_numel=0)
    if FIRST_AND_LAST.included():
        ranks = FIRST_AND_LAST.ranks
        tensors = [exact((4, 6), 8, rank).t() for rank in ranks]
        mine = tensors[ranks.index(RANK)]
        result = hvd.allreduce(
            mine, compression=compression, op=hvd.Sum, process_set=FIRST_AND_LAST, name="turned"
        )
        assert torch.equal(result, torch.stack(tensors).sum(0))
    # Named, because Horovod numbers the nameless ones and rank 1 may be one behind.
    options = {"compression": compression, "op": hvd.Sum}
    for values in (torch.tensor(2.0), torch.ones(3, dtype=torch.float64), torch.empty(0, 2)):
        result = hvd.allreduce(values, name=f"layout.{values.shape}", **options)
        assert result.dtype == values.dtype and torch.equal(result, values * SIZE)
    watched = torch.ones(5, requires_grad=True)
    result = hvd.allreduce(watched, name="watched", **options)
    assert torch.equal(result, torch.full((5,), 1.0 * SIZE))


def test_grouped_allreduce() -> None:
    compression = Compression.oktopk(0.25, min_numel=0)
    tensors = [[exact((8,), 9, rank, i) for i in range(3)] for rank in range(SIZE)]
    kept = [tensor.clone() for tensor in tensors[RANK]]
    results = hvd.grouped_allreduce(kept, compression=compression, op=hvd.Sum, name="group")
    joined = [torch.cat(each).numpy() for each in tensors]
    total = np.zeros(24, np.float32)
    for each in joined:
        indices = largest(each, 6)
        total[indices] += each[indices]
    expected = np.zeros(24, np.float32)
    winners = largest(total, 6)
    expected[winners] = total[winners]
    assert np.array_equal(torch.cat(results).numpy(), expected)
    assert all(torch.equal(a, b) for a, b in zip(kept, tensors[RANK], strict=True))


def test_integers_are_refused_and_casts_let_them_pass() -> None:
    counts = torch.arange(6)
    for name in ("oktopk", "bf16"):
        with pytest.raises(ConfigError, match=r"floating-point tensors only, got torch\.int64"):
            hvd.allreduce(counts, compression=getattr(Compression, name)())
    for name in ("none", "fp16"):
        options = {"compression": getattr(Compression, name), "op": hvd.Sum}
        result = hvd.allreduce(counts, name=f"counts.{name}", **options)
        assert torch.equal(result, counts * SIZE)


def test_random_k_needs_an_optimizer() -> None:
    with pytest.raises(ConfigError, match=r"inside hvd\.DistributedOptimizer"):
        hvd.allreduce(torch.ones(5000), compression=Compression.randomk(0.1))
