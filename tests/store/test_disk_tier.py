"""The disk tier on a good day: what was put is found by the next process, within its budget."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import msgpack
import numpy as np
import pytest
import torch

from flowmm.sockets import Image, Text
from flowmm.store import index as indexes
from flowmm.store.codec import encode
from flowmm.store.disk import DiskTier
from flowmm.store.keys import digest


def key(name: object) -> bytes:
    return digest(name)


@pytest.fixture
def tier(tmp_path):
    problems: list[str] = []
    tier = DiskTier(tmp_path / "cache", on_problem=problems.append)
    tier.problems = problems
    yield tier
    tier.close()


SMALL = (Text(("a", "b")), 5, None, np.arange(4))
LARGE = (Image(np.zeros((1, 3, 200, 300), "uint8")), torch.ones(100_000), {"seed": 1})


@pytest.mark.parametrize("outputs", [SMALL, LARGE, ()], ids=["small", "large", "empty"])
def test_what_was_put_is_found_at_once_after_a_flush_and_in_a_new_tier(tier, tmp_path, outputs):
    assert tier.put(key(1), outputs, 1.0, "a.b", {})
    assert digest(tier.get(key(1))) == digest(outputs)
    tier.flush()
    assert tier.contains(key(1)) and digest(tier.get(key(1))) == digest(outputs)
    tier.close()
    other = DiskTier(tmp_path / "cache")
    assert other.contains(key(1)) and digest(other.get(key(1))) == digest(outputs)
    assert digest(tuple(part.decode() for part in other.get_encoded(key(1)))) == digest(outputs)
    other.close()
    assert not tier.problems


def test_what_is_encoded_already_is_taken_as_it_is(tier):
    assert tier.put(key(1), [encode(5), encode("a")], 1.0, "a.b", {})
    tier.flush()
    assert tier.get(key(1)) == (5, "a")
    assert tier.put(key(2), tier.get_encoded(key(1)), 1.0, "a.b", {})
    tier.flush()
    assert tier.get(key(2)) == (5, "a")


def test_nothing_is_made_on_disk_before_the_first_write(tmp_path):
    tier = DiskTier(tmp_path / "cache")
    assert tier.get(key(1)) is None and not tier.contains(key(1))
    assert tier.stats()["entries"] == 0 and tier.ls(5) == [] and tier.similar("a.b") == []
    assert tier.verify().checked == 0 and tier.prune(0).evicted == 0
    tier.close()
    assert not (tmp_path / "cache").exists()


def test_small_entries_have_no_file_and_large_ones_one_each(tier):
    tier.put(key(1), SMALL, 1.0, "a.b", {})
    tier.put(key(2), LARGE, 1.0, "a.b", {})
    assert tier.stats()["files"] == 1
    files = [path for path in (tier.folder / "objects").rglob("*") if path.is_file()]
    assert [path.name for path in files] == [key(2).hex()]


def test_arrays_in_a_file_are_mapped_and_aligned(tier):
    tier.put(key(1), ("x", np.arange(50_000, dtype="f8"), torch.ones(50_000)), 1.0, "a.b", {})
    tier.flush()
    _, array, tensor = tier.get(key(1))
    assert array.ctypes.data % 64 == 0 and tensor.data_ptr() % 64 == 0
    array += 1  # copy on write: the entry stays
    assert tier.get(key(1))[1][0] == 0


def test_a_put_replaces_what_was_there(tier):
    for outputs in (SMALL, LARGE, SMALL, (1,), LARGE):
        tier.put(key(1), outputs, 1.0, "a.b", {})
        tier.flush()
        assert digest(tier.get(key(1))) == digest(outputs)
    assert tier.stats()["entries"] == 1


def test_what_cannot_be_stored_is_refused_without_a_word(tier):
    assert not tier.put(key(1), (object(),), 1.0, "a.b", {})
    assert not tier.problems and not tier.folder.exists()


def test_an_odd_recipe_or_time_does_not_cost_the_entry(tier):
    for name, (seconds, recipe) in enumerate([(float("nan"), {}), (-1.0, {}), (float("inf"), {"x": 2**80}), (0.0, {"x": object()})]):
        assert tier.put(key(name), (name,), seconds, "a.b", recipe)
    tier.flush()
    assert [tier.get(key(name)) for name in range(4)] == [(0,), (1,), (2,), (3,)]


def test_similar_finds_the_newest_entries_of_an_operation_with_their_recipes(tier):
    for i in range(5):
        tier.put(key(i), (i,), 0.5, "a.b", {"inputs": {"steps": i}})
        tier.flush()
    tier.put(key("other"), (9,), 0.5, "c.d", {})
    rows = tier.similar("a.b", 3)
    assert [row.recipe["inputs"]["steps"] for row in rows] == [4, 3, 2]
    assert rows[0].key == key(4) and rows[0].seconds == 0.5 and rows[0].bytes > 0
    assert abs(rows[0].created - time.time()) < 60
    assert [row.op for row in tier.ls(2)] == ["c.d", "a.b"]


def test_stats_tell_the_seconds_saved(tier):
    tier.put(key(1), SMALL, 2.5, "a.b", {})
    tier.flush()
    for _ in range(4):
        tier.get(key(1))
    stats = tier.stats()
    assert stats["seconds_saved"] == pytest.approx(10.0)
    assert stats["entries"] == 1 and stats["damaged"] == stats["dropped"] == 0


# The budget


def test_over_budget_the_cheapest_per_byte_leave_first_and_no_more_than_needed(tmp_path):
    tier = DiskTier(tmp_path, budget=1_000_000)
    for i in range(10):
        seconds = 0.01 if i % 2 else 10.0
        tier.put(key(i), (np.full(100_000, i, "u1"),), seconds, "a.b", {})
    tier.flush()
    kept = [i for i in range(10) if tier.contains(key(i))]
    assert len(kept) == 9 and [i for i in range(0, 10, 2) if i not in kept] == []
    for i in range(10, 14):
        tier.put(key(i), (np.full(100_000, i, "u1"),), 10.0, "a.b", {})
    tier.flush()
    assert [i for i in range(14) if tier.contains(key(i))] == [0, 2, 4, 6, 8, 10, 11, 12, 13]
    assert tier.stats()["bytes"] <= 1_000_000
    assert sum(path.is_file() for path in (tier.folder / "objects").rglob("*")) == 9
    tier.close()


def test_a_large_entry_must_have_saved_more_than_a_small_one_to_stay(tmp_path):
    tier = DiskTier(tmp_path, budget=600_000)
    tier.put(key("large"), (np.zeros(500_000, "u1"),), 1.0, "a.b", {})
    for i in range(30):
        tier.put(key(i), (np.zeros(10_000, "u1"),), 1.0, "a.b", {})
    tier.flush()
    assert not tier.contains(key("large")) and all(tier.contains(key(i)) for i in range(30))
    tier.close()


def test_what_was_not_used_for_long_is_worth_less(monkeypatch):
    now = 1e9
    fresh = indexes.rank(1.0, 1000, now)
    assert fresh > indexes.rank(1.0, 1000, now - 86400)
    assert fresh > indexes.rank(2.0, 1000, now - 30 * 86400)
    assert fresh < indexes.rank(2.0, 1000, now - 3600)


def test_reading_an_entry_makes_it_worth_keeping(tmp_path, monkeypatch):
    past = time.time() - 30 * 86400
    tier = DiskTier(tmp_path, budget=450_000)
    with monkeypatch.context() as patch:
        patch.setattr(indexes.time, "time", lambda: past)
        for i in range(4):
            tier.put(key(i), (np.full(100_000, i, "u1"),), 1.0, "a.b", {})
        tier.flush()
    assert tier.get(key(0)) is not None
    tier.flush()
    for i in range(4, 7):
        tier.put(key(i), (np.full(100_000, i, "u1"),), 1.0, "a.b", {})
    tier.flush()
    assert [i for i in range(7) if tier.contains(key(i))] == [0, 4, 5, 6]
    tier.close()


def test_what_is_larger_than_the_budget_is_refused(tmp_path):
    tier = DiskTier(tmp_path, budget=1000)
    assert not tier.put(key(1), (np.zeros(2000),), 1.0, "a.b", {})


def test_prune_leaves_at_most_what_was_asked_and_gives_the_space_back(tier):
    for i in range(200):
        tier.put(key(i), (np.random.default_rng(i).bytes(20_000),), 1.0 + i, "a.b", {})
    tier.put(key("large"), LARGE, 0.001, "a.b", {})
    tier.flush()
    before = sum(path.stat().st_size for path in tier.folder.rglob("*") if path.is_file())
    report = tier.prune(1_000_000)
    after = sum(path.stat().st_size for path in tier.folder.rglob("*") if path.is_file())
    stats = tier.stats()
    assert report.evicted == 201 - stats["entries"] and report.bytes > 3_000_000
    assert 900_000 < stats["bytes"] <= 1_000_000 and stats["files"] == 0
    assert after < before - 3_000_000
    assert tier.contains(key(199)) and not tier.contains(key(0))


def test_closing_refuses_later_puts_and_misses_later_gets(tier):
    tier.put(key(1), (1,), 1.0, "a.b", {})
    tier.close()
    tier.close()
    assert not tier.put(key(2), (1,), 1.0, "a.b", {})
    assert tier.get(key(1)) is None
    tier.flush()


def test_a_thousand_puts_and_gets_from_several_threads_agree(tier):
    import threading

    wrong = []

    def work(thread: int) -> None:
        for i in range(100):
            name = (thread + i) % 50
            found = tier.get(key(name))
            if found is not None and found != (name, "x" * name):
                wrong.append(found)
            tier.put(key(name), (name, "x" * name), 0.1, "a.b", {})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tier.flush()
    assert not wrong and tier.stats()["entries"] == 50 and not tier.problems


def test_the_recipe_lies_beside_the_entry_as_plain_msgpack(tier):
    tier.put(key(1), (1,), 1.0, "a.b", {"inputs": [1, 2.5, "a", None, True]})
    assert tier.similar("a.b")[0].recipe == {"inputs": [1, 2.5, "a", None, True]}
    assert msgpack.unpackb(msgpack.packb({"a": 1})) == {"a": 1}


WRITER = """
import sys
from pathlib import Path
import numpy as np
from flowmm.store.disk import DiskTier
from flowmm.store.keys import digest
folder, offset, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
problems = []
tier = DiskTier(folder, on_problem=problems.append)
for i in range(rounds):
    name = (i * 7 + offset) % 60
    size = 30 if name % 3 else 30_000
    found = tier.get(digest(name))
    assert found is None or (found[0] == name and (found[1] == name).all()), name
    tier.put(digest(name), (name, np.full(size, name)), 0.1, "a.b", {"writer": offset})
    if i % 20 == 0:
        tier.flush()
tier.close()
assert not problems and not tier.stats()["dropped"], problems
"""


def test_several_processes_write_and_read_one_folder_at_once(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n * 20), "150"], stderr=subprocess.PIPE, text=True)
        for n in range(3)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors
    tier = DiskTier(tmp_path)
    report = tier.verify()
    assert (report.checked, report.damaged, report.orphans) == (60, 0, 0)
    assert tier.stats()["bytes"] == sum(row.bytes for row in tier.ls(100))
    tier.close()


def test_a_first_read_in_a_new_process_needs_neither_numpy_nor_torch(tier):
    tier.put(key(1), (Text(("a",)), 5), 1.0, "a.b", {})
    tier.flush()
    code = (
        "import sys; from pathlib import Path; from flowmm.store.disk import DiskTier\n"
        f"assert DiskTier(Path({str(tier.folder.parent)!r})).get({key(1)!r})[1] == 5\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
