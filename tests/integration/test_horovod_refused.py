"""What cannot work is refused with the reason, on every rank."""

import copy
import pickle
from typing import Any

import pytest
from chosen_gradients import (
    MIN_NUMEL,
    RANK,
    SIZE,
    assert_same_bits,
    backward,
    distributed,
    gradients,
    horovod_running,
    hvd,
    parameters,
    reduced,
    torch,
)

from gradwire.errors import AgreementError, ConfigError
from gradwire.horovod import Compression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)
NAMES = ["oktopk", "topk", "randomk", "bf16", "fp16", "none"]


@pytest.mark.parametrize("name", NAMES)
def test_adasum(name: str) -> None:
    named = parameters()
    optimizer = distributed(named, getattr(Compression, name)(), op=hvd.Adasum)
    with pytest.raises(ConfigError, match="Adasum"):
        backward(named, gradients(0, RANK))
        optimizer.step()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("op", ["Min", "Max", "Product"])
def test_other_operations(name: str, op: str) -> None:
    named = parameters()
    distributed(named, getattr(Compression, name)(), op=getattr(hvd, op))
    with pytest.raises(ConfigError, match=r"op=hvd\.Average and op=hvd\.Sum"):
        backward(named, gradients(0, RANK))
    with pytest.raises(ConfigError, match=r"op=hvd\.Average and op=hvd\.Sum"):
        hvd.allreduce(torch.ones(9), op=getattr(hvd, op), compression=getattr(Compression, name)())


@pytest.mark.parametrize(
    ("mine", "others", "field"),
    [
        ({"density": 0.5}, {}, "density"),
        ({"seed": 1}, {}, "seed"),
        ({"warmup_steps": 4}, {}, "warmup_steps"),
        ({"bucket_bytes": 5000}, {}, "contents"),
        ({"min_numel": 5000}, {}, "contents"),
        ({"min_numel": 5000}, {"bucket_bytes": 4}, "dense"),
    ],
)
def test_ranks_with_different_settings(
    mine: dict[str, Any], others: dict[str, Any], field: str
) -> None:
    """Rank 1 is different; every rank gets the same error, and nothing has changed."""
    settings = {"density": 0.1, "min_numel": MIN_NUMEL, **others, **(mine if RANK == 1 else {})}
    named, compression = parameters(), Compression.oktopk(**settings)
    optimizer = distributed(named, compression)
    backward(named, gradients(0, RANK))
    with pytest.raises(AgreementError, match=rf"{field}.* on rank 1 and .* on rank 0"):
        optimizer.synchronize()
    assert compression.stats()["steps"] == 0


def test_ranks_with_different_methods() -> None:
    named = parameters()
    compression = Compression.topk(0.1) if RANK == 1 else Compression.oktopk(0.1)
    optimizer = distributed(named, compression)
    backward(named, gradients(0, RANK))
    with pytest.raises(AgreementError, match=r"schedule is .*allgather.* on rank 1"):
        optimizer.synchronize()


def test_ranks_with_different_models() -> None:
    shapes = {"weight": (30, 40 + (RANK == 1))}
    named = parameters(shapes)
    optimizer = distributed(named, Compression.oktopk(0.1))
    backward(named, gradients(0, RANK, shapes))
    with pytest.raises(AgreementError, match="elements is 1230 on rank 1 and 1200 on rank 0"):
        optimizer.synchronize()


def test_ranks_at_different_steps() -> None:
    """As after loading a checkpoint on some ranks only."""
    named, compression = parameters(), Compression.oktopk(0.1)
    optimizer = distributed(named, compression)
    reduced(named, optimizer, gradients(0, RANK))
    state = compression.state_dict()
    reduced(named, optimizer, gradients(1, RANK))
    if RANK == 1:
        compression.load_state_dict(state)
    with pytest.raises(AgreementError, match="step is 1 on rank 1 and 2 on rank 0"):
        reduced(named, optimizer, gradients(2, RANK))


def test_one_rank_with_the_state_of_another_model() -> None:
    """It cannot prepare its step; the others hear of it at once."""
    first = Compression.oktopk(0.1, min_numel=MIN_NUMEL)
    named = parameters()
    reduced(named, distributed(named, first), gradients(0, RANK))
    state = first.state_dict()
    if RANK == 1:
        state["optimizers"][0]["residuals"]["wide.weight"] = torch.zeros(3)
    compression = Compression.oktopk(0.1, min_numel=MIN_NUMEL)
    compression.load_state_dict(state)
    named = parameters()
    optimizer = distributed(named, compression)
    backward(named, gradients(1, RANK))
    complaint = "the residual of 'wide.weight' has 3 elements, its gradient 1400"
    if RANK == 1:
        with pytest.raises(ConfigError, match=complaint):
            optimizer.synchronize()
    else:
        with pytest.raises(
            AgreementError, match=f"rank 1 cannot take part: ConfigError: {complaint}"
        ):
            optimizer.synchronize()


def test_arguments_are_checked_where_they_are_given() -> None:
    for name, options, message in (
        ("oktopk", {"density": 1.5}, r"density must be in \(0, 1\], got 1\.5"),
        ("topk", {"density": 0}, r"density must be in \(0, 1\], got 0"),
        ("randomk", {"warmup_steps": -1}, "warmup_steps must be an integer >= 0, got -1"),
        ("oktopk", {"ramp_steps": 1.5}, r"ramp_steps must be an integer >= 0, got 1\.5"),
        ("oktopk", {"transport": "tcp"}, "transport must be one of auto, mpi, horovod, got 'tcp'"),
        ("oktopk", {"bucket_bytes": 3}, "bucket_bytes must be an integer >= 4, got 3"),
        ("topk", {"min_numel": -1}, "min_numel must be an integer >= 0, got -1"),
        ("randomk", {"min_numel": -1}, "min_numel must be an integer >= 0, got -1"),
        ("randomk", {"seed": -1}, r"seed must be .* got -1"),
        ("oktopk", {"seed": 2**32}, r"seed must be .* got 4294967296"),
    ):
        with pytest.raises(ConfigError, match=message):
            getattr(Compression, name)(**options)


@pytest.mark.parametrize("name", ["oktopk", "topk", "randomk"])
def test_methods_with_options_are_called(name: str) -> None:
    named = parameters()
    distributed(named, getattr(Compression, name))
    with pytest.raises(ConfigError, match=rf"write Compression\.{name}\(\.\.\.\)"):
        backward(named, gradients(0, RANK))


@pytest.mark.parametrize("name", NAMES)
def test_copies_have_no_state_to_lose(name: str) -> None:
    compression = getattr(Compression, name)()
    for copied in (copy.deepcopy(compression), pickle.loads(pickle.dumps(compression))):
        assert repr(copied) == repr(compression)
        named = parameters()
        reduced(named, distributed(named, copied), gradients(0, RANK))
        for refused in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(ConfigError, match=r"in use and cannot be copied.*state_dict"):
                refused(copied)


def test_attach_expects_a_distributed_optimizer() -> None:
    plain = torch.optim.SGD(list(parameters().values()), lr=1.0)
    with pytest.raises(ConfigError, match=r"what hvd\.DistributedOptimizer returned, got SGD"):
        Compression.oktopk().attach(plain)


def test_horovod_goes_on_after_a_refusal() -> None:
    named = parameters()
    optimizer = distributed(named, Compression.oktopk(1.0))
    chosen = {name: torch.ones_like(p) for name, p in named.items()}
    assert_same_bits(reduced(named, optimizer, chosen), chosen)
    assert hvd.size() == SIZE
