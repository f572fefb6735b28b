"""The methods of ``bench allreduce``: one table, a line for each schedule, choice by name."""

from __future__ import annotations

import sys

import pytest

from gradwire.__main__ import main
from gradwire.bench.collectives import table
from gradwire.bench.collectives.methods import BASELINE, METHODS
from gradwire.bench.collectives.runner import Plan
from gradwire.bench.method import absent, matching_methods
from gradwire.bench.own import OWN, own_methods
from gradwire.errors import ConfigError
from gradwire.schedules import SCHEDULES, Dense, OkTopk


def test_names_are_distinct_and_the_baseline_comes_first() -> None:
    assert len({method.name for method in METHODS}) == len(METHODS)
    assert METHODS[0] is BASELINE
    assert not any(" " in method.name for method in METHODS)


def test_every_schedule_has_a_line() -> None:
    assert {method.name.partition("/")[0] for method in METHODS} >= {*SCHEDULES}
    assert [method.name for method in METHODS if not method.peer][1:] == [m.name for m in OWN]


def test_a_schedule_that_the_table_does_not_name_has_a_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NewDense(Dense):
        """A schedule of whole gradients."""

    monkeypatch.setitem(SCHEDULES, "new", OkTopk)
    monkeypatch.setitem(SCHEDULES, "new_dense", NewDense)
    found = {method.name: method for method in own_methods()}
    assert found.keys() - {method.name for method in OWN} == {"new/topk", "new_dense/none"}
    assert found["new/topk"].sparse
    assert not found["new_dense/none"].sparse


def test_names_fit_into_the_tables() -> None:
    assert max(len(method.name) for method in METHODS) <= table.NAME_WIDTH


def test_chosen_methods_follow_the_baseline() -> None:
    chosen = matching_methods("bench", METHODS, ["*/topk", "dense/none"], [BASELINE])
    assert [method.name for method in chosen] == [
        "dense/mpi",
        "dense/none",
        "oktopk/topk",
        "allgather/topk",
        "topkdsa/topk",
        "gtopk/topk",
        "hierarchical/topk",
        "auto/topk",
        "torch/topk",
    ]


def test_sparse_methods_have_a_line_for_each_density() -> None:
    chosen = matching_methods("bench", METHODS, ["oktopk/topk"], [BASELINE])
    lines = Plan(chosen, [0.01, 0.1], 1, 1).lines
    assert [(method.name, density) for method, density in lines] == [
        ("dense/mpi", None),
        ("oktopk/topk", 0.01),
        ("oktopk/topk", 0.1),
    ]


def test_methods_are_prepared_without_torch_in_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing and choosing works where torch and mpi4py are not installed."""
    for name in ("torch", "mpi4py"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main(["bench", "allreduce", "--list"]) == 0
    with pytest.raises(ConfigError, match="no method matches"):
        matching_methods("bench", METHODS, ["nothing"], [BASELINE])


def test_what_is_absent_is_found_without_importing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "this", raising=False)
    assert absent(["json", "torch", "this", "no_such_module"]) == ["torch", "no_such_module"]
    assert "this" not in sys.modules
