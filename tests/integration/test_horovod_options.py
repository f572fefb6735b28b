"""What hvd.DistributedOptimizer offers besides compression, together with compression."""

from collections.abc import Callable
from typing import Any

import pytest
from chosen_gradients import (
    FIRST_AND_LAST,
    LAST,
    MIN_NUMEL,
    RANK,
    SIZE,
    assert_same_bits,
    backward,
    dense_sum,
    distributed,
    gradients,
    horovod_running,
    hvd,
    mean,
    parameters,
    reduced,
    torch,
)

from gradwire.horovod import Compression, HorovodCompression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)


def _oktopk() -> HorovodCompression:
    return Compression.oktopk(0.05, min_numel=MIN_NUMEL)


def _lossless() -> HorovodCompression:
    return Compression.oktopk(1.0, min_numel=MIN_NUMEL)


def _run(compression: Any, steps: int = 3, **options: Any) -> tuple[list[dict[str, Any]], Any]:
    """Return each step's reduced gradients, and the residuals, of an ordinary run."""
    named = parameters()
    optimizer = distributed(named, compression, **options)
    results = [reduced(named, optimizer, gradients(step, RANK)) for step in range(steps)]
    (state,) = compression.state_dict()["optimizers"]
    return results, state["residuals"]


def _assert_same_run(left: Any, right: Any) -> None:
    for mine, other in zip(left[0], right[0], strict=True):
        assert_same_bits(mine, other)
    assert_same_bits(left[1], right[1])


def test_several_backward_passes_are_compressed_once() -> None:
    compression, named = _oktopk(), parameters()
    optimizer = distributed(named, compression, backward_passes_per_step=2)
    once = parameters()
    optimizer_once = distributed(once, _oktopk())
    for step in range(3):
        first, second = gradients(2 * step, RANK), gradients(2 * step + 1, RANK)
        for parameter in named.values():
            parameter.grad = None
        backward(named, first)
        backward(named, second)
        optimizer.step()
        accumulated = reduced(once, optimizer_once, dense_sum([first, second]))
        assert_same_bits({n: p.grad for n, p in named.items()}, accumulated)
    assert compression.stats()["steps"] == 3


def test_predivide_factor_does_not_change_the_average() -> None:
    _assert_same_run(_run(_oktopk()), _run(_oktopk(), gradient_predivide_factor=4.0))
    named = parameters()
    optimizer = distributed(named, _lossless(), gradient_predivide_factor=3.0)
    expected = mean([gradients(0, rank) for rank in range(SIZE)])
    assert_same_bits(reduced(named, optimizer, gradients(0, RANK)), expected)


@pytest.mark.parametrize("compression", [_oktopk, lambda: Compression.randomk(0.1, min_numel=9)])
def test_groups_do_not_change_the_result(compression: Callable[[], HorovodCompression]) -> None:
    plain = _run(compression())
    _assert_same_run(plain, _run(compression(), groups=2))
    named = parameters()
    chosen = [named["wide.weight"], named["deep.bias"]]
    optimizer = distributed(named, mine := compression(), groups=[chosen])
    results = [reduced(named, optimizer, gradients(step, RANK)) for step in range(3)]
    _assert_same_run(plain, (results, mine.state_dict()["optimizers"][0]["residuals"]))


def test_process_set_of_some_ranks() -> None:
    """Averages over the set's ranks; the others train alone; afterwards all train together."""
    named, compression = parameters(), _lossless()
    optimizer = distributed(named, compression, process_set=FIRST_AND_LAST)
    members = FIRST_AND_LAST.ranks
    for step in range(2):
        if RANK in members:
            expected = mean([gradients(step, rank) for rank in members])
            assert_same_bits(reduced(named, optimizer, gradients(step, RANK)), expected)
        else:
            backward(named, gradients(step, RANK))
            optimizer.step()
    assert compression.stats()["steps"] == (2 if RANK in members else 0)
    for _ in range(2):
        together = parameters()
        expected = mean([gradients(0, rank) for rank in range(SIZE)])
        everyone = distributed(together, _lossless())
        assert_same_bits(reduced(together, everyone, gradients(0, RANK)), expected)


def test_process_sets_that_overlap_and_a_set_of_one() -> None:
    compression = _oktopk()
    for process_set in (LAST, FIRST_AND_LAST, hvd.global_process_set):
        if not process_set.included():
            continue
        named = parameters()
        optimizer = distributed(named, compression, op=hvd.Sum, process_set=process_set)
        results = [reduced(named, optimizer, gradients(step, RANK)) for step in range(2)]
        for result in results:
            values = dict(result)
            selected = torch.count_nonzero(values["deep.weight"] + 0)
            assert 0 < int(selected) <= 130 + 70 * (process_set.size() == 1)
        ranks = process_set.ranks or range(SIZE)
        small = [gradients(1, rank)["deep.bias"] for rank in ranks]
        assert torch.equal(results[1]["deep.bias"], torch.stack(small).sum(0))


def test_clipping_between_synchronize_and_step() -> None:
    named, compression = parameters(), _oktopk()
    before = {name: parameter.detach().clone() for name, parameter in named.items()}
    optimizer = distributed(named, compression)
    expected, _ = _run(_oktopk(), steps=1)
    backward(named, gradients(0, RANK))
    optimizer.synchronize()
    assert_same_bits({n: p.grad for n, p in named.items()}, expected[0])
    norm = torch.nn.utils.clip_grad_norm_(list(named.values()), 0.5)
    assert norm > 0.5
    with optimizer.skip_synchronize():
        optimizer.step()
    assert compression.stats()["steps"] == 1
    moved = torch.cat([(p.detach() - before[n]).reshape(-1) for n, p in named.items()])
    assert abs(float(moved.norm()) - 0.25 * 0.5) < 1e-4


@pytest.mark.parametrize("as_dense", [False, True])
@pytest.mark.parametrize("name", ["oktopk", "topk", "randomk", "bf16", "fp16", "none"])
def test_sparse_gradients_beside_dense_ones(name: str, as_dense: bool) -> None:
    embedding = torch.nn.Embedding(50, 8, sparse=True)
    head = torch.nn.Linear(8, 4, bias=False)
    for module in (embedding, head):
        torch.nn.init.constant_(module.weight, 0.5)
    named = {"embedding": embedding.weight, "head": head.weight}
    factory = getattr(Compression, name)
    compression = factory(1.0, min_numel=0) if "k" in name else factory()
    optimizer = distributed(named, compression, op=hvd.Sum, sparse_as_dense=as_dense)
    for step in range(3):
        embedding.weight.grad, head.weight.grad = None, None
        tokens = torch.tensor([[(7 * rank + step) % 50, 3] for rank in range(SIZE)])
        (embedding(tokens[RANK]).sum() + head.weight.sum() * (RANK + 1)).backward()
        optimizer.synchronize()
        expected = torch.zeros(50, 8).index_add_(0, tokens.reshape(-1), torch.ones(2 * SIZE, 8))
        assert torch.equal(embedding.weight.grad.to_dense(), expected)
        assert torch.equal(head.weight.grad, torch.full((4, 8), SIZE * (SIZE + 1) / 2))
        with optimizer.skip_synchronize():
            optimizer.step()


def test_a_model_with_sparse_gradients_only() -> None:
    """Then nothing is left for gradwire, and nothing hangs."""
    embedding = torch.nn.Embedding(9, 2, sparse=True)
    torch.nn.init.zeros_(embedding.weight)
    compression = _oktopk()
    optimizer = distributed({"embedding": embedding.weight}, compression, op=hvd.Sum)
    embedding(torch.tensor([RANK])).sum().backward()
    optimizer.step()
    assert compression.stats()["steps"] == 0
    expected = torch.zeros(9, 2)
    expected[:SIZE] = -0.25
    assert torch.equal(embedding.weight.detach(), expected)


def test_attached_where_callers_cannot_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _run(_oktopk())
    monkeypatch.setattr("gradwire.seam.origin._FRAMES", 0)
    named, compression = parameters(), _oktopk()
    optimizer = distributed(named, compression)
    compression.attach(optimizer)
    results = [reduced(named, optimizer, gradients(step, RANK)) for step in range(3)]
    state = compression.state_dict()["optimizers"]
    _assert_same_run(expected, (results, state[0]["residuals"]))
