"""Builds the Python package; CMakeLists.txt builds the native module (see pyproject.toml)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Return the version literal of python/gradwire/_version.py without importing gradwire."""
    text = (ROOT / "python" / "gradwire" / "_version.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"', text, flags=re.MULTILINE)
    if match is None:
        raise RuntimeError("setup.py: python/gradwire/_version.py has no __version__ literal")
    return match.group(1)


setup(
    version=read_version(),
    package_dir={"": "python"},
    packages=find_packages("python"),
    package_data={"gradwire": ["py.typed", "*.pyi"]},
    zip_safe=False,
    cmake_source_dir=".",
)
