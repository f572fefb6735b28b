"""What imports what: layers in one direction, and nothing but NumPy at first."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gradwire

PACKAGE = Path(gradwire.__file__).parent
# module or package -> what it may import of gradwire, besides itself and errors
KERNELS = {"_cpu", "kernels"}
STAGED = {*KERNELS, "staging"}
DATA = {*STAGED, "values", "payload"}
WIRE = {*DATA, "index_codecs", "wire"}
EXCHANGE = {*WIRE, "compressors", "residual", "result", "communicators", "schedules"}
ADAPTER = {*EXCHANGE, "exchange", "buckets", "arrays", "recent"}
ALLOWED = {
    "errors": set(),
    "recent": set(),
    "_version": set(),
    "kernels": {"_cpu"},
    "staging": KERNELS,
    "values": STAGED,
    "index_codecs": KERNELS,
    "payload": {*STAGED, "values"},
    "wire": {*DATA, "index_codecs"},
    "arrays": {*STAGED, "payload"},
    "residual": DATA,
    "result": DATA,
    "compressors": DATA,
    "communicators": set(),
    "cost": {*WIRE, "communicators", "residual"},
    "schedules": {*WIRE, "communicators", "recent", "cost"},
    "exchange": EXCHANGE,
    "buckets": {*DATA, "exchange", "residual"},
    "functional": ADAPTER,
    "seam": {*ADAPTER, "functional"},
    "horovod": {*ADAPTER, "seam"},
}
HEAVY = ("torch", "mpi4py", "horovod", "greenlet", "cupy", "matplotlib")


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_layers(path: Path) -> set[str]:
    """Return the layers of gradwire that a file imports, wherever in it."""
    package = ["gradwire", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            modules = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for module in modules:
            parts = module.split(".")
            if parts[0] == "gradwire" and len(parts) > 1:
                found.add(parts[1])
    known = {layer_of(each) for each in PACKAGE.rglob("*.py")} | {"_cpu"}
    return found & known


@pytest.mark.parametrize("layer", ALLOWED)
def test_layers_import_downwards(layer: str) -> None:
    files = [path for path in PACKAGE.rglob("*.py") if layer_of(path) == layer]
    assert files, f"no files in {layer}"
    for path in files:
        more = imported_layers(path) - ALLOWED[layer] - {layer, "errors"}
        assert not more, f"{path.relative_to(PACKAGE)} must not import {sorted(more)}"


def test_layers_are_recognised() -> None:
    assert imported_layers(PACKAGE / "exchange.py") >= {"compressors", "schedules", "errors"}
    assert "kernels" in imported_layers(PACKAGE / "compressors" / "topk.py")


def test_no_layer_is_unknown() -> None:
    """A new module gets a line in ALLOWED, or is one of those on top of everything."""
    on_top = {"__init__", "__main__", "testing", "info", "bench", "simulation"}
    assert {layer_of(path) for path in PACKAGE.rglob("*.py")} <= {*ALLOWED, *on_top}


def python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "module",
    ["gradwire", "gradwire.communicators", "gradwire.testing", "gradwire.testing.communicators"],
)
def test_importing_takes_numpy_only(module: str) -> None:
    """Neither what is optional nor what is slow to import."""
    loaded = python(f"import sys, {module}; print(*(m.split('.')[0] for m in sys.modules))")
    assert "numpy" in loaded.split()
    assert not set(HEAVY) & set(loaded.split())


def test_the_command_line_takes_what_the_command_needs() -> None:
    """No command pays for the benchmarks, which look at the machine and draw pictures."""
    loaded = python(
        """
import sys
from gradwire.__main__ import main
try:
    main(["--version"])
except SystemExit:
    print(*sys.modules)
"""
    ).split()
    assert "gradwire.bench.command" in loaded
    for part in ("environment", "report", "files", "runner", "method", "launched", "inputs"):
        assert f"gradwire.bench.{part}" not in loaded
    assert not {"subprocess", *HEAVY} & {*loaded}


@pytest.mark.parametrize(
    ("missing", "call", "words"),
    [
        (
            "mpi4py",
            "gradwire.sparse_allreduce(numpy.ones(5, 'float32'))",
            ("mpi4py", "not installed", "pip install"),
        ),
        (
            "greenlet",
            "gradwire.communicators.Simulation(2).run(print)",
            ("greenlet", "not installed", "pip install greenlet"),
        ),
        (
            "horovod",
            "gradwire.communicators.HorovodCommunicator()",
            ("horovod", "not installed"),
        ),
    ],
)
def test_what_is_missing_is_named(missing: str, call: str, words: tuple[str, ...]) -> None:
    text = python(
        f"""
import sys
sys.modules[{missing!r}] = None  # as if it were not installed
import numpy, gradwire, gradwire.communicators
try:
    {call}
except gradwire.errors.MissingDependencyError as error:
    print(error)
"""
    )
    for word in words:
        assert word.lower() in text.lower()
