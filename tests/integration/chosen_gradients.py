"""Parameters whose gradients a test chooses, and what every rank can know about them.

Gradients are small integers over 16, so sums of any ranks and steps are exact in any order and the
results of different exchanges can be compared bit by bit.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from gradwire.testing.parallel import launched_rank_and_size

RANK, SIZE = launched_rank_and_size()
if SIZE == 1:
    pytest.skip("a job on several ranks: mpirun or horovodrun", allow_module_level=True)
hvd = pytest.importorskip("horovod.torch")
torch = pytest.importorskip("torch")
if "HOROVOD_RANK" not in os.environ:  # started by mpirun
    # MPI first: what Horovod starts, hvd.shutdown() ends, and other tests in the job may call it.
    pytest.importorskip("mpi4py.MPI")

# A small model: two tensors to select from, two that are small.
SHAPES = {"deep.weight": (40, 30), "deep.bias": (40,), "wide.weight": (7, 200), "scale": ()}
MIN_NUMEL = 100

# Process sets have to be known when Horovod starts. Rank 1 is in neither of them on 3 ranks.
FIRST_AND_LAST = hvd.ProcessSet([0, SIZE - 1] if SIZE > 2 else [0])
LAST = hvd.ProcessSet([SIZE - 1])


def horovod_running() -> Iterator[None]:
    """Run Horovod around a test (as a fixture)."""
    if not hvd.is_initialized():
        hvd.init(process_sets=[FIRST_AND_LAST, LAST])
    yield
    hvd.barrier()  # nothing of this test is under way when the next one uses the same names


def exact(shape: tuple[int, ...], *seed: int, largest: int = 8) -> Any:
    """Return a float32 tensor of integers over 16, up to ``largest``, the same for a seed."""
    values = np.random.default_rng(seed).integers(-largest, largest + 1, shape)
    return torch.tensor(values / 16, dtype=torch.float32)


def gradients(step: int, rank: int, shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> Any:
    """Return {name: gradient} of a rank in a step; every rank can compute all of them.

    Some are large on all ranks, so that global winners differ from the local ones.
    """
    chosen = {}
    for number, (name, shape) in enumerate(shapes.items()):
        common = exact(shape, 1, step, number, largest=40)
        keep = exact(shape, 2, step, number) > 0.4
        chosen[name] = exact(shape, 3, step, number, rank) + common * keep
    return chosen


def parameters(shapes: Mapping[str, tuple[int, ...]] = SHAPES, dtype: Any = None) -> dict[str, Any]:
    """Return {name: parameter}, the same on all ranks."""
    return {
        name: torch.nn.Parameter(exact(shape, 4, number).to(dtype or torch.float32))
        for number, (name, shape) in enumerate(shapes.items())
    }


def distributed(
    named: Mapping[str, Any], compression: Any, momentum: float = 0.0, **options: Any
) -> Any:
    """Return Horovod's optimizer over SGD with a step of 1/4."""
    sgd = torch.optim.SGD(list(named.values()), lr=0.25, momentum=momentum)
    return hvd.DistributedOptimizer(
        sgd, named_parameters=named.items(), compression=compression, **options
    )


def backward(named: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    """Give each parameter in ``chosen`` its gradient; the last one's hook fires first."""
    terms = [(named[name] * chosen[name].to(named[name].dtype)).sum() for name in chosen]
    torch.stack([term.float() for term in terms]).sum().backward()


def reduced(named: Mapping[str, Any], optimizer: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Run one step; return copies of the reduced gradients."""
    for parameter in named.values():
        parameter.grad = None
    backward(named, chosen)
    optimizer.synchronize()
    result = {name: parameter.grad.clone() for name, parameter in named.items()}
    with optimizer.skip_synchronize():
        optimizer.step()
    return result


def dense_sum(chosen_of_ranks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums over ranks."""
    total: dict[str, Any] = {}
    for chosen in chosen_of_ranks:
        for name, values in chosen.items():
            total[name] = total[name] + values if name in total else values.clone()
    return total


def mean(chosen_of_ranks: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the sums times float32(1/P), which is how Horovod averages."""
    share = float(np.float32(1 / len(chosen_of_ranks)))
    return {name: values * share for name, values in dense_sum(chosen_of_ranks).items()}


def assert_same_bits(left: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    """Compare tensors by name, bit by bit (zeros of different sign differ)."""
    assert left.keys() == right.keys()
    for name in left:
        a, b = left[name].detach(), right[name].detach()
        assert a.dtype == b.dtype and a.shape == b.shape, name
        same = np.array_equal(bits(a), bits(b))
        assert same, f"{name} on rank {RANK}:\n{a}\n{b}"


def assert_replicas(tensors: Mapping[str, Any]) -> None:
    """Check that all ranks hold the same bits; collective."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + bits(tensors[name].detach()).tobytes())
    assert len(set(hvd.allgather_object(digest.hexdigest()))) == 1


def bits(tensor: Any) -> Any:
    """Return a tensor's bytes as an array."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy()
