"""A message tells its receiver whose it is and for whom, so that nobody takes another one's."""

import pytest
from test_failing_exchanges import FAULTY_STEP, METHODS, WITH_HEADERS, routes, witnesses

from gradwire.errors import WireError
from gradwire.testing.faults import PHASES_OF, TAMPERINGS, Place


@pytest.mark.parametrize(("name", "phase"), WITH_HEADERS)
def test_bad_indices_name_their_sender(name: str, phase: str) -> None:
    if name == "dense":
        pytest.skip("dense messages have no indices")
    place = Place(FAULTY_STEP, phase)
    for culprit, victim in routes(phase, 3):
        seen = witnesses(name, 3, place, culprit, tamper=TAMPERINGS["flipped in the indices"])
        assert isinstance(seen[victim].error, WireError)
        assert f"message from rank {culprit}" in str(seen[victim].error)
        assert "indices must lie inside the range" in str(seen[victim].error)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("name", [name for name in METHODS if "split" in PHASES_OF[name]])
def test_messages_for_two_ranks_swapped(name: str, size: int) -> None:
    """Even if both are of the same sizes, as most slices of dense values are."""
    for culprit in range(size):
        place = Place(FAULTY_STEP, "split")
        seen = witnesses(name, size, place, culprit, tamper=TAMPERINGS["of another rank"])
        assert seen[culprit].hit
        assert [len(own.outs) for own in seen] == [FAULTY_STEP] * size
        assert any(isinstance(own.error, WireError) for own in seen)
        assert all(f"rank {culprit}" in str(own.error) for own in seen)
