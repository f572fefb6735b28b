"""Files that results are written to: refused before the work, not after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradwire.errors import ConfigError


def check_writable(who: str, *paths: Path | None) -> None:
    """Raise ConfigError if a file cannot be written; None stands for no file.

    Args:
        who: says it.
        paths: of the files, which are left as they are.
    """
    for path in filter(None, paths):
        try:
            new = not path.exists() and not path.is_symlink()
            with path.open("ab"):
                pass
            if new:
                path.unlink()
        except (OSError, ValueError) as error:  # ValueError: no path of a file
            raise cannot(who, "write", path, error) from None


def write_json(who: str, content: dict[str, Any], path: Path) -> None:
    """Write what JSON can hold, for people to read, too.

    Raises:
        ConfigError: the file cannot be written.
    """
    try:
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise cannot(who, "write", path, error) from None


def cannot(who: str, do: str, path: Path, error: OSError | ValueError) -> ConfigError:
    """Return the error for a file that cannot be read or written."""
    reason = error.strerror if isinstance(error, OSError) else error
    return ConfigError(f"{who}: cannot {do} {path}: {reason}")
