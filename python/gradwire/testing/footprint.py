"""How much memory this process holds, for tests of what must not grow."""

from __future__ import annotations

import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

_MEMORY = Path("/proc/self/statm")


@dataclass(frozen=True)
class Footprint:
    """What is in use.

    Attributes:
        blocks: of Python's allocator: every object is one or more, NumPy arrays among them.
        resident_bytes: of all memory, native code's too; 0 where the system does not tell.
    """

    blocks: int
    resident_bytes: int

    @classmethod
    def now(cls) -> Footprint:
        """Return the footprint once garbage is gone."""
        gc.collect()
        blocks = sys.getallocatedblocks()
        if not _MEMORY.exists():
            return cls(blocks, 0)
        pages = int(_MEMORY.read_text(encoding="ascii").split()[1])
        return cls(blocks, pages * os.sysconf("SC_PAGE_SIZE"))

    def check_growth(self, since: Footprint, blocks: int, resident_bytes: int) -> None:
        """Check that no more than so much has come since an earlier footprint.

        Raises:
            AssertionError: says how much it is.
        """
        more = self.blocks - since.blocks, self.resident_bytes - since.resident_bytes
        if more[0] > blocks or more[1] > resident_bytes:
            raise AssertionError(
                f"memory grew by {more[0]} blocks and {more[1]} B, allowed are {blocks} blocks and "
                f"{resident_bytes} B"
            )
