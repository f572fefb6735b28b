"""Memory for what is kept for every size that comes along, of which there may be any number."""

from __future__ import annotations

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")

# More than the buckets of a large model.
MAX_RECENT = 1024


class Recent(dict[Key, Value]):
    """A dictionary of the MAX_RECENT values that were set last; older ones are forgotten."""

    def __setitem__(self, key: Key, value: Value) -> None:
        """Set a value and forget the one that was set the longest ago, if there are too many."""
        self.pop(key, None)
        if len(self) >= MAX_RECENT:
            del self[next(iter(self))]
        super().__setitem__(key, value)
