#!/usr/bin/env python3
"""Show what every CUDA kernel takes of a processor; fail where one spills registers to memory.

What ptxas says about a source is kept beside its object file, so that a build that had nothing to
do can be checked too. CMake calls this program for that, as the compiler's launcher:

    cmake "-DCMAKE_CUDA_COMPILER_LAUNCHER=python;$PWD/scripts/check_spills.py;--keep" \\
      -DCMAKE_CUDA_FLAGS=-Xptxas=-v ...

Usage: scripts/check_spills.py FOLDER           table of all kernels there; exit code 1: spills
       scripts/check_spills.py --keep COMMAND   run nvcc and keep what it says in OBJECT.ptxas
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".ptxas"
LONGEST_NAME = 72

_KERNEL = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_OF_PTXAS = re.compile(r"ptxas info|    \d+ bytes stack frame")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass
class Kernel:
    """What ptxas says about one kernel for one architecture; bytes, but for the registers."""

    name: str
    architecture: str
    registers: int = 0
    shared: int = 0
    spilled: int = 0
    stack: int = 0

    @property
    def at_fault(self) -> bool:
        """Whether it keeps values in memory that belong into registers."""
        return self.stack > 0 or self.spilled > 0


def keep(command: list[str]) -> int:
    """Run a compiler; keep what it says beside the object file, and show what is not ptxas's."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    shown = (line for line in done.stdout.splitlines(True) if not _OF_PTXAS.match(line))
    sys.stdout.write("".join(shown))
    if done.returncode == 0 and "-o" in command:
        path = Path(command[command.index("-o") + 1])
        path.with_name(path.name + SUFFIX).write_text(done.stdout, encoding="utf-8")
    return done.returncode


def read_kernels(text: str) -> list[Kernel]:
    """Return the kernels that ``ptxas -v`` tells of."""
    kernels: list[Kernel] = []
    for line in text.splitlines():
        if found := _KERNEL.search(line):
            kernels.append(Kernel(found[1], found[2]))
        elif kernels and (found := _FRAME.search(line)):
            # Also those of functions that were not inlined into the kernel.
            kernels[-1].stack += int(found[1])
            kernels[-1].spilled += int(found[2]) + int(found[3])
        elif kernels and (found := _USED.search(line)):
            shared = _SHARED.search(line)
            kernels[-1].registers = int(found[1])
            kernels[-1].shared = int(shared[1]) if shared else 0
    return kernels


def readable(names: list[str]) -> list[str]:
    """Return names as C++ has them, without what all have in common; needs c++filt."""
    if not names or shutil.which("c++filt") is None:
        return names
    text = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    ).stdout
    return [_shortened(name) for name in text.splitlines()]


def _shortened(name: str) -> str:
    for long, short in (
        ("(anonymous namespace)::", ""), ("gradwire::cuda::", ""), ("gradwire::", ""),
        ("unsigned char", "u8"), ("unsigned short", "u16"), ("unsigned int", "u32"),
        ("unsigned long", "u64"),
    ):  # fmt: skip
        name = name.replace(long, short)
    name = name.removeprefix("void ")
    depth = 0
    for place, letter in enumerate(name):  # parameters begin at the bracket outside of all <>
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            name = name[:place]
            break
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def table(kernels: list[Kernel]) -> list[str]:
    """Return the table's lines; the last one is the verdict."""
    width = max(len(each.name) for each in kernels)
    columns = f"{'for':>7} {'registers':>9} {'shared':>7} {'spill':>6} {'stack':>6}"
    lines = [f"# {'kernel':<{width - 2}} {columns}"]
    lines += [
        f"{each.name:<{width}} {each.architecture:>7} {each.registers:>9} {each.shared:>7} "
        f"{each.spilled:>6} {each.stack:>6}{'  <--' if each.at_fault else ''}"
        for each in sorted(kernels, key=lambda each: (each.name, each.architecture))
    ]
    faults = sum(each.at_fault for each in kernels)
    most = max(each.registers for each in kernels)
    return [
        *lines,
        f"# {len(kernels)} kernels, at most {most} registers; {faults} with spills or stack frames",
    ]


def check(folder: Path) -> int:
    """Print the table of a build folder; return the exit code."""
    kernels = []
    for path in sorted(folder.rglob("*" + SUFFIX)):
        if path.with_name(path.name.removesuffix(SUFFIX)).exists():  # the object is still there
            kernels += read_kernels(path.read_text(encoding="utf-8"))
    if not kernels:
        print(f"check_spills.py: no kernels were built in {folder}: see --help", file=sys.stderr)
        return 2
    for kernel, name in zip(kernels, readable([each.name for each in kernels]), strict=True):
        kernel.name = name
    print("\n".join(table(kernels)))
    return 1 if any(each.at_fault for each in kernels) else 0


def main(arguments: list[str]) -> int:
    """Do what the command line says."""
    if arguments[:1] == ["--keep"]:
        return keep(arguments[1:])
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print((__doc__ or "").strip())
        return 0 if arguments in (["-h"], ["--help"]) else 2
    return check(Path(arguments[0]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
