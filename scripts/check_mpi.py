"""Check that mpirun, mpi4py and Horovod mean the same MPI library.

Usage: ``python check_mpi.py "$(mpirun --version | head -n 1)"``. Two MPI libraries in one process
end in hangs and crashes that are hard to trace back, so a mixture is refused here, where the reason
can be named.
"""

import re
import sys
from pathlib import Path


def loaded_mpi_libraries() -> set[str]:
    """Return the paths of the MPI libraries that this process has loaded (Linux)."""
    maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = {line.split(maxsplit=5)[5] for line in maps if len(line.split(maxsplit=5)) == 6}
    return {path for path in paths if re.search(r"/libmpi(ch)?\.so", path)}


def problem(launcher: str) -> str | None:
    """Return what is wrong with the installed MPI, or None."""
    import horovod.torch as hvd
    from mpi4py import MPI

    libraries = loaded_mpi_libraries()
    if len(libraries) != 1:
        return f"mpi4py and Horovod must load the same MPI library, they load {sorted(libraries)}"
    if not hvd.mpi_built():
        return "Horovod was built without MPI"
    numbers = re.search(r"\d+(\.\d+)+", launcher)
    if numbers and numbers.group() not in MPI.Get_library_version():
        library = MPI.Get_library_version().splitlines()[0]
        return f"mpirun says '{launcher}', but mpi4py and Horovod load '{library}'"
    if MPI.Query_thread() != MPI.THREAD_MULTIPLE:
        return "MPI_THREAD_MULTIPLE is needed, and this MPI does not provide it"
    print(f"gradwire: {launcher}: one library, {libraries.pop()}", file=sys.stderr)
    return None


if __name__ == "__main__":
    found = problem(sys.argv[1])
    if found:
        advice = "check LD_LIBRARY_PATH, or remove the environment's folder and run this again"
        sys.exit(f"gradwire: error: {found}\ngradwire: {advice}")
