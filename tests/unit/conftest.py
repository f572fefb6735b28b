"""Fixtures of the unit tests."""

from collections.abc import Iterator

import pytest
from emulated_cuda import EMULATED, emulated_cuda

from gradwire.kernels import native

CUDA = emulated_cuda()


@pytest.fixture(scope="module", params=[*native.isas(), *([EMULATED] if CUDA else [])])
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests once with each instruction set that this processor has.

    And with the CUDA kernels, emulated: the same functions, for arrays on the host.
    """
    before = native.cpu
    if request.param == EMULATED:
        native.cpu = CUDA
    else:
        native.use_isa(request.param)
    yield request.param
    native.cpu = before
