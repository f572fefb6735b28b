"""scripts/check_spills.py: what ptxas says of a kernel that spills must fail, and of others not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "scripts" / "check_spills.py"

FINE = """ptxas info    : Compiling entry function '_Z4fineIfEvPKT_m' for 'sm_90'
ptxas info    : Function properties for _Z4fineIfEvPKT_m
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 20 registers, used 1 barriers, 128 bytes smem
"""
SPILLS = """ptxas info    : Compiling entry function '_Z6spillsPfm' for 'sm_90'
ptxas info    : Function properties for _Z6spillsPfm
    0 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 64 registers, used 0 barriers
"""
FRAME = SPILLS.replace("0 bytes stack frame, 12", "16 bytes stack frame, 0").replace("8 b", "0 b")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True)


def compile_like_nvcc(folder: Path, name: str, says: str) -> subprocess.CompletedProcess[str]:
    """Run a compiler that writes its object file and says something, as CMake would start it."""
    program = "import pathlib, sys; pathlib.Path(sys.argv[2]).touch(); print(sys.argv[3], end='')"
    return run("--keep", sys.executable, "-c", program, "-o", str(folder / f"{name}.o"), says)


@pytest.mark.parametrize(
    ("says", "code", "numbers"),
    [(FINE, 0, "20     128      0      0"), (SPILLS, 1, "64       0     20      0  <--"),
     (FRAME, 1, "64       0      0     16  <--")],
    ids=["fine", "spills", "frame"],
)  # fmt: skip
def test_spills_fail(tmp_path: Path, says: str, code: int, numbers: str) -> None:
    done = compile_like_nvcc(tmp_path, "a", f"a warning\n{says}")
    assert (done.returncode, done.stdout) == (0, "a warning\n")
    compile_like_nvcc(tmp_path, "b", FINE)
    done = run(str(tmp_path))
    assert done.returncode == code
    assert any(line.endswith(numbers) for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[-1].startswith("# 2 kernels")


def test_what_is_no_longer_built_does_not_count(tmp_path: Path) -> None:
    compile_like_nvcc(tmp_path, "old", SPILLS)
    compile_like_nvcc(tmp_path, "new", FINE)
    (tmp_path / "old.o").unlink()
    assert run(str(tmp_path)).returncode == 0


def test_no_kernels_are_an_error(tmp_path: Path) -> None:
    done = run(str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")


def test_a_failing_compiler_fails(tmp_path: Path) -> None:
    done = run("--keep", sys.executable, "-c", "raise SystemExit(3)", "-o", str(tmp_path / "a.o"))
    assert done.returncode == 3
    assert not list(tmp_path.iterdir())
