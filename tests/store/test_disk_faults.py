"""The disk tier on a bad day: killed, damaged, full, forbidden. Never a wrong value, never a crash, always a sentence."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from flowmm.store import objects, writer
from flowmm.store.codec import encode
from flowmm.store.disk import DiskTier
from flowmm.store.keys import digest


def key(name: object) -> bytes:
    return digest(name)


def outputs(name: int) -> tuple:
    """Small for most names, with a file of its own for every third."""
    return (name, np.full(100_000 if name % 3 == 0 else 100, name % 256, "u1"))


def right(name: int, found: tuple) -> bool:
    return found[0] == name and np.array_equal(found[1], outputs(name)[1])


def filled(folder, names=range(12)) -> DiskTier:
    tier = DiskTier(folder)
    for name in names:
        tier.put(key(name), outputs(name), 1.0, "a.b", {})
    tier.flush()
    return tier


def listening(folder) -> tuple[DiskTier, list[str]]:
    problems: list[str] = []
    return DiskTier(folder, on_problem=problems.append), problems


ENDLESS_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_disk_faults import key, outputs
from flowmm.store.disk import DiskTier
tier = DiskTier(Path(sys.argv[1]))
name = 0
while True:
    tier.put(key(name % 40), outputs(name % 40), 1.0, "a.b", {})
    if name % 4 == 3:
        tier.flush()
        print(name, flush=True)
    name += 1
"""


def test_killed_at_any_moment_every_entry_is_right_or_a_miss_and_what_was_flushed_is_there(tmp_path):
    dice = random.Random(7)
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", ENDLESS_WRITER, str(tmp_path), os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()  # it has begun
        time.sleep(dice.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split("\n")
        last = max((int(line) for line in rest if line.isdigit()), default=3)
        tier, problems = listening(tmp_path)
        for name in range(40):
            found = tier.get(key(name))
            assert found is None and name > last or right(name, found), name
        assert tier.verify().damaged == 0
        assert not problems
        tier.close()


@pytest.mark.parametrize("seed", range(12))
def test_a_file_cut_or_flipped_anywhere_is_a_miss_reported_and_replaced(tmp_path, seed):
    dice = random.Random(seed)
    filled(tmp_path).close()
    path = objects.name_of(tmp_path / "v1" / "objects", key(3))
    data = bytearray(path.read_bytes())
    if seed % 3 == 0:
        path.write_bytes(data[: dice.choice([0, 1, 47, 48, 100, len(data) - 1])])
    else:
        position = dice.randrange(150) if seed % 3 == 1 else dice.randrange(len(data))
        data[position] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
    tier, problems = listening(tmp_path)
    assert tier.get(key(3)) is None
    assert len(problems) == 1 and "`a.b` was damaged" in problems[0]
    tier.flush()
    assert not tier.contains(key(3)) and not path.exists()
    tier.put(key(3), outputs(3), 1.0, "a.b", {})
    tier.flush()
    assert right(3, tier.get(key(3)))
    assert tier.stats()["damaged"] == 1 and len(problems) == 1
    tier.close()


def test_a_blob_changed_in_the_index_is_a_miss_and_replaced(tmp_path):
    filled(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "v1" / "index.sqlite")
    (blob,) = connection.execute("SELECT data FROM entry WHERE key = ?", (key(1),)).fetchone()
    for column, value in [("data", blob[:-1]), ("data", bytes(5)), ("data", "text"), ("data", 10**12), ("data", blob[:60] + b"x" + blob[61:])]:
        with connection:
            connection.execute(f"UPDATE entry SET {column} = ? WHERE key = ?", (value, key(1)))
        tier, problems = listening(tmp_path)
        assert tier.get(key(1)) is None and len(problems) == 1
        tier.put(key(1), outputs(1), 1.0, "a.b", {})
        tier.flush()
        assert right(1, tier.get(key(1)))
        tier.close()
    connection.close()


def test_an_entry_under_another_entrys_name_is_damage(tmp_path):
    filled(tmp_path).close()
    folder = tmp_path / "v1" / "objects"
    shutil.copy(objects.name_of(folder, key(3)), objects.name_of(folder, key(6)))
    tier, problems = listening(tmp_path)
    assert tier.get(key(6)) is None and "another key" in problems[0]
    assert right(3, tier.get(key(3)))
    tier.close()


@pytest.mark.parametrize("seed", range(20))
def test_an_index_flipped_anywhere_never_gives_a_wrong_value_nor_fails(tmp_path, seed):
    dice = random.Random(seed)
    filled(tmp_path).close()
    path = tmp_path / "v1" / "index.sqlite"
    data = bytearray(path.read_bytes())
    for _ in range(dice.choice([1, 20, 400])):
        data[dice.randrange(200 if seed % 5 == 0 else len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data[: dice.randrange(len(data))] if seed % 7 == 3 else data)
    tier, problems = listening(tmp_path)
    for _ in range(2):
        for name in range(12):
            tier.contains(key(name))
            found = tier.get(key(name))
            assert found is None or right(name, found)
            tier.put(key(name), outputs(name), 1.0, "a.b", {})
        tier.flush()
    tier.verify()
    tier.ls(10), tier.stats(), tier.similar("a.b")
    tier.put(key("after"), (1,), 1.0, "a.b", {})
    tier.flush()
    assert tier.get(key("after")) == (1,) or problems
    tier.close()


@pytest.mark.parametrize("content", [b"this is no database at all, but a text of some length\n" * 50, None], ids=["text", "alien"])
def test_a_file_that_is_no_cache_of_ours_is_moved_aside_and_a_fresh_one_begun(tmp_path, content):
    path = tmp_path / "v1" / "index.sqlite"
    path.parent.mkdir(parents=True)
    if content is None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE precious (x)")
        connection.close()
    else:
        path.write_bytes(content)
    original = path.read_bytes()
    tier, problems = listening(tmp_path)
    assert tier.get(key(1)) is None
    tier.put(key(1), outputs(1), 1.0, "a.b", {})
    tier.flush()
    assert right(1, tier.get(key(1)))
    assert len(problems) == 1 and "new one was begun" in problems[0]
    (aside,) = path.parent.glob("index.sqlite.damaged-*")
    assert aside.read_bytes() == original
    tier.close()


def test_an_empty_file_in_the_indexs_place_is_filled(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "index.sqlite").touch()
    tier, problems = listening(tmp_path)
    assert tier.get(key(1)) is None
    tier.put(key(1), (1,), 1.0, "a.b", {})
    tier.flush()
    assert tier.get(key(1)) == (1,) and not problems
    tier.close()


def test_a_folder_removed_while_in_use_is_made_again(tmp_path):
    tier, problems = listening(tmp_path / "cache")
    tier.put(key(1), (1,), 1.0, "a.b", {})
    tier.flush()
    assert tier.get(key(1)) == (1,)
    shutil.rmtree(tmp_path / "cache")
    assert tier.get(key(1)) is None and not tier.contains(key(1))
    for _ in range(2):
        tier.put(key(2), outputs(2), 1.0, "a.b", {})
        tier.put(key(3), outputs(3), 1.0, "a.b", {})
        tier.flush()
    assert right(2, tier.get(key(2))) and right(3, tier.get(key(3)))
    assert not problems
    tier.close()


def test_a_folder_that_cannot_be_made_costs_the_results_and_not_the_run(tmp_path):
    (tmp_path / "file").write_text("")
    tier, problems = listening(tmp_path / "file" / "cache")
    for name in range(5):
        tier.put(key(name), outputs(name), 1.0, "a.b", {})
        tier.flush()
    assert tier.get(key(1)) is None
    assert len(problems) == 1 and "the run goes on" in problems[0] and "not a directory" in problems[0]
    assert tier.stats()["dropped"] == 5
    tier.close()


def test_a_full_disk_drops_large_results_with_one_sentence_and_leaves_no_scraps(tmp_path, monkeypatch):
    tier, problems = listening(tmp_path)
    real = os.replace

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(objects.os, "replace", full)
    for name in (0, 1, 3):
        tier.put(key(name), outputs(name), 1.0, "a.b", {})
    tier.flush()
    assert len(problems) == 1 and "no space left on device" in problems[0]
    assert tier.get(key(0)) is None and right(1, tier.get(key(1)))
    assert tier.stats()["dropped"] == 2
    assert not [path for path in (tier.folder / "objects").rglob("*") if path.is_file()]
    monkeypatch.setattr(objects.os, "replace", real)
    tier.put(key(0), outputs(0), 1.0, "a.b", {})
    tier.flush()
    assert right(0, tier.get(key(0)))
    tier.close()


LIMITED = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_disk_faults import key, outputs, right, listening
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
tier, problems = listening(Path(sys.argv[1]))
for name in range(400):
    tier.put(key(name), (name, bytes(2000)) if name % 3 else outputs(name), 1.0, "a.b", {})
    if name % 20 == 0:
        tier.flush()
tier.flush()
found = sum(tier.get(key(name)) is not None for name in range(400))
assert 0 < found < 400, found
assert tier.stats()["dropped"] > 0 and len(problems) == 1, problems
tier.close()
"""


def test_when_files_may_not_grow_the_run_goes_on_and_the_cache_stays_sound(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), os.path.dirname(__file__)], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    tier, problems = listening(tmp_path)
    assert tier.verify().damaged == 0 and not problems
    tier.put(key("after"), (1,), 1.0, "a.b", {})
    tier.flush()
    assert tier.get(key("after")) == (1,)
    tier.close()


@pytest.mark.skipif(not hasattr(os, "seteuid") or os.geteuid() != 0, reason="only root can become a user without rights")
def test_a_folder_that_may_only_be_read_still_gives_hits():
    folder = f"/tmp/flowmm-readonly-{os.getpid()}"
    try:
        os.makedirs(folder, 0o755)
        filled(folder, range(4)).close()
        os.seteuid(65534)
        tier, problems = listening(folder)
        assert all(right(name, tier.get(key(name))) for name in range(4))
        assert not problems
        tier.put(key(9), outputs(9), 1.0, "a.b", {})
        tier.flush()
        assert len(problems) == 1 and "the run goes on" in problems[0]
        tier.close()
    finally:
        os.seteuid(0)
        shutil.rmtree(folder)


def test_a_listener_that_fails_does_not_stop_the_writer(tmp_path):
    def fail(sentence: str) -> None:
        raise RuntimeError(sentence)

    (tmp_path / "file").write_text("")
    tier = DiskTier(tmp_path / "file" / "cache", on_problem=fail)
    for name in range(3):
        tier.put(key(name), (name,), 1.0, "a.b", {})
    tier.flush()
    assert tier.stats()["dropped"] == 3
    tier.close()


def test_verify_removes_what_is_damaged_and_what_nobody_points_to(tmp_path):
    tier = filled(tmp_path)
    folder = tier.folder / "objects"
    long_ago = time.time() - 2 * writer.STALE
    scrap = objects.name_of(folder, key("x")).with_suffix(".1-1.tmp")
    lost, young = objects.name_of(folder, key("lost")), objects.name_of(folder, key("young"))
    for path in (scrap, lost, young):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"abc")
    for path in (scrap, lost):
        os.utime(path, (long_ago, long_ago))
    flipped = objects.name_of(folder, key(3))
    data = bytearray(flipped.read_bytes())
    data[-1] ^= 1
    flipped.write_bytes(data)
    objects.name_of(folder, key(6)).unlink()
    report = tier.verify()
    assert (report.checked, report.damaged, report.orphans) == (12, 2, 2)
    assert not scrap.exists() and not lost.exists() and not flipped.exists()
    assert young.exists()  # another process may be about to point to it
    assert not tier.contains(key(3)) and not tier.contains(key(6)) and tier.contains(key(9))
    again = tier.verify()
    assert (again.checked, again.damaged, again.orphans) == (10, 0, 0)
    tier.close()


def test_verify_puts_a_wrong_total_right(tmp_path):
    tier = filled(tmp_path)
    expected = tier.stats()["bytes"]
    with sqlite3.connect(tier.folder / "index.sqlite") as connection:
        connection.execute("UPDATE total SET entries = 5, bytes = -7")
    connection.close()
    tier.verify()
    assert (tier.stats()["entries"], tier.stats()["bytes"]) == (12, expected)
    tier.close()


def test_scraps_of_killed_writers_are_removed_by_the_next_one_once_they_are_old(tmp_path):
    filled(tmp_path).close()
    scrap = next((tmp_path / "v1" / "objects").iterdir()) / "ab.1-1.tmp"
    scrap.write_bytes(b"x")
    long_ago = time.time() - 2 * writer.STALE
    os.utime(scrap, (long_ago, long_ago))
    os.utime(tmp_path / "v1" / "swept", (0, 0))
    filled(tmp_path, [1]).close()
    assert not scrap.exists()


def test_an_entry_of_another_codec_is_a_miss_and_no_damage(tmp_path, monkeypatch):
    monkeypatch.setattr("flowmm.store.codec.VERSION", 99)
    filled(tmp_path).close()
    monkeypatch.undo()
    tier, problems = listening(tmp_path)
    assert tier.get(key(0)) is None and tier.get(key(1)) is None and not problems
    assert tier.verify().damaged == 0
    tier.put(key(0), outputs(0), 1.0, "a.b", {})
    tier.flush()
    assert right(0, tier.get(key(0)))
    tier.close()


def test_a_queue_that_grows_too_large_makes_putting_wait_instead_of_filling_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "MOST_PENDING", 1_000_000)
    tier, problems = listening(tmp_path)
    for name in range(0, 90, 3):
        tier.put(key(name), outputs(name), 1.0, "a.b", {})
        assert sum(job.size for job in list(tier._writer.pending.values())) <= 1_300_000
    tier.close()
    assert not problems


@pytest.mark.parametrize("seed", range(5))
def test_the_bytes_of_an_entry_with_any_bit_flipped_are_refused(seed):
    dice = random.Random(seed)
    data = bytearray(b"".join(bytes(piece) for piece in objects.pack(key(1), [encode(("a", np.arange(10))), encode(5)])))
    assert objects.unpack(key(1), data)[1].decode() == 5
    for _ in range(200):
        position, bit = dice.randrange(len(data)), 1 << dice.randrange(8)
        data[position] ^= bit
        with pytest.raises(objects.Damaged):
            objects.unpack(key(1), data)
        data[position] ^= bit
    with pytest.raises(objects.Damaged):
        objects.unpack(key(1), data + b"\0")
