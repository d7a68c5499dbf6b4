"""The journal does what a list of runs in memory would do, and shares its fsyncs."""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flowmm.server.journal import ENDED, STATES, Journal, JournalError, New
from flowmm.server.results import Stored

DOCUMENTS = [json.dumps({"flowmm": 1, "title": name}).encode() for name in ("one", "two", "three")]


def value(name: str) -> Stored:
    return Stored(name, "Text", 1, {"text": name})


@pytest.fixture
def journal(tmp_path):
    with_sentences: list[str] = []
    journal = Journal(tmp_path / "journal.sqlite", with_sentences.append)
    yield journal
    journal.close()
    assert not with_sentences


def submitted(journal: Journal, count: int = 1) -> list[str]:
    return [future.result().id for future in [journal.submit(New(DOCUMENTS[0], {"n": n})) for n in range(count)]]


@dataclass
class Modelled:
    state: str
    document: int
    key: str | None
    attempt: int = 0
    crashes: int = 0
    outputs: tuple[str, ...] = ()
    ends: int = 0


class Machine(RuleBasedStateMachine):
    """Every operation against plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "journal.sqlite"
        self.problems: list[str] = []
        self.journal = Journal(self.path, self.problems.append)
        self.runs: dict[str, Modelled] = {}  # in the order of submission
        self.ever: list[str] = []
        self.queue: list[str] = []
        self.running: list[str] = []  # in the order of starting

    def teardown(self) -> None:
        self.journal.close()
        self.folder.cleanup()
        assert not self.problems

    def pick(self, n: int) -> tuple[str, Modelled | None]:
        id = self.ever[n % len(self.ever)]
        return id, self.runs.get(id)

    any_run = st.integers(0, 30)
    any_submitted = precondition(lambda self: self.ever)

    @rule(document=st.integers(0, 2), key=st.sampled_from([None, None, "a", "b"]), n=st.integers())
    def submit(self, document, key, n):
        run = self.journal.submit(New(DOCUMENTS[document], {"n": n}, key=key, title="t", name="g", targets=["x"] if n % 2 else None)).result()
        first = next((id for id, known in self.runs.items() if key is not None and known.key == key), None)
        if first is not None:
            assert run.id == first and run.state == self.runs[first].state
            return
        assert run.id not in self.ever and run.inputs == {"n": n} and run.state == "queued" and run.targets == (["x"] if n % 2 else None)
        self.runs[run.id] = Modelled("queued", document, key)
        self.ever.append(run.id)
        self.queue.append(run.id)

    @any_submitted
    @rule(n=any_run)
    def start(self, n):
        id, known = self.pick(n)
        run = self.journal.start(id, "cpu").result()
        if known is None or known.state != "queued":
            assert run is None
            return
        known.state, known.attempt = "running", known.attempt + 1
        self.queue.remove(id)
        self.running.append(id)
        assert (run.id, run.state, run.attempt, run.device) == (id, "running", known.attempt, "cpu")

    @any_submitted
    @rule(n=any_run, stale=st.booleans(), state=st.sampled_from(ENDED), names=st.lists(st.sampled_from("xyz"), unique=True, max_size=2))
    def end(self, n, stale, state, names):
        id, known = self.pick(n)
        attempt = (known.attempt if known else 1) - stale
        ended = self.journal.end(id, attempt, state, outputs={name: value(name) for name in names}, seconds=1.5, executed=2, cached=3).result()
        assert ended == (known is not None and known.state == "running" and not stale)
        if ended:
            self.running.remove(id)
            known.state, known.outputs, known.ends = state, tuple(names), known.ends + 1
            assert known.ends == 1

    @any_submitted
    @rule(n=any_run, stale=st.booleans())
    def requeue(self, n, stale):
        id, known = self.pick(n)
        moved = self.journal.requeue(id, (known.attempt if known else 1) - stale).result()
        assert moved == (known is not None and known.state == "running" and not stale)
        if moved:
            self.running.remove(id)
            self.queue.insert(0, id)
            known.state = "queued"

    @any_submitted
    @rule(n=any_run)
    def cancel(self, n):
        id, known = self.pick(n)
        state = self.journal.cancel(id).result()
        if known is not None and known.state == "queued":
            self.queue.remove(id)
            known.state, known.ends = "cancelled", known.ends + 1
        assert state == (known and known.state)

    @any_submitted
    @rule(n=any_run, index=st.integers(-2, 12))
    def move(self, n, index):
        id, known = self.pick(n)
        moved = self.journal.move(id, index).result()
        assert moved == (id in self.queue)
        if moved:
            self.queue.remove(id)
            self.queue.insert(max(index, 0), id)

    @any_submitted
    @rule(n=any_run)
    def delete(self, n):
        id, known = self.pick(n)
        keys = self.journal.delete(id).result()
        if known is None or known.state not in ENDED:
            assert keys is None
            return
        del self.runs[id]
        left = {key for run in self.runs.values() for key in run.outputs}
        assert sorted(keys) == sorted(set(known.outputs) - left)

    @rule()
    def stop_and_start(self):
        self.journal.close()
        self.journal = Journal(self.path, self.problems.append)
        recovered = self.journal.recover().result()
        assert [run.id for run in recovered] == self.running
        again = []
        for id in self.running:
            known = self.runs[id]
            known.crashes += 1
            known.state = "queued" if known.crashes < 2 else "interrupted"
            known.ends += known.state == "interrupted"
            again += [id] if known.state == "queued" else []
        assert [run.state for run in recovered] == [self.runs[id].state for id in self.running]
        assert all(run.error["code"] == "quarantined" for run in recovered if run.state == "interrupted")
        self.queue, self.running = again + self.queue, []

    @invariant()
    def everything_is_as_in_the_model(self):
        assert [run.id for run in self.journal.queue()] == self.queue
        page = self.journal.page(limit=1000)
        assert [run.id for run in page] == list(reversed(self.runs))
        for run in page:
            known = self.runs[run.id]
            assert (run.state, run.attempt, run.crashes, run.key) == (known.state, known.attempt, known.crashes, known.key)
            assert run.graph == hashlib.sha256(DOCUMENTS[known.document]).hexdigest() and known.ends == (run.state in ENDED)
            assert tuple(output.name for output in self.journal.outputs(run.id)) == known.outputs
        assert self.journal.counts() == {state: sum(run.state == state for run in self.runs.values()) for state in STATES}
        for n, document in enumerate(DOCUMENTS):
            sha = hashlib.sha256(document).hexdigest()
            if any(run.document == n for run in self.runs.values()):
                assert self.journal.document(sha) == document
            else:
                with pytest.raises(KeyError):
                    self.journal.document(sha)
        for key in "xyz":
            assert self.journal.referenced(key) == any(key in run.outputs for run in self.runs.values())


Machine.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAgainstAModel = Machine.TestCase


def test_clients_that_submit_at_once_share_fsyncs(journal):
    ready = threading.Barrier(50)

    def client(n: int) -> list[str]:
        ready.wait()
        return [future.result().id for future in [journal.submit(New(DOCUMENTS[0], {"client": n})) for _ in range(10)]]

    before = journal.commits
    with ThreadPoolExecutor(50) as pool:
        ids = [id for answer in pool.map(client, range(50)) for id in answer]
    assert len(set(ids)) == 500 and journal.counts()["queued"] == 500
    assert journal.commits - before <= 100


def test_what_waits_while_a_transaction_is_written_goes_into_the_next_one(journal, monkeypatch):
    held, entered = threading.Event(), threading.Event()
    commit = journal._commit

    def slow_commit():
        entered.set()
        held.wait()
        commit()

    monkeypatch.setattr(journal, "_commit", slow_commit)
    first = journal.submit(New(DOCUMENTS[0]))
    entered.wait()
    rest = [journal.submit(New(DOCUMENTS[0])) for _ in range(200)]
    assert journal.counts()["queued"] == 0 and not first.done(), "nothing is seen or acknowledged before it is on the disk"
    held.set()
    assert first.result() and all(future.result() for future in rest)
    assert journal.commits == 2


def test_a_key_submitted_by_many_at_once_is_one_run(journal):
    runs = {future.result().id for future in [journal.submit(New(DOCUMENTS[n % 2], {"n": n}, key="mine")) for n in range(40)]}
    assert len(runs) == 1 and journal.counts()["queued"] == 1


def test_of_many_who_end_a_run_exactly_one_is_told_so(journal):
    (id,) = submitted(journal)
    run = journal.start(id, "cpu").result()
    answers = [journal.end(id, run.attempt, state).result() for state in ("done", "failed", "cancelled", "done")]
    assert answers == [True, False, False, False] and journal.get(id).state == "done"


def test_an_attempt_that_was_given_up_cannot_end_the_next_one(journal):
    (id,) = submitted(journal)
    journal.start(id, "cpu").result()
    assert journal.requeue(id, 1).result()
    assert journal.start(id, "cuda:0").result().attempt == 2
    assert not journal.end(id, 1, "failed").result() and journal.end(id, 2, "done").result()


def test_a_run_the_server_died_of_twice_is_quarantined_and_a_graceful_stop_does_not_count(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    (id,) = submitted(journal)
    for _ in range(5):
        assert journal.requeue(id, journal.start(id, "cpu").result().attempt).result()
    states = []
    for _ in range(2):
        journal.start(id, "cpu").result()
        journal.close()
        journal = Journal(path)
        states += [run.state for run in journal.recover().result()]
    assert states == ["queued", "interrupted"]
    assert journal.get(id).error["code"] == "quarantined" and not journal.recover().result()
    journal.close()


def test_a_position_can_be_taken_again_and_again(journal):
    ids = submitted(journal, 4)
    for n in range(150):  # halving the gap so often leaves no number in between
        moved = ids.pop(n % 2 + 2)
        ids.insert(1, moved)
        assert journal.move(moved, 1).result()
        assert [run.id for run in journal.queue()] == ids
    assert journal.move(ids[0], 10**30).result() and journal.queue()[-1].id == ids[0]


def test_pages_and_gallery_turn_without_losing_or_repeating(journal):
    ids = submitted(journal, 7)
    for n, id in enumerate(ids[:5]):
        journal.start(id, "cpu").result()
        kind = "Image" if n % 2 else "Text"
        journal.end(id, 1, "done", outputs={"a": Stored(f"a{n}", kind, 1, {"n": n}), "b": Stored("same", "int", 1, {})}).result()
    assert [run.id for run in journal.page(["queued"])] == ids[:4:-1]
    seen, before = [], None
    while page := journal.page(before=before, limit=3):
        seen += [run.id for run in page]
        before = page[-1].number
    assert seen == ids[::-1]
    shown, before = [], None
    while page := journal.gallery(before, 2, ["Text", "Image"]):
        shown += [(output.key, output.summary["n"], run.id) for output, run in page]
        before = page[-1][0].number
    assert shown == [(f"a{n}", n, ids[n]) for n in (4, 3, 2, 1, 0)]
    assert journal.delete(ids[0]).result() == ["a0"], "what others refer to stays"
    assert not journal.page([]) and not journal.gallery(types=[]) and not journal.page(before=-(10**30)) and len(journal.page(before=10**30)) == 6


def test_a_clock_that_goes_backwards_changes_no_order(journal, monkeypatch):
    clock = iter(range(10**6, 0, -1000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    ids = submitted(journal, 5)
    assert journal.get(ids[4]).submitted < journal.get(ids[0]).submitted
    assert [run.id for run in journal.queue()] == ids and [run.id for run in journal.page()] == ids[::-1]
    for id in ids[:2]:
        journal.start(id, "cpu").result()
    assert [run.id for run in journal.recover().result()] == ids[:2]
    assert [run.id for run in journal.queue()] == ids


def test_one_bad_request_spoils_nothing_of_its_transaction(journal, monkeypatch):
    held, entered = threading.Event(), threading.Event()
    commit = journal._commit
    monkeypatch.setattr(journal, "_commit", lambda: (entered.set(), held.wait(), commit()))
    journal.submit(New(DOCUMENTS[0]))
    entered.wait()
    good = journal.submit(New(DOCUMENTS[0]))
    bad = [journal.start("\ud800", "cpu"), journal.end("x", 2**70, "done"), journal.submit(New(DOCUMENTS[0], key="k", title="\ud800"))]
    after = journal.submit(New(DOCUMENTS[0]))
    held.set()
    assert good.result().state == after.result().state == "queued"
    with pytest.raises(UnicodeEncodeError):
        bad[0].result()
    with pytest.raises(OverflowError):
        bad[1].result()
    assert bad[2].result().title == "?" and journal.commits == 2
    for wrong in (New(DOCUMENTS[0], key="\ud800"), New(DOCUMENTS[0], source="nowhere")):
        with pytest.raises(ValueError):
            journal.submit(wrong)
    with pytest.raises(ValueError):
        journal.end("x", 1, "running")


def test_a_client_that_leaves_cancels_nothing(journal):
    future = journal.submit(New(DOCUMENTS[0]))
    assert not future.cancel()
    assert journal.get(future.result().id).state == "queued"


def test_close_finishes_what_is_queued_and_refuses_the_rest(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite")
    futures = [journal.submit(New(DOCUMENTS[0], {"n": n})) for n in range(100)]
    journal.close()
    journal.close()
    assert len({future.result().id for future in futures}) == 100
    with pytest.raises(JournalError, match="closed"):
        journal.submit(New(DOCUMENTS[0])).result()
    with pytest.raises(JournalError, match="closed"):
        journal.queue()
    again = Journal(tmp_path / "journal.sqlite")
    assert [run.inputs["n"] for run in again.queue()] == list(range(100))
    again.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.lock", "journal.sqlite"]


def test_readers_in_many_threads_see_what_is_acknowledged_and_never_wait_for_the_writer(journal, monkeypatch):
    ids = submitted(journal, 20)
    held, entered = threading.Event(), threading.Event()
    commit = journal._commit
    monkeypatch.setattr(journal, "_commit", lambda: (entered.set(), held.wait(), commit()))
    late = journal.submit(New(DOCUMENTS[0]))
    entered.wait()  # a transaction is open, and stays so
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: ([run.id for run in journal.queue()], journal.get(ids[n % 20]).inputs["n"]), range(80)))
    assert all(queue == ids and n == i % 20 for i, (queue, n) in enumerate(answers))
    held.set()
    assert journal.get(late.result().id) is not None
