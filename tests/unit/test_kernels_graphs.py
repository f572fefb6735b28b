"""Queued kernels in CUDA graphs: a replay does what a call would do with what is there then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_inputs import assert_same_bits, assert_same_selection, vector

from gradwire import kernels
from gradwire.errors import MissingDependencyError
from gradwire.kernels import RandomStream, Selected, native, queued

N, K, BITS, BLOCK = 300_007, 3000, 4, 0
STREAM = RandomStream(7, 8, 0)


def torch_on_gpu() -> Any:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    try:
        native.cuda()
    except MissingDependencyError:
        pytest.skip("needs the CUDA kernels")
    return torch


class Step:
    """A selection with error feedback, and quantised values of what it compensated."""

    def __init__(self, torch: Any) -> None:
        empty = lambda size, dtype: torch.zeros(size, dtype=dtype, device="cuda")  # noqa: E731
        self.gradient, self.residual = empty(N, torch.float32), empty(N, torch.float32)
        self.acc, self.floor = empty(N, torch.float32), empty(1, torch.float32)
        self.indices, self.values = empty(K, torch.uint32), empty(K, torch.float32)
        self.found, self.status = empty(3, torch.uint64), empty(1, torch.uint32)
        self.count = empty(1, torch.int32)
        self.codes = empty(kernels.code_bytes(N, BITS), torch.uint8)
        self.scales = empty(kernels.scale_count(N, BLOCK), torch.float32)
        self.room = empty(queued.topk_workspace(N, K), torch.uint8)
        self.other_room = empty(queued.quantize_workspace(N, BLOCK), torch.uint8)
        self.uint32, self.float32 = torch.uint32, torch.float32

    def run(self) -> None:
        queued.compensate_topk(
            self.gradient, self.residual, K, self.floor, self.acc, self.indices, self.values,
            self.found, self.room,
        )  # fmt: skip
        queued.quantize(
            self.acc, BITS, BLOCK, random=STREAM, step=self.count.view(self.uint32),
            out_codes=self.codes, out_scales=self.scales, workspace=self.other_room,
        )  # fmt: skip
        self.residual.copy_(self.acc)
        queued.clear(self.residual, self.indices, self.status)
        self.floor.copy_(self.found.view(self.float32)[4:5])
        self.count.add_(1)


class Model:
    """The same on the host, one call after the other."""

    def __init__(self) -> None:
        self.residual = np.zeros(N, np.float32)
        self.count = 0

    def check(self, gradient: np.ndarray, step: Step) -> None:
        acc = np.empty_like(gradient)
        expected = kernels.compensate_topk(gradient, self.residual, K, 0.0, acc)
        codes = kernels.quantize(acc, BITS, BLOCK, random=STREAM._replace(step=self.count))
        kernels.clear(acc, expected.indices)
        self.residual, self.count = acc, self.count + 1
        written, found, threshold = queued.read_found(step.found.cpu().numpy())
        indices, values = step.indices.cpu().numpy(), step.values.cpu().numpy()
        result = Selected(indices[:written], values[:written], found, threshold)
        assert_same_selection(result, expected)
        assert_same_bits(step.codes.cpu().numpy(), codes.codes)
        assert_same_bits(step.scales.cpu().numpy(), codes.scales)
        assert_same_bits(step.residual.cpu().numpy(), self.residual)
        assert step.status.cpu().numpy().tolist() == [0]


def test_replays_are_calls_with_new_gradients_and_steps() -> None:
    torch = torch_on_gpu()
    step, model = Step(torch), Model()
    first = vector(N, "gaussian", 0)
    step.gradient.copy_(torch.from_numpy(first))
    step.run()
    model.check(first, step)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step.run()
    for seed in range(1, 6):
        gradient = vector(N, "gaussian", seed) * np.float32(seed)
        step.gradient.copy_(torch.from_numpy(gradient))
        graph.replay()
        model.check(gradient, step)


def test_workspace_and_outputs_may_be_the_graphs_own() -> None:
    torch = torch_on_gpu()
    x = torch.zeros(N, device="cuda")
    out = torch.zeros(1, dtype=torch.float64, device="cuda")
    queued.norm(x, 2, out)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        queued.norm(x, 2, out)
    for seed in (1, 2):
        values = vector(N, "gaussian", seed)
        x.copy_(torch.from_numpy(values))
        graph.replay()
        assert float(out.cpu()[0]) == kernels.norm(values)
