"""Tests here start jobs of their own; some of their files are what those jobs run."""

from gradwire.testing.parallel import pytest_exception_interact, pytest_sessionstart

__all__ = ["pytest_exception_interact", "pytest_sessionstart"]
