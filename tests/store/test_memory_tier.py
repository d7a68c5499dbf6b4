"""The memory tier keeps what was used last, within its bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmm.store.memory import ENTRY_BYTES, MISSING, MemoryTier


def megabyte() -> tuple:
    return (np.zeros(2**20, "u1"),)


def test_what_was_put_comes_back_as_the_same_object():
    tier = MemoryTier(1000)
    outputs = (1, "a")
    tier.put(b"k", outputs)
    assert tier.get(b"k") is outputs
    assert tier.get(b"other") is MISSING
    assert not MISSING and repr(MISSING) == "MISSING"


def test_an_empty_tuple_and_none_are_hits():
    tier = MemoryTier(1000)
    tier.put(b"a", ())
    tier.put(b"b", (None,))
    assert tier.get(b"a") == () and tier.get(b"b") == (None,)


def test_the_least_recently_used_entry_leaves_first():
    tier = MemoryTier(3 * 2**20 + 10_000)
    for name in (b"a", b"b", b"c"):
        tier.put(name, megabyte())
    tier.get(b"a")
    tier.put(b"d", megabyte())
    assert [name for name in (b"a", b"b", b"c", b"d") if tier.get(name) is MISSING] == [b"b"]
    assert tier.stats()["evicted"] == 1


def test_what_is_larger_than_the_budget_is_not_kept_and_evicts_nobody():
    tier = MemoryTier(2**20)
    tier.put(b"small", (1,))
    tier.put(b"large", (np.zeros(2**21, "u1"),))
    assert tier.get(b"large") is MISSING and tier.get(b"small") == (1,)


def test_a_large_value_that_many_nodes_pass_through_is_counted_once():
    tier = MemoryTier(2**21)
    outputs = megabyte()
    for i in range(1000):
        tier.put(b"%d" % i, outputs)
    assert tier.stats()["entries"] == 1000
    assert tier.stats()["bytes"] < 2**20 + 1000 * ENTRY_BYTES + 1000


def test_replacing_and_clearing_leave_no_bytes_behind():
    tier = MemoryTier(2**24)
    for _ in range(3):
        tier.put(b"k", (*megabyte(), *megabyte()))
    tier.put(b"k", (1,))
    assert tier.stats()["bytes"] < 1000
    tier.put(b"l", megabyte())
    tier.clear()
    assert tier.stats()["bytes"] == tier.stats()["entries"] == 0
    assert tier.get(b"l") is MISSING


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 30_000)), max_size=60))
def test_it_agrees_with_a_plain_model_of_least_recent_use(steps):
    budget = 60_000
    tier, model = MemoryTier(budget), OrderedDict()
    for is_put, name, size in steps:
        key = b"%d" % name
        if is_put:
            tier.put(key, (bytes(size),))
            model.pop(key, None)
            cost = size + 56 + ENTRY_BYTES
            if cost <= budget:
                model[key] = cost
                while sum(model.values()) > budget:
                    model.popitem(last=False)
        else:
            assert (tier.get(key) is not MISSING) == (key in model)
            if key in model:
                model.move_to_end(key)
        # bytes objects of one length may be one object, which is counted once; the model then counts more
        assert tier.stats()["bytes"] <= budget
        assert tier.stats()["entries"] == len(model)


def test_many_threads_keep_the_books_straight():
    tier = MemoryTier(500_000)
    shared = [(np.zeros(50_000, "u1"),) for _ in range(20)]
    wrong = []

    def work(seed: int) -> None:
        order = np.random.default_rng(seed).integers(0, 20, 3000)
        for i in order:
            key = b"%d" % i
            found = tier.get(key)
            if found is MISSING:
                tier.put(key, shared[i])
            elif found is not shared[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = tier.stats()
    assert not wrong
    assert stats["hits"] + stats["misses"] == 18_000
    assert stats["entries"] <= 9
    assert stats["bytes"] == stats["entries"] * (50_000 + 64 + ENTRY_BYTES)
