"""The memory tier: the outputs of nodes by key, least recently used first out, bounded by bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from .codec import FIXED_SIZES, nbytes


class _Missing:
    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Any = _Missing()

ENTRY_BYTES = 200  # of key, tuple and bookkeeping: so that a million small results are counted too
SMALL_BYTES = 4096  # a value at least this large is counted once, however many entries pass it through


class MemoryTier:
    """Entries are tuples, a node's outputs in order. Safe to use from several threads; every operation is O(1).

    A large value that several entries share, as pass-through nodes do, is counted once.
    """

    def __init__(self, budget: int) -> None:
        """budget: bytes of values kept, as codec.nbytes estimates them."""
        self.budget = budget
        self._entries: OrderedDict[bytes, tuple[tuple, int]] = OrderedDict()  # outputs, and bytes of their small part
        self._shared: dict[int, list[int]] = {}  # id of a large value → [entries that hold it, bytes]
        self._bytes = 0
        self._hits = self._misses = self._evicted = 0
        self._lock = threading.Lock()

    def get(self, key: bytes) -> tuple | Any:
        """The outputs, or MISSING; a hit becomes the most recently used entry."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                self._misses += 1
                return MISSING
            self._entries.move_to_end(key)
            self._hits += 1
            return entry[0]

    def put(self, key: bytes, outputs: tuple) -> None:
        """Keep the outputs, and drop the least recently used entries that no longer fit beside them.

        What is larger than the whole budget is not kept.
        """
        small, large = ENTRY_BYTES, None
        for value in outputs:
            size = FIXED_SIZES.get(type(value))
            if size is None:
                size = nbytes(value)
            if size < SMALL_BYTES:
                small += size
            else:
                large = [] if large is None else large
                large.append((id(value), size))
        with self._lock:
            if key in self._entries:
                self._drop(key)
            if large is not None:
                if small + sum(size for _, size in dict(large).items()) > self.budget:
                    return
                self._hold(large)
            elif small > self.budget:
                return
            self._entries[key] = (outputs, small)
            self._bytes += small
            while self._bytes > self.budget:
                self._drop(next(iter(self._entries)))
                self._evicted += 1

    def clear(self) -> None:
        """Forget every entry; the counters stay."""
        with self._lock:
            self._entries.clear()
            self._shared.clear()
            self._bytes = 0

    def stats(self) -> dict[str, int]:
        """entries, bytes and budget now; hits, misses and evicted since the start."""
        with self._lock:
            return {
                "entries": len(self._entries), "bytes": self._bytes, "budget": self.budget,
                "hits": self._hits, "misses": self._misses, "evicted": self._evicted,
            }  # fmt: skip

    def _hold(self, large: list[tuple[int, int]]) -> None:
        for identity, size in large:
            shared = self._shared.get(identity)
            if shared is None:
                self._shared[identity] = [1, size]
                self._bytes += size
            else:
                shared[0] += 1

    def _drop(self, key: bytes) -> None:
        outputs, small = self._entries.pop(key)
        self._bytes -= small
        if not self._shared:
            return
        for value in outputs:
            shared = self._shared.get(id(value))
            if shared is not None:
                shared[0] -= 1
                if not shared[0]:
                    del self._shared[id(value)]
                    self._bytes -= shared[1]
