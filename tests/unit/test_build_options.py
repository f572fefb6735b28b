"""What the build says to wrong values of its options."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = (
    "CUDAARCHS", "TORCH_CUDA_ARCH_LIST", "GRADWIRE_WITH_CUDA",
    "CUDACXX", "CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT",
)  # fmt: skip
COMPILER = os.environ.get("CXX", "c++").split()[0]

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(
        shutil.which("cmake") is None or shutil.which(COMPILER) is None,
        reason="needs CMake and a C++ compiler",
    ),
]
needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc")


def configure(folder: Path, variables: dict[str, str]) -> tuple[bool, str]:
    """Return whether CMake took the environment, and what it said, in one line."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(
        ["cmake", "-S", str(ROOT), "-B", str(folder), "-DGRADWIRE_BUILD_TESTS=OFF"],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode == 0, " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("variables", "good", "words"),
    [
        ({"GRADWIRE_WITH_CUDA": "maybe"}, False, "must be AUTO, 1 (ON) or 0 (OFF), got MAYBE"),
        ({"GRADWIRE_WITH_CUDA": "0"}, True, "gradwire: CUDA is switched off"),
        ({"GRADWIRE_WITH_CUDA": "auto", "CUDACXX": "/no"}, True, "building the CPU kernels only"),
        ({"GRADWIRE_WITH_CUDA": "1", "CUDACXX": "/no"}, False, "none that works was found: put"),
    ],
)
def test_the_cuda_switch(variables: dict[str, str], good: bool, words: str, tmp_path: Path) -> None:
    took, said = configure(tmp_path, variables)
    assert took == good, said
    assert words in said


@needs_nvcc
@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CUDAARCHS": "9.0"}, "CUDAARCHS has '9.0', which must be like 90"),
        ({"CUDAARCHS": "80 90"}, "CUDAARCHS has '80 90'"),
        ({"CUDAARCHS": "80;rubbish"}, "CUDAARCHS has 'rubbish'"),
        ({"TORCH_CUDA_ARCH_LIST": "Hopper"}, "TORCH_CUDA_ARCH_LIST has 'Hopper'"),
    ],
)
def test_architectures_that_are_none(variables: dict[str, str], words: str, tmp_path: Path) -> None:
    took, said = configure(tmp_path, variables)
    assert not took
    assert words in said


@needs_nvcc
@pytest.mark.parametrize(
    ("variables", "architectures"),
    [
        ({"CUDAARCHS": "80;90-real"}, "80;90-real"),
        ({"TORCH_CUDA_ARCH_LIST": "8.0 9.0+PTX"}, "80-real;90"),
    ],
)
def test_architectures(variables: dict[str, str], architectures: str, tmp_path: Path) -> None:
    """Also where an earlier run found no compiler."""
    assert configure(tmp_path, {"CUDACXX": "/no"})[0]
    took, said = configure(tmp_path, variables)
    assert took, said
    assert f"gradwire: CUDA kernels for {architectures}, with" in said


@needs_nvcc
def test_a_build_folder_forgets_what_the_environment_said(tmp_path: Path) -> None:
    """A compiler that does not work, and an architecture that no compiler has known for long."""
    broken = tmp_path / "toolkit" / "bin" / "nvcc"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    folder = tmp_path / "build"
    took, said = configure(folder, {"CUDA_HOME": str(broken.parents[1])})
    assert took and "no CUDA compiler that works was found" in said
    assert not configure(folder, {"CUDAARCHS": "10"})[0]
    took, said = configure(folder, {"CUDAARCHS": "90"})
    assert took, said
    assert "gradwire: CUDA kernels for 90, with" in said
