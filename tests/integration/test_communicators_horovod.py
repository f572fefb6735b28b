"""The Horovod communicator, on the ranks of a job with or without MPI.

test_launched_communicators.py starts it under each launcher.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from gradwire.communicators import HorovodCommunicator
from gradwire.errors import ConfigError
from gradwire.testing.communicators import CHECKS, FAILURE_CHECKS, exchange_sized, uneven_size
from gradwire.testing.parallel import launched_rank_and_size

if launched_rank_and_size()[1] == 1:
    pytest.skip("started under its launchers by another test", allow_module_level=True)
hvd = pytest.importorskip("horovod.torch")

pytestmark = pytest.mark.integration
DEADLINE = 60.0  # seconds


@pytest.fixture(scope="module")
def pair() -> Iterator[Any]:
    """The process set of the last two ranks; Horovod runs from here on."""
    process_set = hvd.ProcessSet([launched_rank_and_size()[1] - 2, launched_rank_and_size()[1] - 1])
    hvd.init(process_sets=[process_set] if launched_rank_and_size()[1] > 2 else [])
    yield process_set
    hvd.shutdown()


@pytest.fixture
def communicator(pair: Any) -> HorovodCommunicator:
    return HorovodCommunicator(deadline=DEADLINE)


@pytest.mark.parametrize("name", CHECKS)
def test_conformance(communicator: HorovodCommunicator, name: str) -> None:
    CHECKS[name](communicator)


@pytest.mark.parametrize("name", FAILURE_CHECKS)
def test_failures(communicator: HorovodCommunicator, name: str) -> None:
    FAILURE_CHECKS[name](communicator)


def test_no_subgroups(communicator: HorovodCommunicator) -> None:
    with pytest.raises(ConfigError, match="HorovodCommunicator: its transport knows no subgroups"):
        communicator.subgroup([communicator.rank])


def test_beside_horovods_own_operations(communicator: HorovodCommunicator) -> None:
    """Operations that Horovod has pending neither block ours nor mix with them."""
    import torch

    ones = torch.ones(1000)
    handles = [hvd.allreduce_async(ones, name=f"own.{i}", op=hvd.Sum) for i in range(10)]
    exchange_sized(communicator, uneven_size)
    for handle in handles:
        assert (hvd.synchronize(handle) == hvd.size()).all()


def test_two_instances_are_apart(pair: Any) -> None:
    first, second = (HorovodCommunicator(instance=name) for name in ("first", "second"))
    exchange_sized(first, lambda a, b: 3)
    exchange_sized(second, lambda a, b: 5)
    exchange_sized(first, lambda a, b: 7)


def test_process_set(pair: Any) -> None:
    if hvd.size() == 2:
        pytest.skip("needs 3 ranks")
    if pair.included():
        member = HorovodCommunicator(pair, deadline=DEADLINE)
        assert (member.rank, member.size) == (hvd.rank() - hvd.size() + 2, 2)
        for check in CHECKS.values():
            check(member)
    else:
        with pytest.raises(ConfigError, match="include rank"):
            HorovodCommunicator(pair)
    HorovodCommunicator(deadline=DEADLINE).barrier()  # until then, no rank may shut Horovod down


def test_unregistered_process_set(pair: Any) -> None:
    with pytest.raises(ConfigError, match="must be initialised"):
        HorovodCommunicator(hvd.ProcessSet([0]))
