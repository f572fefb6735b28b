"""Regions: they cover everything once, in order, with equal loads, at any size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradwire.schedules.regions import (
    LOAD_TILES,
    balanced_regions,
    equal_regions,
    imbalance,
    slices_of,
    tile_edges,
    tile_loads,
)

quick = settings(max_examples=150, deadline=None)
numels = st.integers(0, 5000) | st.integers(0, 2**32 - 1)
parts = st.integers(1, 40) | st.sampled_from([64, 1000, 4096])


def assert_covers(boundaries: np.ndarray, numel: int, count: int) -> None:
    assert boundaries.dtype == np.int64 and len(boundaries) == count + 1
    assert boundaries[0] == 0 and boundaries[-1] == numel
    assert np.all(np.diff(boundaries) >= 0)


def loads_of(numel: int, seed: int, largest: int) -> np.ndarray:
    """Return loads that a tile can have: at most one entry per element and rank."""
    generator = np.random.default_rng(seed)
    loads = generator.integers(0, largest + 1, len(tile_edges(numel)) - 1)
    loads[generator.random(len(loads)) < generator.choice([0.0, 0.5, 0.99])] = 0
    return loads.astype(np.uint32)


@quick
@given(numels, parts)
def test_equal_regions(numel: int, count: int) -> None:
    boundaries = equal_regions(numel, count)
    assert_covers(boundaries, numel, count)
    lengths = np.diff(boundaries)
    assert lengths.max() - lengths.min() <= 1


@quick
@given(numels)
def test_tiles_cover_everything(numel: int) -> None:
    edges = tile_edges(numel)
    assert len(edges) - 1 <= LOAD_TILES
    assert_covers(edges, numel, len(edges) - 1)
    assert numel == 0 or np.diff(edges).min() >= 1


@quick
@given(st.integers(1, 2**32 - 1), st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_tile_loads_count_every_index_once(numel: int, count: int, seed: int) -> None:
    indices = np.unique(np.random.default_rng(seed).integers(0, numel, count)).astype(np.uint32)
    loads, edges = tile_loads(indices, numel), tile_edges(numel)
    assert loads.dtype == np.uint32 and len(loads) == len(edges) - 1
    expected, _ = np.histogram(indices.astype(np.float64), edges)
    assert np.array_equal(loads, expected)
    for tile in np.flatnonzero(loads)[:20]:
        inside = (indices >= edges[tile]) & (indices < edges[tile + 1])
        assert loads[tile] == np.count_nonzero(inside)


@quick
@given(
    st.integers(1, 5000) | st.integers(1, 2**32 - 1),
    parts,
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 7, 1000, 2**20]),
)
def test_balanced_regions_have_equal_loads(numel: int, count: int, seed: int, largest: int) -> None:
    """A region's load, taken as even within a tile, misses the mean by what one element bears."""
    loads = loads_of(numel, seed, largest)
    boundaries = balanced_regions(loads, numel, count)
    assert_covers(boundaries, numel, count)
    total = int(loads.sum(dtype=np.int64))
    if not total:
        return
    edges, before = tile_edges(numel), np.concatenate([[0], np.cumsum(loads, dtype=np.int64)])
    reached = np.interp(boundaries, edges, before)
    per_element = float((loads / np.diff(edges)).max())
    mean = total / count
    error = np.abs(np.diff(reached) - mean).max()
    assert error <= per_element + 1e-6 * total


@quick
@given(st.integers(1, 3000), st.integers(1, 20), st.integers(0, 400), st.integers(0, 2**32 - 1))
def test_slices_part_the_indices(numel: int, count: int, entries: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    indices = np.unique(generator.integers(0, numel, entries)).astype(np.uint32)
    boundaries = balanced_regions(tile_loads(indices, numel), numel, count)
    slices = slices_of(indices, boundaries)
    assert len(slices) == count
    assert np.array_equal(np.concatenate([indices[each] for each in slices]), indices)
    for region, each in enumerate(slices):
        assert np.all(
            (indices[each] >= boundaries[region]) & (indices[each] < boundaries[region + 1])
        )


def test_real_selections_are_balanced() -> None:
    """As many entries per owner as there should be, to a quarter; a clump is cut all the same."""
    clump = np.arange(2**31 + 5, 2**31 + 5 + 80_000, dtype=np.uint32)
    loads = tile_loads(clump, 2**32 - 1)
    regions = balanced_regions(loads, 2**32 - 1, 8)
    assert_covers(regions, 2**32 - 1, 8)
    spread = np.random.default_rng(1).choice(2**22, 20_000, replace=False)
    indices = np.sort(spread).astype(np.uint32)
    for count in (2, 3, 7, 64):
        regions = balanced_regions(tile_loads(indices, 2**22), 2**22, count)
        sizes = [part.stop - part.start for part in slices_of(indices, regions)]
        assert max(sizes) <= 1.25 * len(indices) / count


def test_single_loaded_tile_is_cut_inside() -> None:
    loads = np.zeros(LOAD_TILES, np.uint32)
    loads[17] = 1000
    numel = LOAD_TILES * 100
    assert list(balanced_regions(loads, numel, 4)) == [0, 1725, 1750, 1775, numel]


def test_more_parts_than_elements() -> None:
    assert list(equal_regions(2, 4)) == [0, 0, 1, 1, 2]
    regions = balanced_regions(np.array([1, 1], np.uint32), 2, 4)
    assert_covers(regions, 2, 4)


def test_nothing_selected_gives_equal_regions() -> None:
    loads = np.zeros(100, np.uint32)
    assert np.array_equal(balanced_regions(loads, 100, 7), equal_regions(100, 7))


@pytest.mark.parametrize(
    ("loads", "expected"),
    [([], 1.0), ([0, 0], 1.0), ([3, 3, 3], 1.0), ([4, 0], 2.0), ([0, 0, 9], 3.0)],
)
def test_imbalance(loads: list[int], expected: float) -> None:
    assert imbalance(loads) == expected
