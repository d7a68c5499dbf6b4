"""The journal on a bad day: killed, torn, garbled, full, opened twice. What was acknowledged is there afterwards."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from flowmm.server import journal_file
from flowmm.server.journal import ENDED, STATES, Journal, JournalError, JournalFull, JournalTaken, New
from flowmm.server.results import Stored
from flowmm.store.objects import Damaged

DOCUMENT = b'{"flowmm": 1, "title": "a graph", "nodes": {}, "outputs": {}}'


def listening(folder) -> tuple[Journal, list[str]]:
    problems: list[str] = []
    return Journal(folder / "journal.sqlite", problems.append), problems


def filled(folder, count: int = 60, kill: bool = False) -> dict[str, tuple]:
    """A journal of runs in all states; what each looked like. kill: leave it as a killed process would, its log not written back."""
    journal, _ = listening(folder)
    runs = [future.result() for future in [journal.submit(New(DOCUMENT + b" " * (n % 7), {"n": n, "text": "word " * 40})) for n in range(count)]]
    for n, run in enumerate(runs):
        if n % 3:
            journal.start(run.id, "cpu")
        if n % 3 == 2:
            journal.end(run.id, 1, ENDED[n % 4], outputs={"image": Stored(f"key{n}", "Image", 1, {"count": 1})}, seconds=1.0).result()
    journal.recover().result()
    seen = {run.id: (run.state, run.inputs, run.number, run.graph, len(journal.outputs(run.id))) for run in journal.page(limit=1000)}
    copies = {path.name: path.read_bytes() for path in folder.iterdir() if path.name.startswith("journal.sqlite")}
    journal.close()
    if kill:
        for name, data in copies.items():
            (folder / name).write_bytes(data)
    return seen


def looked_at(journal: Journal) -> dict[str, tuple]:
    return {run.id: (run.state, run.inputs, run.number, run.graph, len(journal.outputs(run.id))) for run in journal.page(limit=1000)}


def usable(journal: Journal) -> None:
    """Everything that reads works, whatever was lost, and new runs go through all their states."""
    assert sum(journal.counts().values()) == len(journal.page(limit=1000))
    assert set(journal.counts()) == set(STATES)
    for run in journal.page(limit=1000):
        assert run.state in STATES and journal.get(run.id) == run
    for run in journal.queue():
        assert journal.document(run.graph).startswith(DOCUMENT) and run.inputs["n"] >= 0, "what will be run is whole"
    for output, _ in journal.gallery(limit=1000):
        assert journal.referenced(output.key)
    run = journal.submit(New(DOCUMENT, {"n": 0})).result()
    assert journal.start(run.id, "cpu").result() and journal.end(run.id, 1, "done").result() and journal.document(run.graph) == DOCUMENT


ENDLESS_CLIENT = """
import sys
from pathlib import Path
from flowmm.server.journal import Journal, New
journal = Journal(Path(sys.argv[1]) / "journal.sqlite", lambda sentence: print("problem", sentence, flush=True))
for run in journal.recover().result():
    print("recovered", run.id, run.state, flush=True)
n = 0
while True:
    made = [journal.submit(New(b"{}" + b" " * (n % 5), {"n": n})) for _ in range(4)]
    ids = [future.result().id for future in made]
    print("submitted", *ids, flush=True)
    run = journal.start(ids[0], "cpu").result()
    print("started", run.id, flush=True)
    if n % 3:
        assert journal.end(run.id, run.attempt, "done").result()
        print("ended", run.id, flush=True)
    assert journal.cancel(ids[1]).result() == "cancelled"
    print("cancelled", ids[1], flush=True)
    n += 1
"""


def test_killed_at_any_moment_every_acknowledged_change_is_there(tmp_path):
    dice = random.Random(3)
    told: dict[str, set[str]] = {word: set() for word in ("submitted", "started", "ended", "cancelled", "recovered", "problem")}
    for _ in range(10):
        process = subprocess.Popen([sys.executable, "-c", ENDLESS_CLIENT, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        lines = [process.stdout.readline()]  # it has begun
        time.sleep(dice.random() * 0.15)
        process.send_signal(signal.SIGKILL)
        lines += process.communicate()[0].split("\n")[:-1]
        for line in lines:
            word, *ids = line.split()
            told[word].update(ids[:1] if word == "recovered" else ids)
        journal, problems = listening(tmp_path)
        states = {run.id: run.state for run in journal.page(limit=10**6)}
        attempts = {run.id: run.attempt for run in journal.page(limit=10**6)}
        journal.close()
        assert not problems and not told["problem"]
        assert told["submitted"] <= states.keys()
        assert all(states[id] == "done" for id in told["ended"])
        assert all(states[id] == "cancelled" for id in told["cancelled"])
        assert all(attempts[id] >= 1 for id in told["started"])
        assert sum(state == "running" for state in states.values()) <= len(told["started"] - told["ended"]) + 1
    assert len(told["submitted"]) > 40 and told["recovered"]


@pytest.mark.parametrize("seed", range(16))
def test_a_log_torn_or_garbled_anywhere_never_fails_to_open_and_loses_only_what_came_after(tmp_path, seed):
    dice = random.Random(seed)
    before = filled(tmp_path, kill=True)
    log = tmp_path / "journal.sqlite-wal"
    data = bytearray(log.read_bytes())
    assert len(data) > 100_000, "the log must hold the runs, or nothing is tested"
    if seed % 2:
        data = data[: dice.randrange(len(data))]
    else:
        for _ in range(dice.choice([1, 5, 50])):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    log.write_bytes(data)
    journal, _ = listening(tmp_path)
    numbers = sorted(number for _, _, number, _, _ in looked_at(journal).values())
    assert numbers == list(range(1, len(numbers) + 1)), "a beginning of what was written, without a gap"
    assert all(before[id][1:4] == seen[1:4] for id, seen in looked_at(journal).items())
    usable(journal)
    journal.close()


def test_a_torn_tail_of_the_log_loses_nothing_that_was_acknowledged(tmp_path):
    before = filled(tmp_path, kill=True)
    with open(tmp_path / "journal.sqlite-wal", "ab") as log:
        log.write(random.Random(0).randbytes(5000))  # a transaction the power cut tore
    journal, problems = listening(tmp_path)
    assert looked_at(journal) == before and not problems
    journal.close()


@pytest.mark.parametrize("seed", range(24))
def test_a_file_garbled_or_cut_anywhere_opens_with_every_row_that_can_be_read(tmp_path, seed):
    dice = random.Random(seed)
    before = filled(tmp_path, 200)
    path = tmp_path / "journal.sqlite"
    data = bytearray(path.read_bytes())
    pages = len(data) // 4096
    kind = seed % 4
    if kind == 0:  # one page of noise
        at = dice.randrange(pages) * 4096
        data[at : at + 4096] = dice.randbytes(4096)
    elif kind == 1:
        for _ in range(dice.choice([1, 20, 400])):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif kind == 2:
        data = data[: dice.randrange(len(data))]
    else:  # the header
        for _ in range(3):
            data[dice.randrange(100)] = dice.randrange(256)
    path.write_bytes(data)
    journal, problems = listening(tmp_path)
    after = looked_at(journal)
    assert {seen[2] for seen in after.values()} <= {seen[2] for seen in before.values()}
    if kind in (0, 3):
        assert after.keys() <= before.keys()  # a bit flipped inside an id is one nobody can tell
    assert all(word in problems[0] for word in ("damaged", "journal.sqlite.damaged-1", "runs")) if problems else len(after) == len(before)
    assert (tmp_path / "journal.sqlite.damaged-1").exists() == bool(problems)
    usable(journal)
    journal.close()
    again, problems = listening(tmp_path)
    assert not problems and after.keys() <= looked_at(again).keys()
    again.close()


def test_each_single_page_of_noise_costs_only_the_rows_on_it(tmp_path):
    before = filled(tmp_path, 200)
    path = tmp_path / "journal.sqlite"
    whole = path.read_bytes()
    kept = []
    with sqlite3.connect(path) as connection:
        (root,) = connection.execute("SELECT rootpage - 1 FROM sqlite_master WHERE name = 'run'").fetchone()
    connection.close()
    for page in range(len(whole) // 4096):
        path.write_bytes(whole[: page * 4096] + random.Random(page).randbytes(4096) + whole[(page + 1) * 4096 :])
        journal, problems = listening(tmp_path)
        kept.append(len(looked_at(journal).keys() & before.keys()))
        assert problems, f"page {page} is noise and nobody noticed"
        journal.close()
    assert kept[0] == len(before), "the first page says where the tables begin, and can be made anew"
    del kept[root]  # which alone leads to all the others
    assert len(before) - min(kept) <= 30


def test_a_graph_damaged_on_disk_is_told_and_its_waiting_runs_are_interrupted(tmp_path):
    filled(tmp_path, 12)
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        (sha,) = connection.execute("SELECT graph FROM run WHERE state = 'queued' LIMIT 1").fetchone()
        connection.execute("UPDATE document SET body = x'00' WHERE sha = ?", (sha,))
    connection.close()
    journal, problems = listening(tmp_path)
    assert not problems
    with pytest.raises(Damaged, match="submit the graph again"):
        journal.document(sha)
    journal.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as connection:
        connection.execute("PRAGMA application_id = 1")
    connection.close()
    journal, problems = listening(tmp_path)
    assert len(problems) == 1
    lost = [run for run in journal.page(limit=100) if run.graph == sha and run.state == "interrupted" and run.error]
    assert lost and all(run.error["code"] == "damaged" for run in lost) and all(run.graph != sha for run in journal.queue())
    usable(journal)
    journal.close()


@pytest.mark.parametrize("content", [b"", b"x", b"no database at all" * 1000, b"SQLite format 3\0" + bytes(5000), bytes(100_000)])
def test_a_foreign_file_is_moved_aside_and_told(tmp_path, content):
    (tmp_path / "journal.sqlite").write_bytes(content)
    journal, problems = listening(tmp_path)
    assert not looked_at(journal)
    usable(journal)
    journal.close()
    assert len(problems) == bool(content)
    if content:
        assert (tmp_path / "journal.sqlite.damaged-1").read_bytes() == content


def test_another_programs_database_is_moved_aside_with_all_it_holds(tmp_path):
    for n in (1, 2):
        connection = sqlite3.connect(tmp_path / "journal.sqlite")
        connection.executescript("CREATE TABLE recipe (name TEXT); INSERT INTO recipe VALUES ('soup');")
        connection.close()
        journal, problems = listening(tmp_path)
        usable(journal)
        journal.close()
        aside = tmp_path / f"journal.sqlite.damaged-{n}"
        assert len(problems) == 1 and aside.name in problems[0]
        connection = sqlite3.connect(aside)
        assert connection.execute("SELECT name FROM recipe").fetchone() == ("soup",)
        connection.close()
        (tmp_path / "journal.sqlite").unlink()


def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path):
    filled(tmp_path, 5)
    connection = sqlite3.connect(tmp_path / "journal.sqlite")
    connection.executescript(f"ALTER TABLE run ADD COLUMN colour TEXT; PRAGMA user_version = {journal_file.SCHEMA_VERSION + 1};")
    connection.close()
    before = (tmp_path / "journal.sqlite").read_bytes()
    with pytest.raises(JournalError, match="newer flowmm"):
        listening(tmp_path)
    assert (tmp_path / "journal.sqlite").read_bytes() == before and not list(tmp_path.glob("*.damaged*"))


@pytest.mark.parametrize("step", ["_graft", "_move_aside", "_finish", "os.replace"])
def test_a_salvage_that_dies_halfway_is_done_again_at_the_next_start(tmp_path, monkeypatch, step):
    before = filled(tmp_path)
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("UPDATE run SET title = 'only in the log' WHERE number = 1")
    content, log = path.read_bytes(), (tmp_path / "journal.sqlite-wal").read_bytes()
    connection.close()
    path.write_bytes(content[:4096] + random.Random(1).randbytes(4096) + content[8192:])
    (tmp_path / "journal.sqlite-wal").write_bytes(log)

    class Died(BaseException):
        pass

    with monkeypatch.context() as patch:
        calls = iter(range(10))
        replace = os.replace

        def die(*arguments):
            if step == "os.replace" and next(calls) < 2:
                return replace(*arguments)
            raise Died

        patch.setattr(*((journal_file.os, "replace") if step == "os.replace" else (journal_file, step)), die)
        with pytest.raises(Died):
            listening(tmp_path)
    journal, _ = listening(tmp_path)
    assert looked_at(journal).keys() == before.keys()
    assert journal.page(before=2)[0].title == "only in the log"
    usable(journal)
    journal.close()
    assert not {path.name for path in tmp_path.iterdir()} & {"journal.sqlite.new", "journal.sqlite.grafted"}


def test_a_full_disk_refuses_the_whole_transaction_and_the_next_is_tried_anew(tmp_path):
    journal, _ = listening(tmp_path)
    first = journal.submit(New(DOCUMENT)).result()
    journal._do(lambda db: db.execute("PRAGMA max_page_count = 20").fetchall()).result()
    noise = random.Random(0)
    with pytest.raises(JournalFull, match="full.*nothing was recorded: make room"):
        journal.submit(New(noise.randbytes(200_000))).result()
    assert [run.id for run in journal.queue()] == [first.id]
    second = journal.submit(New(DOCUMENT)).result()
    journal._do(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchall()).result()
    third = journal.submit(New(noise.randbytes(200_000))).result()
    assert [run.id for run in journal.queue()] == [first.id, second.id, third.id]
    journal.close()
    again, problems = listening(tmp_path)
    assert len(again.queue()) == 3 and not problems
    again.close()


def test_a_write_the_system_refuses_acknowledges_nothing_and_loses_nothing(tmp_path):
    journal, _ = listening(tmp_path)
    before = [future.result().id for future in [journal.submit(New(DOCUMENT)) for _ in range(20)]]
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "journal.sqlite-wal").stat().st_size + 100, limits[1]))
    try:
        refused = [journal.submit(New(DOCUMENT)) for _ in range(20)]
        errors = [future.exception() for future in refused]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert all(isinstance(error, JournalFull) for error in errors)
    assert [run.id for run in journal.queue()] == before
    after = journal.submit(New(DOCUMENT)).result().id
    journal.close()
    again, problems = listening(tmp_path)
    assert [run.id for run in again.queue()] == [*before, after] and not problems
    again.close()


def test_a_commit_that_fails_resolves_every_future_with_the_error(tmp_path, monkeypatch):
    journal, _ = listening(tmp_path)
    (run,) = [journal.submit(New(DOCUMENT)).result()]

    def fails():
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "_commit", fails)
        futures = [journal.submit(New(DOCUMENT)), journal.start(run.id, "cpu"), journal.cancel(run.id), journal.recover()]
        assert all(isinstance(future.exception(), JournalFull) for future in futures)
    assert journal.get(run.id) == run and len(journal.queue()) == 1
    assert journal.start(run.id, "cpu").result().attempt == 1
    journal.close()


def test_a_second_server_on_the_folder_is_told_who_has_it(tmp_path):
    journal, _ = listening(tmp_path)
    with pytest.raises(JournalTaken, match=f"process {os.getpid()}"):
        listening(tmp_path)
    script = "import sys; from pathlib import Path; from flowmm.server.journal import Journal; Journal(Path(sys.argv[1]))"
    other = subprocess.run([sys.executable, "-c", script, str(tmp_path / "journal.sqlite")], capture_output=True, text=True)
    assert f"in use by another server (process {os.getpid()})" in other.stderr
    usable(journal)
    journal.close()
    again, problems = listening(tmp_path)
    assert not problems
    again.close()


def test_a_folder_that_is_missing_or_a_file_is_said_plainly(tmp_path):
    with pytest.raises(JournalError, match="cannot be opened .*folder that it may write to"):
        listening(tmp_path / "missing")
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        listening(tmp_path)
    (tmp_path / "journal.sqlite").rmdir()
    journal, _ = listening(tmp_path)  # the lock of a journal that did not open is free again
    journal.close()
