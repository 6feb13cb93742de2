"""Writing what a report consists of, with an error that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evalkit.errors import ConfigError

__all__ = ["write_all"]


def write_all(contents: Mapping[Path, bytes]) -> list[Path]:
    """Write files, making their folders, and return their paths in order.

    Raises:
        ConfigError: one cannot be written.
    """
    for path, content in contents.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise ConfigError(
                f"{path.name} cannot be written ({error.strerror})",
                where=str(path.parent),
                way_out="choose another folder",
            ) from None
    return list(contents)
