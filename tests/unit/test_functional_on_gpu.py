"""``sparse_allreduce`` of arrays in a GPU's memory: the host's bits, and only entries cross."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from exchange_model import oktopk
from fake_device import Library, fake_library
from gpu_libraries import FAKE, LIBRARIES, library_named
from interrupted import Broke, Interrupted
from kernel_inputs import assert_same_bits

from gradwire import OwnedResidual, OwnedResult, sparse_allreduce
from gradwire.communicators import Communicator, Simulation
from gradwire.errors import AgreementError, ConfigError, GradwireError
from gradwire.staging import place, put
from gradwire.testing import SHAPES

SHAPE = (6, 5, 10)
NUMEL = 300


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    return library_named(request.param, monkeypatch)


@pytest.fixture(params=FAKE)
def without_kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Library:
    return fake_library(request.param, monkeypatch, kernels=False)


def values_of(rank: int, step: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    generator = np.random.default_rng([rank, step])
    return SHAPES["layered_laplace"](generator, int(np.prod(shape))).reshape(shape)


# How the arguments of one rank are made of its gradient: residual and out of a call.
Memories = Callable[[Callable[[np.ndarray], Any], Any], tuple[Any, Callable[[Any], Any]]]


def borrowed(send: Callable[[np.ndarray], Any], like: Any) -> tuple[Any, Callable[[Any], Any]]:
    return send(np.zeros(SHAPE, np.float32)), lambda gradient: None


def owned(send: Callable[[np.ndarray], Any], like: Any) -> tuple[Any, Callable[[Any], Any]]:
    return OwnedResidual(NUMEL, like), lambda gradient: None


def in_place(send: Callable[[np.ndarray], Any], like: Any) -> tuple[Any, Callable[[Any], Any]]:
    return OwnedResidual(NUMEL, like), lambda gradient: gradient


def in_place_borrowed(send: Callable[[np.ndarray], Any], like: Any) -> Any:
    return send(np.zeros(SHAPE, np.float32)), lambda gradient: gradient


def all_owned(send: Callable[[np.ndarray], Any], like: Any) -> tuple[Any, Callable[[Any], Any]]:
    result = OwnedResult(NUMEL, like)
    return OwnedResidual(NUMEL, like), lambda gradient: result


def nothing_kept(send: Callable[[np.ndarray], Any], like: Any) -> tuple[Any, Callable[[Any], Any]]:
    return None, lambda gradient: None


def given_out(send: Callable[[np.ndarray], Any], like: Any) -> tuple[Any, Callable[[Any], Any]]:
    out = send(np.full(SHAPE, 7, np.float32))
    return send(np.zeros(SHAPE, np.float32)), lambda gradient: out


MEMORIES = [borrowed, owned, in_place, in_place_borrowed, all_owned, nothing_kept, given_out]


def steps_of(
    communicator: Communicator,
    send: Callable[..., Any],
    look: Callable[[Any], np.ndarray],
    memories: Memories,
    steps: int,
    bad: float | None = None,
    **options: Any,
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return gradient, result and residual after each step of one rank."""
    residual, out_of = memories(send, send(np.zeros(1, np.float32)))
    seen = []
    for step in range(steps):
        values = values_of(communicator.rank, step)
        if bad is not None and step == 1 and communicator.rank == communicator.size - 1:
            values[3, 2, 1] = bad
        gradient = send(values)
        out = out_of(gradient)
        got = sparse_allreduce(gradient, comm=communicator, residual=residual, out=out, **options)
        assert out is None or isinstance(out, OwnedResult) or got is out
        assert got.shape == SHAPE and type(got) is type(gradient) and got.dtype == gradient.dtype
        kept = residual.values if isinstance(residual, OwnedResidual) else residual
        left = np.zeros(0) if kept is None else look(kept).reshape(-1)
        seen.append((look(gradient), look(got), left))
    return seen


def on_host(values: np.ndarray, dtype: str = "float32") -> np.ndarray:
    return values.astype(dtype)


def same_as_on_the_host(
    library: Library, size: int, memories: Memories, steps: int = 4, **options: Any
) -> None:
    def both(send: Callable[..., Any], look: Callable[[Any], np.ndarray]) -> list[Any]:
        return Simulation(size, 3).run(
            lambda communicator: steps_of(communicator, send, look, memories, steps, **options)
        )

    expected, got = both(on_host, np.copy), both(library.send, library.look)
    for own_expected, own in zip(expected, got, strict=True):
        for before, after in zip(own_expected, own, strict=True):
            for one, other in zip(before, after, strict=True):
                assert_same_bits(other, one)


@pytest.mark.parametrize("values", ["float32", "bf16", "int8"])
@pytest.mark.parametrize("memories", MEMORIES)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_bits_are_the_hosts(library: Library, size: int, memories: Memories, values: str) -> None:
    same_as_on_the_host(library, size, memories, density=0.1, values=values)


@pytest.mark.parametrize("memories", MEMORIES)
@pytest.mark.parametrize("size", [1, 3])
def test_dense_calls(library: Library, size: int, memories: Memories) -> None:
    same_as_on_the_host(library, size, memories, density=1.0)


@pytest.mark.parametrize("density", [0.1, 1.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("memories", MEMORIES)
def test_non_finite_leaves_the_residual(
    library: Library, memories: Memories, bad: float, density: float
) -> None:
    same_as_on_the_host(library, 2, memories, bad=bad, density=density)


@pytest.mark.parametrize("with_residual", [False, True])
@pytest.mark.parametrize("density", [0.05, 1.0])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_dtypes(library: Library, dtype: str, density: float, with_residual: bool) -> None:
    """Computed in float32 and rounded once to what came in; 16 bits are read as they are."""
    if dtype not in library.dtypes:
        pytest.skip("CuPy has none")
    inputs = [library.look(library.send(values_of(rank), dtype)) for rank in range(3)]
    k = max(1, round(NUMEL * density))
    accs = [values.astype(np.float32).reshape(-1) for values in inputs]
    reduced, residuals = oktopk(accs, k, 1 / 3)
    expected = library.look(library.send(reduced.reshape(SHAPE), dtype))

    def rank(communicator: Communicator) -> None:
        gradient = library.send(values_of(communicator.rank), dtype)
        residual = library.send(np.zeros(SHAPE, np.float32)) if with_residual else None
        out = sparse_allreduce(gradient, density, communicator, residual)
        assert out.dtype == gradient.dtype
        assert_same_bits(library.look(out), expected)
        assert_same_bits(library.look(gradient), inputs[communicator.rank])
        if residual is not None:
            assert_same_bits(library.look(residual).reshape(-1), residuals[communicator.rank])

    Simulation(3).run(rank)


@pytest.mark.parametrize("shape", [(0,), (3, 0, 2), (), (1,), (1, 1)])
@pytest.mark.parametrize("size", [1, 3])
def test_tiny_shapes(library: Library, shape: tuple[int, ...], size: int) -> None:
    def rank(communicator: Communicator) -> None:
        gradient = library.send(np.full(shape, communicator.rank + 1, np.float32))
        residual = library.send(np.zeros(shape, np.float32))
        owned_result = OwnedResult(int(np.prod(shape)), gradient)
        for out in (None, library.send(np.empty(shape, np.float32)), owned_result):
            result = sparse_allreduce(gradient, 0.5, communicator, residual, out)
            assert result.shape == shape
            assert np.all(library.look(result) == np.float32((size + 1) / 2))
            assert not library.look(residual).any()

    Simulation(size).run(rank)


@pytest.mark.parametrize("values", ["float32", "bf16"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
@pytest.mark.parametrize("kind", ["borrowed", "owned", "all owned", "none"])
def test_only_entries_cross(library: Library, kind: str, dtype: str, values: str) -> None:
    """8 bytes of each selected entry down; entries of the result and of corrections up."""
    numel, density, size, calls = 1 << 16, 1 / 256, 2, 3
    k = int(numel * density)

    def rank(communicator: Communicator) -> None:
        gradient = library.send(values_of(communicator.rank, 0, (numel,)), dtype)
        residual = {
            "borrowed": library.send(np.zeros(numel, np.float32)),
            "none": None,
        }.get(kind, OwnedResidual(numel, gradient))
        out = OwnedResult(numel, gradient) if kind == "all owned" else None
        for _ in range(calls):
            sparse_allreduce(gradient, density, communicator, residual, out, values=values)

    with library.counting() as traffic:
        Simulation(size).run(rank)
    entries = k * size * calls
    assert traffic.to_host == 8 * entries
    # The result; delivered indices; what rounding took away of entries sent and of sums owned.
    most = 8 + (0 if kind == "none" else 4 + (0 if values == "float32" else 16))
    assert 8 * entries <= traffic.to_device <= most * entries


def test_dense_values_cross_once(library: Library) -> None:
    """Values down, the result up; not the residual, which stays where it is."""

    def rank(communicator: Communicator) -> None:
        gradient = library.send(values_of(0, 0, (5000,)))
        with library.counting() as traffic:
            sparse_allreduce(gradient, 1.0, communicator, OwnedResidual(5000, gradient))
        assert (traffic.to_host, traffic.to_device) == (4 * 5000, 4 * 5000)

    Simulation(1).run(rank)


@pytest.mark.parametrize("memories", [borrowed, owned, in_place, in_place_borrowed, given_out])
@pytest.mark.parametrize("values", ["float32", "int8"])
def test_failure_at_any_call_changes_nothing(
    library: Library, memories: Memories, values: str
) -> None:
    def rank(communicator: Communicator, culprit: int, at: int, after: bool) -> bool:
        wrapped = Interrupted(communicator, culprit, at, after)
        residual, out_of = memories(library.send, library.send(np.zeros(1, np.float32)))
        kept = residual.values if isinstance(residual, OwnedResidual) else residual
        put(kept.reshape(-1), values_of(communicator.rank, 9, (NUMEL,)))
        gradient = library.send(values_of(communicator.rank))
        before = library.look(gradient), library.look(kept)
        try:
            sparse_allreduce(gradient, 0.1, wrapped, residual, out_of(gradient), values=values)
        except (Broke, GradwireError):
            now = residual.values if isinstance(residual, OwnedResidual) else residual
            assert now is kept
            assert_same_bits(library.look(gradient), before[0])
            assert_same_bits(library.look(kept), before[1])
            return False
        return wrapped.calls <= at

    for at in range(20):
        done: list[bool] = []
        for culprit in range(2):
            for after in (False, True):
                done += Simulation(2, seed=at).run(rank, culprit, at, after)
        if all(done):
            assert at >= 5
            return
    raise AssertionError("an exchange of more than 20 calls")


def test_memory_on_the_host_works_as_ever(library: Library) -> None:
    """A residual on the host takes the exchange there; a result may be anywhere."""
    accs = [values_of(rank).reshape(-1) for rank in range(2)]
    expected, residuals = oktopk(accs, 30, 0.5)

    def rank(communicator: Communicator) -> None:
        gradient = library.send(values_of(communicator.rank))
        zeros = np.zeros(SHAPE, np.float32)
        for residual in (zeros.copy(), OwnedResidual(NUMEL), library.send(zeros), None):
            out = sparse_allreduce(gradient, 0.1, communicator, residual)
            assert type(out) is type(gradient)
            assert_same_bits(library.look(out).reshape(-1), expected)
            if isinstance(residual, np.ndarray):
                assert_same_bits(residual.reshape(-1), residuals[communicator.rank])
        outs = (np.empty(SHAPE, np.float32), np.empty(SHAPE), OwnedResult(NUMEL))
        for target in outs:
            residual = OwnedResidual(NUMEL, gradient)
            got = sparse_allreduce(gradient, 0.1, communicator, residual, target)
            assert_same_bits(got.astype(np.float32).reshape(-1), expected)
            assert_same_bits(library.look(residual.values), residuals[communicator.rank])
        for target in (library.send(zeros), library.send(zeros, "float64")):
            sparse_allreduce(values_of(communicator.rank), 0.1, communicator, None, target)
            got = library.look(target).astype(np.float32)
            assert_same_bits(got.reshape(-1), expected)

    Simulation(2).run(rank)


@pytest.mark.parametrize("density", [0.1, 1.0])
def test_without_kernels_tensors_are_staged_whole(without_kernels: Library, density: float) -> None:
    library = without_kernels
    accs = [values_of(rank).reshape(-1) for rank in range(2)]
    expected, residuals = oktopk(accs, round(NUMEL * density), 0.5)

    def rank(communicator: Communicator) -> None:
        gradient = library.send(values_of(communicator.rank))
        made = OwnedResidual(NUMEL, gradient)
        assert isinstance(made.values, np.ndarray)
        for residual in (None, np.zeros(SHAPE, np.float32), made):
            for out in (None, OwnedResult(NUMEL, gradient)):
                if residual is not None:
                    (residual if residual is not made else made.values).fill(0)
                got = sparse_allreduce(gradient, density, communicator, residual, out)
                got = got if isinstance(got, np.ndarray) else library.look(got)
                assert_same_bits(got.reshape(-1), expected)
        assert_same_bits(made.values, residuals[communicator.rank])
        with pytest.raises(ConfigError, match="in host memory or, where gradwire has CUDA kernels"):
            sparse_allreduce(gradient, density, communicator, library.send(np.zeros(SHAPE)))

    Simulation(2).run(rank)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"residual": "float64"}, "residual must be float32, contiguous"),
        ({"residual": "the gradient"}, "residual and gradient must not share memory"),
        ({"residual": "good", "out": "residual"}, "residual and out must not share memory"),
        ({"residual": "owned", "out": "residual"}, "residual and out must not share memory"),
        ({"gradient": "host", "residual": "good"}, "residual must be float32, contiguous .* GPU"),
        ({"gradient": "host", "residual": "owned"}, "be where the gradient is, on the host, got"),
        ({"gradient": "integers"}, "gradient must be"),
        ({"out": "flat"}, "out must be shaped like gradient"),
        ({"out": "integers"}, "out must be"),
    ],
)
def test_wrong_arguments(library: Library, arguments: dict[str, str], complaint: str) -> None:
    """Refused with a clear error; nothing has changed, and the ranks stay in step."""
    gradient, good = library.send(values_of(0)), library.send(np.zeros(SHAPE, np.float32))
    residual = OwnedResidual(NUMEL, gradient)
    known = {
        "float64": library.send(np.zeros(SHAPE), "float64"),
        "the gradient": gradient,
        "good": good,
        "owned": residual,
        "host": values_of(0),
        "integers": library.send(np.zeros(SHAPE), "int32"),
        "flat": library.send(np.zeros(NUMEL, np.float32)),
    }
    known["residual"] = good if arguments.get("residual") == "good" else residual.acc
    if arguments.get("out") == "residual" and arguments["residual"] == "owned":
        known["residual"] = residual.acc.reshape(SHAPE)
    wrong = {name: known[value] for name, value in arguments.items()}

    def rank(communicator: Communicator) -> None:
        mine = communicator.rank == 1
        with pytest.raises(ConfigError if mine else AgreementError, match=complaint):
            everything = {"gradient": gradient, "comm": communicator, **(wrong if mine else {})}
            sparse_allreduce(**everything)
        assert_same_bits(library.look(gradient), values_of(0))
        assert not library.look(good).any() and not library.look(residual.values).any()
        out = sparse_allreduce(gradient, 1.0, communicator)
        assert_same_bits(library.look(out), values_of(0))

    Simulation(2).run(rank)


def test_strided_gradients(library: Library) -> None:
    """Results do not depend on strides, of the gradient or of out."""
    expected = oktopk([values_of(0).reshape(-1)], 30, 1.0)[0].reshape(SHAPE)

    def rank(communicator: Communicator) -> None:
        memory = library.send(np.repeat(values_of(0).reshape(-1), 2))
        target = library.send(np.zeros(2 * NUMEL, np.float32))[::2]
        residual = OwnedResidual(NUMEL, memory)
        got = sparse_allreduce(memory[::2], 0.1, communicator, residual, target)
        assert got is target
        assert_same_bits(library.look(got), expected.reshape(-1))

    Simulation(1).run(rank)


def test_other_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result on another GPU than gradient and residual gets its entries there."""
    library = fake_library("cupy", monkeypatch)
    expected = oktopk([values_of(0).reshape(-1)], 30, 1.0)[0]

    def rank(communicator: Communicator) -> None:
        gradient, out, other = (library.send(values_of(0)) for _ in range(3))
        for each in (gradient, out):
            each.device.id = 1
        residual = OwnedResidual(NUMEL, gradient)
        assert place(residual.values) == 1
        for target in (None, out, other):
            got = sparse_allreduce(gradient, 0.1, communicator, None, target)
            assert_same_bits(library.look(got).reshape(-1), expected)
            assert place(got) == (0 if target is other else 1)
        with pytest.raises(ConfigError, match=r"on the gradient's GPU, got .* on GPU 0"):
            sparse_allreduce(gradient, 0.1, communicator, library.send(np.zeros(SHAPE)))
        with pytest.raises(ConfigError, match="the gradient is, on GPU 1, got one on GPU 0"):
            sparse_allreduce(gradient, 0.1, communicator, OwnedResidual(NUMEL, other))

    Simulation(1).run(rank)
