"""What a process keeps so as not to compute it again, up to a number of bytes.

Only what was computed is kept, never the right to use it: whoever looks something up says under which content it
was computed, and reads that content from its source every time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

__all__ = ["Kept"]

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Values by key, the least recently used dropped first; safe to use from several threads.

    Args:
        limit: bytes that all values may take together, as those who put them in count them. A value that alone
            takes more is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes held now."""
        return self._bytes

    def get(self, key: Key) -> Value | None:
        """What was put in last under that key, if it is still held."""
        with self._lock:
            found = self._held.get(key)
            if found is None:
                return None
            self._held.move_to_end(key)
            return found[0]

    def put(self, key: Key, value: Value, size: int) -> None:
        """Hold a value of ``size`` bytes, in the place of an earlier one of that key."""
        with self._lock:
            self._drop(key)
            if size > self._limit:
                return
            self._held[key] = (value, size)
            self._bytes += size
            while self._bytes > self._limit:
                self._drop(next(iter(self._held)))

    def clear(self) -> None:
        """Hold nothing."""
        with self._lock:
            self._held.clear()
            self._bytes = 0

    def _drop(self, key: Key) -> None:
        found = self._held.pop(key, None)
        if found is not None:
            self._bytes -= found[1]
