"""``sparse_allreduce``: array kinds, memory layouts, aliasing, and its result."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from exchange_model import oktopk
from kernel_inputs import assert_same_bits

from gradwire import OwnedResidual, sparse_allreduce
from gradwire.communicators import Communicator, Simulation
from gradwire.testing import SHAPES, exact_values

SHAPE = (6, 5, 10)
NUMEL = 300


def on_ranks(size: int, function: Callable[[Communicator], Any], seed: int = 0) -> list[Any]:
    return Simulation(size, seed).run(function)


def values_of(rank: int, step: int = 0, shape: str = "layered_laplace") -> np.ndarray:
    return SHAPES[shape](np.random.default_rng([rank, step]), NUMEL).reshape(SHAPE)


def expected_of(
    size: int, density: float, residuals: list[np.ndarray] | None = None, step: int = 0
) -> tuple[np.ndarray, list[np.ndarray]]:
    kept = residuals or [np.zeros(NUMEL, np.float32)] * size
    accs = [kept[rank] + values_of(rank, step).reshape(-1) for rank in range(size)]
    return oktopk(accs, max(1, round(NUMEL * density)), 1 / size)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("density", [0.001, 0.05, 0.4, 1.0])
def test_result_and_residual_are_the_models(size: int, density: float) -> None:
    steps = 4

    def rank(communicator: Communicator) -> list[tuple[np.ndarray, np.ndarray]]:
        residual, results = np.zeros(SHAPE, np.float32), []
        for step in range(steps):
            gradient = values_of(communicator.rank, step)
            out = sparse_allreduce(gradient, density, communicator, residual)
            assert_same_bits(gradient, values_of(communicator.rank, step))
            results.append((out, residual.copy()))
        return results

    results, residuals = on_ranks(size, rank), None
    for step in range(steps):
        expected, residuals = expected_of(size, density, residuals, step)
        for each, kept in zip(results, residuals, strict=True):
            assert_same_bits(each[step][0], expected.reshape(SHAPE))
            assert_same_bits(each[step][1], kept.reshape(SHAPE))


@pytest.mark.parametrize("values", ["float32", "bf16", "int8"])
@pytest.mark.parametrize("given_out", [False, True])
def test_owned_residuals_do_as_arrays_do(values: str, given_out: bool) -> None:
    """The same results and residuals, also where the result goes into the gradient.

    Each in calls of its own: whose residual an owner's rounding goes to depends on the regions, and
    these on what was exchanged before.
    """

    def steps(communicator: Communicator, owned: bool) -> list[tuple[np.ndarray, np.ndarray]]:
        array, residual = np.zeros(SHAPE, np.float32), OwnedResidual(NUMEL)
        seen = []
        for step in range(4):
            gradient = values_of(communicator.rank, step)
            out = gradient if given_out and owned else None
            kept = residual if owned else array
            got = sparse_allreduce(gradient, 0.1, communicator, kept, out, values=values)
            assert (got is gradient) == (out is not None)
            seen.append((got.copy(), (residual.values if owned else array.reshape(-1)).copy()))
        return seen

    with_arrays = on_ranks(3, lambda communicator: steps(communicator, owned=False))
    with_owned = on_ranks(3, lambda communicator: steps(communicator, owned=True))
    for expected_steps, got_steps in zip(with_arrays, with_owned, strict=True):
        for expected, got in zip(expected_steps, got_steps, strict=True):
            assert_same_bits(got[0], expected[0])
            assert_same_bits(got[1], expected[1])


def test_values_are_rounded_as_asked() -> None:
    def rank(communicator: Communicator) -> list[np.ndarray]:
        gradient = values_of(communicator.rank)
        return [
            sparse_allreduce(gradient, 0.1, communicator, average=False, values=values)
            for values in ("float32", "bf16", "fp16", "int8", "int4", "sign")
        ]

    exact, *rounded = on_ranks(2, rank)[0]
    errors = [np.linalg.norm(each - exact) / np.linalg.norm(exact) for each in rounded]
    for error, most in zip(errors, (4e-3, 1e-3, 2e-2, 0.4, 1.2), strict=True):
        assert 0 < error < most


def test_without_residual_nothing_is_remembered() -> None:
    expected = expected_of(3, 0.05)[0].reshape(SHAPE)

    def rank(communicator: Communicator) -> None:
        for _ in range(3):
            gradient = values_of(communicator.rank)
            assert_same_bits(sparse_allreduce(gradient, 0.05, communicator), expected)

    on_ranks(3, rank)


def test_sum_and_default_density() -> None:
    def rank(communicator: Communicator) -> np.ndarray:
        gradient = exact_values(np.random.default_rng(communicator.rank), 1000)
        mean = sparse_allreduce(gradient, comm=communicator)
        total = sparse_allreduce(gradient, comm=communicator, average=False)
        assert np.array_equal(total, mean * 4)
        assert np.count_nonzero(total) == 10
        return total

    outs = on_ranks(4, rank)
    assert all(out.tobytes() == outs[0].tobytes() for out in outs)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_numpy_dtypes(dtype: str) -> None:
    """Computed in float32, and rounded once to what came in."""

    def rank(communicator: Communicator) -> np.ndarray:
        residual = np.zeros(SHAPE, np.float32)
        gradient = values_of(communicator.rank).astype(dtype)
        out = sparse_allreduce(gradient, 0.05, communicator, residual)
        assert out.dtype == gradient.dtype and out.flags.c_contiguous
        return out

    accs = [values_of(r).astype(dtype).astype(np.float32).reshape(-1) for r in range(3)]
    expected = oktopk(accs, 15, 1 / 3)[0].reshape(SHAPE).astype(dtype)
    for out in on_ranks(3, rank):
        assert_same_bits(out, expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_torch_dtypes(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)

    def tensor(rank: int) -> Any:
        return torch.from_numpy(values_of(rank)).to(kind)

    accs = [tensor(rank).float().numpy().reshape(-1) for rank in range(3)]
    reduced, residuals = oktopk(accs, 15, 1 / 3)
    expected = torch.from_numpy(reduced).view(SHAPE).to(kind)

    def rank(communicator: Communicator) -> None:
        residual = torch.zeros(SHAPE)
        gradient = tensor(communicator.rank).requires_grad_()
        out = sparse_allreduce(gradient, 0.05, communicator, residual)
        assert out.dtype == kind and out.is_contiguous() and not out.requires_grad
        assert torch.equal(out, expected)
        assert torch.equal(gradient, tensor(communicator.rank))
        kept = residuals[communicator.rank].reshape(SHAPE)
        assert_same_bits(residual.numpy(), kept)

    on_ranks(3, rank)


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda a: a.copy(),
    "fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.transpose(2, 0, 1)).transpose(1, 2, 0),
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
}


# torch has no negative strides
LAYOUT_CASES = [
    (library, layout, out_layout)
    for library in ("numpy", "torch")
    for layout in LAYOUTS
    for out_layout in LAYOUTS
    if library == "numpy" or "reversed" not in (layout, out_layout)
]


@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize(("library", "layout", "out_layout"), LAYOUT_CASES)
def test_layouts(layout: str, out_layout: str, library: str, with_residual: bool) -> None:
    """Results do not depend on strides, of the gradient or of out."""
    if library == "torch":
        torch = pytest.importorskip("torch")
    expected = expected_of(2, 0.05)[0].reshape(SHAPE)

    def rank(communicator: Communicator) -> None:
        values = values_of(communicator.rank)
        gradient: Any = LAYOUTS[layout](values)
        target: Any = LAYOUTS[out_layout](np.full(SHAPE, 7, np.float32))
        residual: Any = np.zeros(SHAPE, np.float32) if with_residual else None
        if library == "torch":
            gradient, target = torch.from_numpy(gradient), torch.from_numpy(target)
        out = sparse_allreduce(gradient, 0.05, communicator, residual, target)
        assert out is target
        assert np.array_equal(np.asarray(gradient), values)
        assert_same_bits(np.ascontiguousarray(out), expected)

    on_ranks(2, rank)


@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("density", [0.05, 1.0])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_out_may_be_the_gradient(layout: str, density: float, with_residual: bool) -> None:
    expected, residuals = expected_of(3, density)

    def rank(communicator: Communicator) -> None:
        gradient = LAYOUTS[layout](values_of(communicator.rank))
        residual = np.zeros(SHAPE, np.float32) if with_residual else None
        out = sparse_allreduce(gradient, density, communicator, residual, gradient)
        assert out is gradient
        assert_same_bits(np.ascontiguousarray(out), expected.reshape(SHAPE))
        if residual is not None:
            assert_same_bits(residual, residuals[communicator.rank].reshape(SHAPE))

    on_ranks(3, rank)


def test_out_may_overlap_the_gradient() -> None:
    expected = expected_of(2, 0.05)[0]

    def rank(communicator: Communicator) -> None:
        memory = np.zeros(NUMEL + 7, np.float32)
        memory[:NUMEL] = values_of(communicator.rank).reshape(-1)
        residual = np.zeros(NUMEL, np.float32)
        out = sparse_allreduce(memory[:NUMEL], 0.05, communicator, residual, memory[7:])
        assert_same_bits(out, expected)

    on_ranks(2, rank)


def test_out_of_another_kind() -> None:
    """Another dtype or library than the gradient's."""
    torch = pytest.importorskip("torch")
    expected = expected_of(2, 0.05)[0].reshape(SHAPE)

    def rank(communicator: Communicator) -> None:
        gradient = values_of(communicator.rank)
        for dtype in (np.float16, np.float64):
            out = sparse_allreduce(gradient, 0.05, communicator, out=np.empty(SHAPE, dtype))
            assert_same_bits(out, expected.astype(dtype))
        tensor = sparse_allreduce(gradient, 0.05, communicator, out=torch.empty(SHAPE))
        assert_same_bits(tensor.numpy(), expected)
        parameter = torch.nn.Parameter(torch.empty(SHAPE))
        sparse_allreduce(gradient, 0.05, communicator, out=parameter)
        assert_same_bits(parameter.detach().numpy(), expected)

    on_ranks(2, rank)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (), (1,), (1, 1)])
@pytest.mark.parametrize("size", [1, 3])
def test_tiny_shapes(shape: tuple[int, ...], size: int) -> None:
    def rank(communicator: Communicator) -> None:
        gradient = np.full(shape, communicator.rank + 1, np.float32)
        residual = np.zeros(shape, np.float32)
        for out in (None, np.empty(shape, np.float32)):
            result = sparse_allreduce(gradient, 0.5, communicator, residual, out)
            assert result.shape == shape
            assert np.all(result == np.float32((size + 1) / 2))
            assert not residual.any()

    on_ranks(size, rank)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("kind", ["numpy", "parameter", "float16", "strided"])
def test_non_finite_leaves_the_residual(bad: float, with_residual: bool, kind: str) -> None:
    torch = pytest.importorskip("torch")

    def rank(communicator: Communicator) -> None:
        gradient = values_of(communicator.rank)
        if communicator.rank == 1:
            gradient[2, 3, 4] = bad
        before = gradient.copy()
        residual = np.full(SHAPE, 0.25, np.float32) if with_residual else None
        target: Any = {
            "numpy": np.zeros(SHAPE, np.float32),
            "parameter": torch.nn.Parameter(torch.zeros(SHAPE)),
            "float16": np.zeros(SHAPE, np.float16),
            "strided": np.zeros((6, 5, 20), np.float32)[:, :, ::2],
        }[kind]
        out = sparse_allreduce(gradient, 0.05, communicator, residual, target)
        assert out is target
        assert np.isnan(torch.as_tensor(out).detach().numpy()).all()
        assert_same_bits(gradient, before)
        assert residual is None or (residual == 0.25).all()
        # And the next call is as good as ever.
        fine = sparse_allreduce(values_of(communicator.rank), 0.05, communicator)
        assert_same_bits(fine, expected_of(3, 0.05)[0].reshape(SHAPE))

    on_ranks(3, rank)


def test_values_beyond_float32() -> None:
    """float64 that float32 cannot hold is infinite, on every rank and without a warning."""

    def rank(communicator: Communicator) -> None:
        gradient = np.ones(50)
        gradient[7] = 1e300 if communicator.rank else 1.0
        assert np.isnan(sparse_allreduce(gradient, 0.1, communicator)).all()

    on_ranks(2, rank)


def test_sums_beyond_float16() -> None:
    def rank(communicator: Communicator) -> None:
        gradient = np.zeros(50, np.float16)
        gradient[[3, 9]] = 60000, -60000
        out = sparse_allreduce(gradient, 0.1, communicator, average=False)
        assert out[3] == np.inf and out[9] == -np.inf
        assert np.count_nonzero(out) == 2

    on_ranks(2, rank)


def test_many_tensors_on_one_communicator() -> None:
    """Calls with different sizes and densities take turns; each keeps to its own model."""
    sizes = (1000, 10, 333)
    densities = (0.01, 0.5, 0.1)

    def gradient(rank: int, step: int, which: int) -> np.ndarray:
        return exact_values(np.random.default_rng([rank, step, which]), sizes[which])

    def rank(communicator: Communicator) -> list[list[bytes]]:
        residuals = [np.zeros(numel, np.float32) for numel in sizes]
        return [
            [
                sparse_allreduce(
                    gradient(communicator.rank, step, which),
                    densities[which],
                    communicator,
                    residuals[which],
                ).tobytes()
                for which in range(3)
            ]
            for step in range(4)
        ]

    results = on_ranks(3, rank)
    for which in range(3):
        kept = [np.zeros(sizes[which], np.float32)] * 3
        for step in range(4):
            accs = [kept[r] + gradient(r, step, which) for r in range(3)]
            k = max(1, round(sizes[which] * densities[which]))
            expected, kept = oktopk(accs, k, 1 / 3)
            for each in results:
                assert each[step][which] == expected.tobytes()
