"""Saving and going on: the same bits as without a break, and refusals where that cannot be."""

import io
from typing import Any

import pytest
from chosen_gradients import (
    MIN_NUMEL,
    RANK,
    SIZE,
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

from gradwire.errors import ConfigError
from gradwire.horovod import Compression, HorovodCompression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)


def _new(name: str) -> HorovodCompression:
    options: dict[str, Any] = {"warmup_steps": 1, "ramp_steps": 3, "min_numel": MIN_NUMEL}
    compression: HorovodCompression = getattr(Compression, name)(0.02, **options)
    return compression


def _train(named: Any, optimizer: Any, steps: range) -> None:
    for step in steps:
        reduced(named, optimizer, gradients(step, RANK))


def _saved_and_loaded(content: Any) -> Any:
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file)  # as users call it: weights_only=True is its default


@pytest.mark.parametrize("name", ["oktopk", "topk", "randomk"])
def test_a_break_leaves_no_trace(name: str) -> None:
    unbroken, compression = parameters(), _new(name)
    first_optimizer = distributed(unbroken, compression, momentum=0.5)
    _train(unbroken, first_optimizer, range(6))

    named, first = parameters(), _new(name)
    optimizer = distributed(named, first, momentum=0.5)
    _train(named, optimizer, range(3))
    saved = _saved_and_loaded(
        {
            "model": dict(named),
            "optimizer": optimizer.state_dict(),
            "compression": first.state_dict(),
        }
    )
    _train(named, optimizer, range(10, 12))  # what follows must not reach what was saved

    resumed, second = parameters(), _new(name)
    optimizer = distributed(resumed, second, momentum=0.5)
    for tensor, values in saved["model"].items():
        resumed[tensor].data.copy_(values)
    optimizer.load_state_dict(saved["optimizer"])
    second.load_state_dict(saved["compression"])
    again = second.state_dict()["optimizers"][0]["residuals"]
    assert_same_bits(again, saved["compression"]["optimizers"][0]["residuals"])
    assert any(values.any() for values in again.values())
    _train(resumed, optimizer, range(3, 6))
    assert_same_bits(resumed, unbroken)
    left, right = compression.state_dict()["optimizers"][0], second.state_dict()["optimizers"][0]
    assert_same_bits(left.pop("residuals"), right.pop("residuals"))
    assert left == right


def test_loading_into_a_compression_in_use() -> None:
    """Going back to an earlier state, residuals and step number included."""
    named, compression = parameters(), _new("oktopk")
    optimizer = distributed(named, compression)
    _train(named, optimizer, range(3))
    state = compression.state_dict()
    first = [reduced(named, optimizer, gradients(step, RANK)) for step in range(3, 5)]
    compression.load_state_dict(state)
    second = [reduced(named, optimizer, gradients(step, RANK)) for step in range(3, 5)]
    for left, right in zip(first, second, strict=True):
        assert_same_bits(left, right)


def test_several_optimizers_get_their_own_back() -> None:
    def run(compression: HorovodCompression, steps: range) -> list[dict[str, Any]]:
        results = []
        pair = [parameters(), parameters()]
        optimizers = [distributed(named, compression) for named in pair]
        for step in steps:
            for number in (0, 1):
                chosen = gradients(100 * number + step, RANK)
                results.append(reduced(pair[number], optimizers[number], chosen))
        states.append(compression.state_dict())  # while the optimizers live
        return results

    states: list[dict[str, Any]] = []
    unbroken = run(_new("oktopk"), range(5))
    run(_new("oktopk"), range(3))
    resumed = _new("oktopk")
    resumed.load_state_dict(_saved_and_loaded(states[1]))
    assert len(resumed.state_dict()["optimizers"]) == 2
    for left, right in zip(unbroken[6:], run(resumed, range(3, 5)), strict=True):
        assert_same_bits(left, right)
    for left, right in zip(states[0]["optimizers"], states[2]["optimizers"], strict=True):
        assert_same_bits(left["residuals"], right["residuals"])


def _state(name: str = "oktopk") -> dict[str, Any]:
    named, compression = parameters(), _new(name)
    optimizer = distributed(named, compression)  # a state lives as long as its optimizer
    _train(named, optimizer, range(3))
    return compression.state_dict()


def test_states_of_other_ranks_sizes_and_configurations_are_refused() -> None:
    state = _state()
    assert (state["rank"], state["size"]) == (RANK, SIZE)
    other = (RANK + 1) % SIZE
    with pytest.raises(ConfigError, match=f"of rank {other} of {SIZE}, this is rank {RANK} of"):
        _new("oktopk").load_state_dict({**state, "rank": other})
    with pytest.raises(ConfigError, match=f"of {SIZE + 1}, this is .*residual='drop'"):
        _new("oktopk").load_state_dict({**state, "size": SIZE + 1})
    with pytest.raises(ConfigError, match=r"the state is of .*oktopk.* this is .*topk"):
        _new("topk").load_state_dict(state)
    with pytest.raises(ConfigError, match=r"'density': 0\.02.* this is .*'density': 0\.5"):
        Compression.oktopk(0.5).load_state_dict(state)
    with pytest.raises(ConfigError, match="state format"):
        _new("oktopk").load_state_dict({**state, "format": 99})
    with pytest.raises(ConfigError, match="'keep' or 'drop', got 'forget'"):
        _new("oktopk").load_state_dict(state, residual="forget")


@pytest.mark.parametrize("name", ["oktopk", "randomk"])
def test_dropping_residuals_keeps_the_step_number(name: str) -> None:
    """The way to go on with another number of ranks."""
    state = _state(name)
    compression, named = _new(name), parameters()
    compression.load_state_dict({**state, "rank": 17, "size": 99}, residual="drop")
    optimizer = distributed(named, compression, op=hvd.Sum)
    result = reduced(named, optimizer, gradients(3, RANK))
    (after,) = compression.state_dict()["optimizers"]
    assert (after["step"] if name == "oktopk" else after["steps"]["wide.weight"]) == 4
    expected = dense_sum([gradients(3, rank) for rank in range(SIZE)])
    for tensor, kept in after["residuals"].items():
        everywhere = hvd.allreduce(kept, op=hvd.Sum, name=f"dropped.{name}.{tensor}")
        total = result[tensor].reshape(-1) + everywhere.reshape(-1)
        assert torch.equal(total, expected[tensor].reshape(-1)), tensor
    sent = int(torch.count_nonzero(result["deep.weight"]))
    assert 0 < sent < 1200 * 0.5  # ramped already, not dense as a first step would be


@pytest.mark.parametrize("name", ["oktopk", "randomk"])
def test_the_state_of_another_model_is_refused(name: str) -> None:
    state = _state(name)
    shapes = {"deep.weight": (40, 31), "wide.weight": (7, 200)}
    named, compression = parameters(shapes), _new(name)
    compression.load_state_dict(state)
    optimizer = distributed(named, compression)
    with pytest.raises(ConfigError, match=r"'deep.weight' has 1200 elements, its gradient 1240"):
        reduced(named, optimizer, gradients(0, RANK, shapes))
