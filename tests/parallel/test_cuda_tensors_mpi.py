"""``sparse_allreduce`` of torch tensors over MPI: on a GPU that ranks share, where there is one."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mpi4py")
pytest.importorskip("torch")
import torch
from mpi4py import MPI

from gradwire import OwnedResidual, sparse_allreduce
from gradwire.testing import SHAPES

pytestmark = pytest.mark.parallel
WORLD = MPI.COMM_WORLD
STEPS = 3
# Who asks for a GPU must not pass without one.
ON_GPU = os.environ.get("GRADWIRE_TEST_CUDA") == "1" or torch.cuda.is_available()
DEVICES = ["cpu", "cuda"] if ON_GPU else ["cpu"]


def gradient_of(step: int, numel: int) -> np.ndarray:
    return SHAPES["layered_laplace"](np.random.default_rng([WORLD.rank, step]), numel)


def results_of(numel: int, density: float) -> list[tuple[bytes, bytes]]:
    """Return what arrays of NumPy give: results and residuals, as bits.

    The same at every repetition, as nothing is rounded: whose part an entry is does not count then.
    """
    residual, results = np.zeros(numel, np.float32), []
    for step in range(STEPS):
        out = sparse_allreduce(gradient_of(step, numel), density, WORLD, residual)
        results.append((out.tobytes(), residual.tobytes()))
    return results


def bits(tensor: Any) -> bytes:
    return bytes(tensor.cpu().numpy().tobytes())


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("numel", "density"), [(1000, 0.1), (70_001, 0.01), (500, 1.0)])
def test_same_bits_as_arrays_of_the_host(device: str, numel: int, density: float) -> None:
    expected = results_of(numel, density)
    residual = torch.zeros(numel, device=device)
    for step in range(STEPS):
        gradient = torch.from_numpy(gradient_of(step, numel)).to(device)
        out = sparse_allreduce(gradient, density, WORLD, residual)
        assert (out.device, out.dtype) == (gradient.device, torch.float32)
        assert (bits(out), bits(residual)) == expected[step]


@pytest.mark.parametrize("device", DEVICES)
def test_residuals_that_are_kept_there(device: str) -> None:
    numel = 70_001
    expected = results_of(numel, 0.01)
    kept: OwnedResidual | None = None
    for step in range(STEPS):
        gradient = torch.from_numpy(gradient_of(step, numel)).to(device)
        kept = OwnedResidual(numel, like=gradient) if kept is None else kept
        out = torch.empty_like(gradient)
        assert sparse_allreduce(gradient, 0.01, WORLD, kept, out) is out
        assert bits(out) == expected[step][0]


@pytest.mark.parametrize("device", DEVICES)
def test_training_lowers_the_loss_of_equal_replicas(device: str) -> None:
    torch.manual_seed(0)  # the same model and teacher everywhere, data of each rank's own
    model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
    model.to(device)
    teacher = torch.randn(16, 1).to(device)
    inputs = torch.randn(256, 16, generator=torch.Generator().manual_seed(WORLD.rank)).to(device)
    parameters = list(model.parameters())
    optimizer = torch.optim.SGD(parameters, lr=0.05)
    residual = torch.zeros(sum(each.numel() for each in parameters), device=device)
    losses = []
    for _ in range(80):
        loss = torch.nn.functional.mse_loss(model(inputs), torch.tanh(inputs @ teacher))
        optimizer.zero_grad()
        loss.backward()
        gradient = torch.cat([each.grad.flatten() for each in parameters])
        mean = sparse_allreduce(gradient, 0.1, WORLD, residual) / WORLD.size
        torch.nn.utils.vector_to_parameters(mean, [each.grad for each in parameters])
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    trained = bits(torch.nn.utils.parameters_to_vector(parameters).detach())
    assert len(set(WORLD.allgather(trained))) == 1
