"""Check that gradwire._cuda loads where there is no GPU, and brings its own CUDA runtime.

Usage: ``python check_cuda_module.py FOLDER``, the folder that the module was built in.
"""

import importlib
import subprocess
import sys
from pathlib import Path

# Linked with either, a wheel would be one for a single version of it.
FOREIGN = ("libcudart", "libtorch", "libc10")


def problem(folder: Path) -> str | None:
    """Return what is wrong with the module, or None."""
    found = [path for path in folder.glob("_cuda.*.so")]
    if len(found) != 1:
        return f"one _cuda.*.so was expected in {folder}, found {len(found)}"
    linked = subprocess.run(["ldd", found[0]], capture_output=True, text=True, check=True).stdout
    if foreign := [name for name in FOREIGN if name in linked]:
        return f"the module is linked with {', '.join(foreign)}"
    sys.path.insert(0, str(folder))
    module = importlib.import_module("_cuda")
    print(f"{module.compiler}, for {module.architectures}; {len(module.devices())} devices")
    print(f"{found[0].stat().st_size / 2**20:.1f} MiB, {len(dir(module))} names")
    return None


if __name__ == "__main__":
    if found := problem(Path(sys.argv[1])):
        sys.exit(f"check_cuda_module.py: {found}")
