"""Every registered compressor keeps the contract, and those of other packages are found."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradwire.compressors import Compressor
from gradwire.testing import check_compressor
from gradwire.testing.conformance import CHECKS

ROOT = Path(__file__).parents[2]

PLUGIN = """
from dataclasses import dataclass
from typing import ClassVar
from gradwire.compressors import NoCompression

@dataclass(frozen=True)
class Halved(NoCompression):
    strength: int = 1
    id: ClassVar[str] = "halved"
    examples: ClassVar = ({"strength": 1}, {"strength": 2})
"""


@pytest.mark.parametrize("check", CHECKS)
def test_conformance(compressor: Compressor, check: str) -> None:
    CHECKS[check](compressor)


def test_announced_compressor_is_tested_without_editing_a_test(tmp_path: Path) -> None:
    """A package with an entry point is on the list of cases, as the registry finds it."""
    (tmp_path / "plugin_module.py").write_text(PLUGIN)
    information = tmp_path / "plugin-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[gradwire.compressors]\nhalved = plugin_module:Halved\n"
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", "-k", "halved"]
    done = subprocess.run(
        [*command, f"{__file__}::test_conformance"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{2 * len(CHECKS)} passed" in done.stdout
    assert "halved(strength=2)-wire] PASSED" in done.stdout


def test_example_in_the_documentation_conforms(tmp_path: Path, monkeypatch: Any) -> None:
    page = (ROOT / "docs" / "adding-a-compressor.md").read_text(encoding="utf-8")
    module = page.split("```python\n")[1].split("```")[0]
    (tmp_path / "documented_methods.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    documented = importlib.import_module("documented_methods").LargestSign
    for config in documented.examples:
        check_compressor(documented(**config))
