"""Ranks that do the same in another order, or not at all; optimizers side by side."""

from typing import Any

import pytest
from chosen_gradients import (
    MIN_NUMEL,
    RANK,
    SIZE,
    assert_replicas,
    assert_same_bits,
    backward,
    distributed,
    exact,
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
NAMES = ["oktopk", "topk", "randomk"]
EQUAL = {f"layer{number}": (20, 20) for number in range(5)}


def _lossless(name: str) -> HorovodCompression:
    compression: HorovodCompression = getattr(Compression, name)(1.0, min_numel=MIN_NUMEL)
    return compression


def _turned(chosen: dict[str, Any], by: int) -> dict[str, Any]:
    names = list(chosen)
    return {name: chosen[name] for name in names[by % len(names) :] + names[: by % len(names)]}


@pytest.mark.parametrize("name", [*NAMES, "bf16"])
def test_equal_shapes_in_another_order_on_every_rank(name: str) -> None:
    named = parameters(EQUAL)
    compression = Compression.bf16() if name == "bf16" else _lossless(name)
    optimizer = distributed(named, compression, op=hvd.Sum)
    for step in range(4):
        chosen = [gradients(step, rank, EQUAL) for rank in range(SIZE)]
        result = reduced(named, optimizer, _turned(chosen[RANK], RANK + step))
        for tensor in EQUAL:
            expected = sum(each[tensor] for each in chosen)
            if name == "bf16":  # rounds some sums, but must not mix tensors
                assert torch.allclose(result[tensor], expected, rtol=2**-7), tensor
            else:
                assert torch.equal(result[tensor], expected), tensor


def test_order_has_no_influence_on_residuals() -> None:
    states = []
    for turn in (0, RANK + 1):
        named, compression = parameters(EQUAL), Compression.oktopk(0.05, min_numel=MIN_NUMEL)
        optimizer = distributed(named, compression)
        for step in range(3):
            result = reduced(named, optimizer, _turned(gradients(step, RANK, EQUAL), turn * step))
        states.append((result, compression.state_dict()["optimizers"][0]["residuals"]))
    assert_same_bits(states[0][0], states[1][0])
    assert_same_bits(states[0][1], states[1][1])


@pytest.mark.parametrize("name", NAMES)
def test_parameters_used_on_some_ranks_only(name: str) -> None:
    """Layer i is used by all ranks but rank i; the last one is used by none."""
    named = parameters(EQUAL)
    optimizer = distributed(named, _lossless(name))
    for step in range(3):
        chosen = [gradients(step, rank, EQUAL) for rank in range(SIZE)]
        for rank, each in enumerate(chosen):
            for unused in (f"layer{(rank + step) % 4}", "layer4"):
                each[unused] = torch.zeros_like(each[unused])
        used = {n: values for n, values in chosen[RANK].items() if values.any()}
        assert len(used) == 3
        assert_same_bits(
            _positive_zeros(reduced(named, optimizer, used)), _positive_zeros(mean(chosen))
        )


def _positive_zeros(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: values + 0.0 for name, values in tensors.items()}


@pytest.mark.parametrize("name", NAMES)
def test_step_without_any_gradient_delivers_what_was_held_back(name: str) -> None:
    named = parameters(EQUAL)
    compression = getattr(Compression, name)(0.5, min_numel=MIN_NUMEL)
    optimizer = distributed(named, compression, op=hvd.Sum)
    total = reduced(named, optimizer, gradients(0, RANK, EQUAL))
    for _ in range(20):
        for parameter in named.values():
            parameter.grad = None
        optimizer.step()
        for tensor, parameter in named.items():
            total[tensor] = total[tensor] + parameter.grad
    expected = [gradients(0, rank, EQUAL) for rank in range(SIZE)]
    left = compression.state_dict()["optimizers"][0]["residuals"]
    for tensor in EQUAL:
        kept = hvd.allreduce(left[tensor].reshape(20, 20), op=hvd.Sum, name=f"{name}.{tensor}")
        assert torch.equal(total[tensor] + kept, sum(each[tensor] for each in expected))
        assert not kept.any(), tensor
    assert_replicas(named)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", ["oktopk", "randomk"])
def test_two_optimizers_in_turn(name: str, shared: bool) -> None:
    """As in adversarial training; both have parameters of the same names and shapes."""

    def new() -> HorovodCompression:
        made: HorovodCompression = getattr(Compression, name)(0.05, min_numel=MIN_NUMEL)
        return made

    alone = []
    for salt in (0, 50):
        named, compression = parameters(), new()
        optimizer = distributed(named, compression)
        results = [reduced(named, optimizer, gradients(salt + s, RANK)) for s in range(4)]
        alone.append((results, compression.state_dict()["optimizers"][0]["residuals"]))
    first = new()
    compressions = [first, first if shared else new()]
    players = [parameters(), parameters()]
    optimizers = [distributed(p, c) for p, c in zip(players, compressions, strict=True)]
    for step in range(4):
        for player in (0, 1):
            chosen = gradients((0, 50)[player] + step, RANK)
            result = reduced(players[player], optimizers[player], chosen)
            assert_same_bits(result, alone[player][0][step])
    for player in (0, 1):
        states = compressions[player].state_dict()["optimizers"]
        assert len(states) == (2 if shared else 1)
        assert_same_bits(states[player if shared else 0]["residuals"], alone[player][1])


def test_two_optimizers_with_both_backward_passes_first() -> None:
    """One loss reaches the parameters of both; their hooks mix, differently on every rank."""
    compression = Compression.oktopk(1.0, min_numel=0)
    shapes = {f"{side}.layer{number}": (20, 20) for side in "ab" for number in range(3)}
    named = parameters(shapes)
    sides = [{n: p for n, p in named.items() if n.startswith(side)} for side in "ab"]
    optimizers = [distributed(side, compression) for side in sides]
    for step in range(3):
        chosen = [gradients(step, rank, shapes) for rank in range(SIZE)]
        for parameter in named.values():
            parameter.grad = None
        backward(named, _turned(chosen[RANK], step + RANK))
        for optimizer in optimizers:
            optimizer.step()
        assert_same_bits({n: p.grad for n, p in named.items()}, mean(chosen))


def test_gradients_may_be_kept_zeroed_or_dropped() -> None:
    """What a step returns is the parameter's own: the next one neither adds to it nor is lost."""
    chosen = [gradients(0, rank) for rank in range(SIZE)]
    expected = mean(chosen)
    for set_to_none in (True, False):
        named = parameters()
        optimizer = distributed(named, _lossless("oktopk"))
        for _ in range(3):
            for parameter in named.values():
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad.zero_()
            backward(named, chosen[RANK])
            optimizer.step()
            result = {name: parameter.grad for name, parameter in named.items()}
            assert_same_bits(_positive_zeros(result), _positive_zeros(expected))
    kept = {name: values.clone() for name, values in result.items()}
    held = dict(result)
    for parameter in named.values():
        parameter.grad = None
    backward(named, gradients(1, RANK))
    optimizer.step()
    assert_same_bits(held, kept)


def test_loading_the_optimizer_drops_a_step_under_way() -> None:
    """Horovod forgets what it has submitted; gradwire has to follow."""
    named, compression = parameters(), _lossless("oktopk")
    optimizer = distributed(named, compression)
    backward(named, gradients(5, RANK))
    hvd.allreduce(exact((3,), 9), name="everything before has arrived")
    optimizer.load_state_dict(optimizer.state_dict())
    expected = mean([gradients(0, rank) for rank in range(SIZE)])
    assert_same_bits(reduced(named, optimizer, gradients(0, RANK)), expected)
