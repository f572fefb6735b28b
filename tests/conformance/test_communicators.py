"""The simulated communicator passes the checks of every communicator, on any rank count.

MPI and Horovod do in tests/parallel and tests/integration.
"""

import pytest

from gradwire.communicators import Simulation
from gradwire.testing.communicators import CHECKS, FAILURE_CHECKS
from gradwire.testing.subgroups import SUBGROUP_CHECKS, SUBGROUP_FAILURE_CHECKS

RANK_COUNTS = (1, 2, 3, 4, 5, 8)
ALL_CHECKS = {**CHECKS, **SUBGROUP_CHECKS}
ALL_FAILURE_CHECKS = {**FAILURE_CHECKS, **SUBGROUP_FAILURE_CHECKS}


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", RANK_COUNTS)
@pytest.mark.parametrize("name", ALL_CHECKS)
def test_simulated(name: str, size: int, shuffle: bool) -> None:
    Simulation(size, seed=size, shuffle=shuffle).run(ALL_CHECKS[name])


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", RANK_COUNTS)
@pytest.mark.parametrize("name", ALL_FAILURE_CHECKS)
def test_simulated_failures(name: str, size: int, shuffle: bool) -> None:
    for seed in range(5):
        Simulation(size, seed, shuffle=shuffle).run(ALL_FAILURE_CHECKS[name])
