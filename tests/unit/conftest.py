"""Fixtures of the unit tests."""

from collections.abc import Iterator

import pytest

from gradwire.kernels import native


@pytest.fixture(scope="module", params=native.isas())
def each_isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run a module's tests once with each instruction set that this processor has."""
    before = native.current_isa()
    native.use_isa(request.param)
    yield request.param
    native.use_isa(before)
