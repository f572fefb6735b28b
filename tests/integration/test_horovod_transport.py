"""What moves the bytes makes no difference to them."""

from typing import Any

import pytest
from chosen_gradients import (
    MIN_NUMEL,
    RANK,
    assert_same_bits,
    distributed,
    gradients,
    horovod_running,
    hvd,
    parameters,
    reduced,
    torch,
)

from gradwire.errors import ConfigError
from gradwire.horovod import Compression

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)


def _run(transport: str, name: str) -> tuple[Any, ...]:
    """Return a run with gradients whose sums do depend on the order of additions."""
    options = {"min_numel": MIN_NUMEL, "bucket_bytes": 5000, "transport": transport}
    named, compression = parameters(), getattr(Compression, name)(0.1, **options)
    optimizer = distributed(named, compression, momentum=0.5)
    for step in range(3):
        chosen = {n: torch.sin(v * (1 + RANK)) / 3 for n, v in gradients(step, RANK).items()}
        last = reduced(named, optimizer, chosen)
    stats = compression.stats()
    return last, named, compression.state_dict()["optimizers"][0]["residuals"], stats


@pytest.mark.parametrize("name", ["oktopk", "topk"])
def test_transports_give_the_same_bits(name: str) -> None:
    left, right = _run("auto", name), _run("horovod", name)
    for mine, other in zip(left[:3], right[:3], strict=True):
        assert_same_bits(mine, other)
    assert left[3]["bytes_sent"] > 0 and right[3]["bytes_sent"] > 0


def test_mpi_where_it_is_there_and_the_reason_where_it_is_not() -> None:
    if hvd.mpi_enabled():
        assert_same_bits(_run("mpi", "oktopk")[1], _run("auto", "oktopk")[1])
        return
    with pytest.raises(ConfigError, match=r"transport='mpi' cannot be used: Horovod does not run"):
        _run("mpi", "oktopk")


def test_one_rank_that_asks_for_mpi_where_another_does_not() -> None:
    """All of them hear of it, instead of one leaving and the others waiting."""
    named = parameters()
    compression = Compression.oktopk(0.1, transport="mpi" if RANK == 0 else "horovod")
    optimizer = distributed(named, compression)
    with pytest.raises(ConfigError, match=r"transport"):
        reduced(named, optimizer, gradients(0, RANK))
