"""Wrong arguments of ``sparse_allreduce`` are refused before a value is sent or written."""

from typing import Any

import numpy as np
import pytest
from kernel_inputs import assert_same_bits

from gradwire import OwnedResidual, sparse_allreduce
from gradwire.communicators import Communicator, Simulation
from gradwire.errors import AgreementError, ConfigError


def read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


GRADIENT = np.ones((4, 5), np.float32)
FLOATS = np.zeros((4, 5), np.float32)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"gradient": np.ones(5, np.int32)}, "gradient must be float32, float16 or float64, got i"),
        ({"gradient": np.ones(5, bool)}, "gradient must be float32"),
        ({"gradient": np.ones(5, complex)}, "gradient must be float32"),
        ({"gradient": np.ones(5, ">f4")}, "gradient must be float32"),
        ({"gradient": [1.0, 2.0]}, "gradient must be a NumPy array, a torch .*, got .*list"),
        ({"gradient": None}, "gradient must be a NumPy array"),
        ({"density": 0}, r"density must be in \(0, 1\], got 0"),
        ({"density": 1.01}, "density"),
        ({"density": float("nan")}, "density"),
        ({"density": "all"}, "density"),
        (
            {"out": FLOATS.reshape(5, 4)},
            r"out must be shaped like gradient, \(4, 5\), got \(5, 4\)",
        ),
        ({"out": FLOATS.reshape(-1)}, "out must be shaped"),
        ({"out": read_only(FLOATS.copy())}, "out must be writable"),
        ({"out": FLOATS.astype(np.int32)}, "out must be float32, float16 or float64, got int32"),
        ({"out": FLOATS.astype(complex)}, "out must be float32"),
        ({"out": FLOATS.tolist()}, "out must be a NumPy array"),
        ({"residual": FLOATS.reshape(5, 4)}, "residual must be shaped like gradient"),
        ({"residual": FLOATS.astype(np.float64)}, "residual must be float32, contiguous"),
        ({"residual": FLOATS.astype(np.float16)}, "residual must be float32, contiguous"),
        ({"residual": np.asfortranarray(FLOATS)}, "residual must be float32, contiguous"),
        ({"residual": np.zeros((4, 10), np.float32)[:, ::2]}, "residual must be float32, contig"),
        ({"residual": read_only(FLOATS.copy())}, "residual must be writable"),
        ({"residual": FLOATS.tolist()}, "residual must be a NumPy array"),
        ({"residual": 0.0}, "residual must be a NumPy array"),
        ({"residual": OwnedResidual(19)}, "residual must have as many elements as gradient, 20, g"),
        ({"values": "int9"}, "unknown value format 'int9'; known: bf16, float32"),
        ({"values": None}, "unknown value format 'None'"),
        ({"residual": GRADIENT}, "residual and gradient must not share memory"),
        ({"residual": FLOATS, "out": FLOATS}, "residual and out must not share memory"),
        ({"residual": FLOATS, "out": FLOATS[::-1]}, "residual and out must not share memory"),
        (
            {"residual": FLOATS, "gradient": FLOATS[:, ::-1]},
            "residual and gradient must not share memory",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 2])
def test_wrong_arguments(arguments: dict[str, Any], complaint: str, size: int) -> None:
    """Refused before anything but the agreement is sent or written; the ranks stay in step."""
    before = GRADIENT.copy(), FLOATS.copy()

    def rank(communicator: Communicator) -> None:
        with pytest.raises(ConfigError, match=complaint):
            sparse_allreduce(**{"gradient": GRADIENT, "comm": communicator, **arguments})
        assert communicator.counters.messages_sent <= 3 * (size - 1)  # the agreement
        communicator.barrier()

    Simulation(size).run(rank)
    assert_same_bits(GRADIENT, before[0])
    assert_same_bits(FLOATS, before[1])


@pytest.mark.parametrize(
    "wrong",
    [
        {"gradient": np.ones(5, np.int32)},
        {"density": 2.0},
        {"out": FLOATS.reshape(-1)},
        {"residual": FLOATS.astype(np.float64)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
@pytest.mark.parametrize("culprit", [0, 2])
def test_wrong_arguments_on_one_rank(wrong: dict[str, Any], culprit: int) -> None:
    """The others hear of it at once, nothing has changed, and the next call is right."""

    def rank(communicator: Communicator) -> None:
        residual, mine = FLOATS.copy(), communicator.rank == culprit
        arguments = {"gradient": GRADIENT, "residual": residual, "comm": communicator}
        with pytest.raises(ConfigError if mine else AgreementError) as caught:
            sparse_allreduce(**{**arguments, **(wrong if mine else {})})
        if not mine:
            assert f"rank {culprit} cannot take part: ConfigError: {next(iter(wrong))}" in str(
                caught.value
            ).replace("TopK: ", "")
        assert_same_bits(residual, FLOATS)
        assert_same_bits(sparse_allreduce(**{**arguments, "density": 1.0}), GRADIENT)

    Simulation(3).run(rank)


def test_wrong_tensors() -> None:
    torch = pytest.importorskip("torch")
    memory = torch.zeros(4, 10)
    good = torch.ones(4, 5)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"gradient": torch.ones(5, dtype=torch.int64)}, "gradient must be a dense floating-point"),
        ({"gradient": good.to_sparse()}, "gradient must be a dense floating-point"),
        ({"out": torch.zeros(4, 5, dtype=torch.int32)}, "out must be a floating-point tensor"),
        ({"out": torch.zeros(20)}, "out must be shaped"),
        ({"residual": torch.zeros(4, 5, dtype=torch.bfloat16)}, "residual must be float32"),
        ({"residual": memory[:, ::2]}, "residual must be float32, contiguous"),
        ({"residual": good}, "residual and gradient must not share memory"),
        (
            {"residual": memory.view(-1)[:20].view(4, 5), "out": memory[:, ::2]},
            "residual and out must not share memory",
        ),
    ]

    def rank(communicator: Communicator) -> None:
        for arguments, complaint in cases:
            with pytest.raises(ConfigError, match=complaint):
                sparse_allreduce(**{"gradient": good, "comm": communicator, **arguments})
        apart = {
            "residual": memory.view(-1)[:20].view(4, 5),
            "out": memory.view(-1)[20:].view(4, 5),
        }
        sparse_allreduce(good, comm=communicator, **apart)

    Simulation(1).run(rank)
