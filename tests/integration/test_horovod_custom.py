"""``Compression.custom``: any compressor over any schedule that can serve it."""

from collections.abc import Callable

import pytest
from chosen_gradients import (
    MIN_NUMEL,
    RANK,
    SHAPES,
    SIZE,
    assert_same_bits,
    distributed,
    gradients,
    horovod_running,
    mean,
    parameters,
    reduced,
)

from gradwire.compressors import BF16, RandomK, TopK
from gradwire.errors import ConfigError
from gradwire.horovod import Compression, HorovodCompression
from gradwire.schedules import OkTopk

pytestmark = pytest.mark.integration
_horovod = pytest.fixture(autouse=True)(horovod_running)


@pytest.mark.parametrize(
    ("custom", "built_in"),
    [
        (
            lambda: Compression.custom(TopK(0.05), min_numel=MIN_NUMEL),
            lambda: Compression.oktopk(0.05, min_numel=MIN_NUMEL),
        ),
        (
            lambda: Compression.custom(TopK(0.05), "allgather", min_numel=MIN_NUMEL),
            lambda: Compression.topk(0.05, min_numel=MIN_NUMEL),
        ),
        (lambda: Compression.custom(BF16(), "dense"), lambda: Compression.bf16()),
        (
            lambda: Compression.custom(
                TopK(0.05),
                {"id": "hierarchical", "inner": OkTopk(), "group_size": 1},
                min_numel=MIN_NUMEL,
            ),
            lambda: Compression.oktopk(0.05, min_numel=MIN_NUMEL),
        ),
    ],
    ids=["oktopk", "topk", "bf16", "hierarchical"],
)
def test_equals_the_built_in(
    custom: Callable[[], HorovodCompression], built_in: Callable[[], HorovodCompression]
) -> None:
    runs, sent = [], []
    for compression in (custom(), built_in()):
        named = parameters()
        optimizer = distributed(named, compression)
        runs.append([reduced(named, optimizer, gradients(step, RANK)) for step in range(3)])
        sent.append(compression.stats()["bytes_sent"])
    for mine, other in zip(*runs, strict=True):
        assert_same_bits(mine, other)
    assert sent[0] == sent[1]


def test_small_tensors_travel_whole_beside_random_entries() -> None:
    named = parameters()
    compression = Compression.custom(RandomK(0.1), "dense", min_numel=MIN_NUMEL)
    result = reduced(named, distributed(named, compression), gradients(0, RANK))
    expected = mean([gradients(0, rank) for rank in range(SIZE)])
    for name, shape in SHAPES.items():
        arrived = result[name] == expected[name]
        if shape in ((40,), ()):
            assert arrived.all()
        else:
            assert not arrived.all()


def test_schedule_and_compressor_must_fit() -> None:
    with pytest.raises(ConfigError, match=r"'dense' needs a summable compressor.*'allgather'"):
        Compression.custom(TopK(0.1), "dense")
    with pytest.raises(ConfigError, match="unknown schedule 'ring'; known: allgather, auto"):
        Compression.custom(TopK(0.1), "ring")
