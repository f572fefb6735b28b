"""gradwire.kernels.queued: the bits of gradwire.kernels, and nothing waits for a GPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kernel_inputs import FLAVOURS, assert_same_bits, assert_same_selection, subset, vector
from quantizer_inputs import guarded, inputs

from gradwire import kernels
from gradwire.errors import ConfigError
from gradwire.kernels import Selected, queued

pytestmark = pytest.mark.usefixtures("each_queue")

SIZES = (0, 1, 33, 1025, 4097, 9001)
FORMS = ("plain", "compensated", "momentum", "nesterov")
UNTOUCHED = 77


class Outputs:
    """Where a queued selection writes, in memory around which nothing may change."""

    def __init__(self, capacity: int, workspace: int) -> None:
        self.indices, indices = guarded(capacity, "uint32")
        self.values, values = guarded(capacity, "float32", 1)
        self.found, found = guarded(3, "uint64", 2)
        self.workspace, work = guarded(workspace, "uint8", 1)  # at an odd address
        self._untouched = (indices, values, found, work)

    def selected(self) -> Selected:
        """Return what was selected; the memory is anything after that."""
        written, found, threshold = queued.read_found(self.found.copy())
        result = Selected(
            self.indices[:written].copy(), self.values[:written].copy(), found, threshold
        )
        assert all(untouched() for untouched in self._untouched)
        return result


class Case:
    """One form of selection, by the kernels that wait and by the queued ones."""

    def __init__(self, form: str, size: int, flavour: str, dtype: str = "float32") -> None:
        self.form = form
        self.x = inputs(size, flavour, 3, dtype)[0]
        self.residual, self.momentum = vector(size, "gaussian", 4, 1), vector(size, "ties", 5)
        self.new = [np.zeros(size, np.float32) for _ in range(4)]

    def call(self, table: Any, name: str, number: Any, *outputs: Any, floor: Any = None) -> Any:
        acc, momentum = self.new[:2] if table is kernels else self.new[2:]
        floored = (number,) if name == "select" else (number, floor)
        if self.form == "plain":
            return getattr(table, name)(self.x, number, *outputs)
        if self.form == "compensated":
            return getattr(table, f"compensate_{name}")(
                self.x, self.residual, *floored, acc, *outputs
            )
        return getattr(table, f"momentum_{name}")(
            self.x, self.momentum, self.residual, 0.9, *floored, momentum, acc, *outputs,
            nesterov=self.form == "nesterov",
        )  # fmt: skip

    def select(self, number: float, memory: np.ndarray | None, capacity: int) -> None:
        out = Outputs(capacity, queued.select_workspace(len(self.x)))
        at = number if memory is None else memory
        self.call(queued, "select", at, out.indices, out.values, out.found, out.workspace)
        buffers = np.empty(capacity, np.uint32), np.empty(capacity, np.float32)
        self.compare(out, self.call(kernels, "select", number, *buffers))

    def topk(self, k: int, floor: float, memory: np.ndarray | None) -> None:
        n = len(self.x)
        out = Outputs(min(k, n), queued.topk_workspace(n, k))
        at = floor if memory is None else memory
        self.call(queued, "topk", k, out.indices, out.values, out.found, out.workspace, floor=at)
        self.compare(out, self.call(kernels, "topk", k, floor=floor))

    def compare(self, out: Outputs, expected: Selected) -> None:
        arrays = (np.asarray(each) for each in expected[:2])
        assert_same_selection(out.selected(), Selected(*arrays, *expected[2:]))
        assert_same_bits(self.new[2], self.new[0])
        assert_same_bits(self.new[3], self.new[1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", SIZES)
def test_selections_are_those_of_the_kernels(form: str, size: int) -> None:
    """The same arrays twice, with another number in memory: the results follow."""
    case, memory = Case(form, size, "gaussian"), np.zeros(1, np.float32)
    for number in (0.5, 2.5):
        memory[0] = number
        case.select(number, memory, capacity=size)
        case.select(number, None, capacity=100)
        case.topk(size // 50 + 1, number, memory)
    case.topk(0, 0.0, None)
    case.topk(size + 3, 0.0, None)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "float64"])
def test_selections_of_all_values_and_types(flavour: str, dtype: str) -> None:
    pytest.importorskip("torch")
    case = Case("plain", 4111, flavour, dtype)
    case.select(1.0, np.ones(1, np.float32), capacity=300)
    case.topk(40, 0.0, None)


def test_overflow_shows_in_what_was_found() -> None:
    x, out = vector(1025, "equal", 1), Outputs(7, queued.select_workspace(1025))
    queued.select(x, 1.0, out.indices, out.values, out.found, out.workspace)
    assert queued.read_found(out.found.copy()) == (7, 1025, 1.0)
    assert out.selected().indices.tolist() == [0, 1, 2, 3, 4, 5, 6]


def test_a_threshold_in_memory_counts_by_its_magnitude() -> None:
    x = np.array([0.5, -2.0, 3.0], np.float32)
    out = Outputs(3, queued.select_workspace(3))
    limit = np.array([-2.0], np.float32)
    queued.select(x, limit, out.indices, out.values, out.found, out.workspace)
    result = out.selected()
    assert (result.indices.tolist(), result.threshold) == ([1, 2], 2.0)


def test_the_found_threshold_can_be_the_next_floor() -> None:
    case, out = Case("compensated", 9001, "gaussian"), Outputs(90, queued.topk_workspace(9001, 90))
    floor = np.zeros(1, np.float32)
    outputs = (out.indices, out.values, out.found, out.workspace)
    expected = case.call(kernels, "topk", 90, floor=0.0)
    for _ in range(2):
        case.call(queued, "topk", 90, *outputs, floor=floor)
        floor[:] = out.found.view(np.float32)[4:5]
        assert_same_selection(out.selected(), expected)
    assert floor[0] == np.float32(expected.threshold)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("flavour", ["gaussian", "sparse", "special"])
def test_statistics_are_those_of_the_kernels(size: int, flavour: str) -> None:
    x = vector(size, flavour, 6, 1)
    out = np.full(1, UNTOUCHED, np.float32)
    queued.absmax(x, out)
    assert_same_bits(out, np.float32([kernels.absmax(x)]))
    for k in (1, size // 3 + 1, size + 1):
        work, untouched = guarded(queued.kth_magnitude_workspace(size), "uint8", 1)
        queued.kth_magnitude(x, k, out, work)
        assert_same_bits(out, np.float32([kernels.kth_magnitude(x, k)]))
        assert untouched()
    for order in (1, 2):
        work, untouched = guarded(queued.norm_workspace(size), "uint8", 1)
        sums = np.full(1, UNTOUCHED, np.float64)
        queued.norm(x, order, sums, work)
        np.testing.assert_array_equal(sums, kernels.norm(x, order))
        assert untouched()
    flag = np.full(1, UNTOUCHED, np.uint32)
    queued.finite_check(x, flag)
    assert flag[0] == kernels.finite_check(x)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_is_found(bad: float) -> None:
    x, flag = vector(5000, "gaussian", 1), np.full(1, UNTOUCHED, np.uint32)
    x[4990] = bad
    queued.finite_check(x, flag)
    assert flag[0] == 0


@pytest.mark.parametrize("size", [1, 33, 9001])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_entries_are_those_of_the_kernels(size: int, dtype: str) -> None:
    x = vector(size, "gaussian", 7).astype(dtype)
    indices = subset(size, size // 2 + 1, 8)
    values = vector(indices.size, "gaussian", 9).astype(dtype)
    for name in ("scatter", "scatter_add", "clear"):
        arguments = (indices,) if name == "clear" else (indices, values)
        mine, expected, status = x.copy(), x.copy(), np.full(1, UNTOUCHED, np.uint32)
        getattr(queued, name)(mine, *arguments, status)
        getattr(kernels, name)(expected, *arguments)
        assert_same_bits(mine, expected)
        assert status[0] == 0


@pytest.mark.parametrize(
    ("indices", "status"),
    [
        ([1, 5, 5, 9], queued.NOT_INCREASING),
        ([1, 5, 4, 9], queued.NOT_INCREASING),
        ([1, 5, 6, 10], queued.OUT_OF_RANGE),
        ([5, 1, 6, 10], queued.NOT_INCREASING | queued.OUT_OF_RANGE),
    ],
)
def test_bad_indices_show_in_the_status_and_write_nothing(indices: list[int], status: int) -> None:
    places, values = np.array(indices, np.uint32), np.ones(4, np.float32)
    for name in ("scatter", "scatter_add", "clear"):
        x, found = vector(10, "gaussian", 1), np.full(1, UNTOUCHED, np.uint32)
        before = x.copy()
        getattr(queued, name)(x, places, *(() if name == "clear" else (values,)), found)
        assert found[0] == status
        assert_same_bits(x, before)
    for codec in ("u32", "tile16", "bitmap", "rice", "elias_gamma", "elias_delta"):
        out, outcome = np.full(200, UNTOUCHED, np.uint8), np.zeros(2, np.uint64)
        queued.encode_indices(places, 0, 10, codec, out, outcome)
        assert outcome[1] != queued.NO_TROUBLE
        assert (out == UNTOUCHED).all()


@pytest.mark.parametrize("codec", ["u32", "tile16", "bitmap", "rice", "elias_gamma", "elias_delta"])
@pytest.mark.parametrize(("count", "length"), [(0, 10), (1, 1), (300, 70_000), (5000, 9001)])
def test_messages_are_those_of_the_kernels(codec: str, count: int, length: int) -> None:
    indices = subset(length, count, 3) + np.uint32(5)
    out = np.zeros(kernels.max_encoded_size(count, length, codec), np.uint8)
    work, untouched = guarded(queued.encode_indices_workspace(count, codec), "uint8", 1)
    outcome = np.zeros(2, np.uint64)
    queued.encode_indices(indices, 5, length, codec, out, outcome, work)
    assert outcome[1] == queued.NO_TROUBLE
    assert_same_bits(out[: int(outcome[0])], kernels.encode_indices(indices, 5, length, codec))
    assert untouched()


def arguments_of_topk(**changes: Any) -> list[Any]:
    x = vector(100, "gaussian", 1)
    given = {
        "gradient": x, "residual": x.copy(), "k": 3, "floor": 0.0, "out_acc": x.copy(),
        "out_indices": np.zeros(3, np.uint32), "out_values": np.zeros(3, np.float32),
        "out_found": np.zeros(3, np.uint64),
        "workspace": np.zeros(queued.topk_workspace(100, 3), np.uint8),
    }  # fmt: skip
    return [*{**given, **changes}.values()]


SHARED = np.zeros(6, np.float32)
REFUSED: dict[str, dict[str, Any]] = {
    "floor must be >= 0": {"floor": -1.0},
    "floor must be a number": {"floor": "1"},
    "floor must have dtype float32": {"floor": np.zeros(1)},
    "floor must have 1 elements, got 2": {"floor": np.zeros(2, np.float32)},
    "floor must have one dimension": {"floor": np.zeros((), np.float32)},
    "out_found must have dtype uint64": {"out_found": np.zeros(3, np.uint32)},
    "out_found must have at least 3 elements": {"out_found": np.zeros(2, np.uint64)},
    "out_found must be writable": {"out_found": np.frombuffer(bytes(24), np.uint64)},
    "out_indices must have at least 3": {"out_indices": np.zeros(2, np.uint32)},
    "workspace must have dtype uint8": {"workspace": np.zeros(9999, np.uint32)},
    "workspace must have at least": {"workspace": np.zeros(1000, np.uint8)},
    "floor and out_values must not overlap": {"floor": SHARED[:1], "out_values": SHARED[:3]},
    "floor and out_found must not overlap": {
        "floor": SHARED[4:5], "out_found": SHARED.view(np.uint64)
    },
}  # fmt: skip


@pytest.mark.parametrize(("message", "changes"), REFUSED.items(), ids=REFUSED)
def test_bad_arguments_are_refused_by_name(message: str, changes: dict[str, Any]) -> None:
    queued.compensate_topk(*arguments_of_topk())
    with pytest.raises(ConfigError, match=f"queued.compensate_topk: {message}"):
        queued.compensate_topk(*arguments_of_topk(**changes))


def test_a_workspace_one_byte_short_is_refused() -> None:
    short = np.zeros(queued.topk_workspace(100, 3) - 1, np.uint8)
    with pytest.raises(ConfigError, match="workspace must have at least"):
        queued.compensate_topk(*arguments_of_topk(workspace=short))


def test_results_of_other_types_are_refused() -> None:
    x, indices, wrong = np.ones(3, np.float32), np.zeros(1, np.uint32), np.zeros(1, np.int32)
    for call in (
        lambda: queued.clear(x, indices, wrong),
        lambda: queued.scatter(x, indices, x[:1].copy(), wrong),
        lambda: queued.absmax(x, wrong),
        lambda: queued.norm(x, 2, np.zeros(1, np.float32)),
        lambda: queued.kth_magnitude(x, 1, np.zeros(1, np.float64)),
        lambda: queued.finite_check(x, wrong),
        lambda: queued.encode_indices(indices, 0, 3, "u32", np.zeros(9, np.uint8), wrong),
    ):
        with pytest.raises(ConfigError, match="must have dtype"):
            call()
    with pytest.raises(ConfigError, match="read_found"):
        queued.read_found(wrong)
