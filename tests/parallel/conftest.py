"""Tests here run on every rank of a job (`mpirun -np N python -m pytest tests/parallel`)."""

from gradwire.testing.parallel import pytest_exception_interact, pytest_sessionstart

__all__ = ["pytest_exception_interact", "pytest_sessionstart"]
