"""The journal: every run ever acknowledged, in one SQLite file that is on the disk before anyone is told.

One thread writes. It takes all that waits into one transaction, so that fifty clients share one fsync, and resolves
the futures after it. Readers have connections of their own and never wait. Nothing is ordered or decided by the clock:
runs are ordered by their number, waiting ones by their place.
"""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..files import sync_folder
from ..store.index import is_damage
from ..store.objects import Damaged
from .journal_file import ENDED, LARGEST, STATES, JournalError, JournalTaken, connect, opened, take, unpacked
from .journal_rows import OUTPUT, RUN, New, Output, Run, Swept, inserted, packed, parsed, row_of

if TYPE_CHECKING:
    from .results import Stored

__all__ = ["ENDED", "STATES", "Journal", "JournalError", "JournalFull", "JournalTaken", "New", "Output", "Run", "Swept"]

MOST_CRASHES = 2  # a run the server died of this often is not started again

T = TypeVar("T")


class JournalFull(JournalError):
    """A transaction could not be written: nothing of it is recorded."""


@dataclass(slots=True, eq=False)
class _Job:
    action: Callable[[sqlite3.Connection], Any]
    future: Future


_FRONT = "(SELECT coalesce(min(place), 0) - 1 FROM run WHERE state = 'queued')"


class Journal:
    """Every method that changes something returns a Future, resolved when the change is on the disk; JournalFull if it is not.

    All methods are safe from any thread. Reading ones raise sqlite3.DatabaseError only where the file was damaged while open.
    """

    def __init__(self, path: Path, on_problem: Callable[[str], None] | None = None) -> None:
        """Open the journal, or make it; its folder must be there. on_problem: told in a sentence what was found damaged.

        Raises JournalTaken if another server holds it, else JournalError.
        """
        self.path = Path(path)
        try:
            self._lock = take(self.path)
        except JournalError:
            raise
        except OSError as error:
            raise JournalError(f"the journal {self.path} cannot be opened ({error.strerror}); give the server a folder that it may write to") from None
        try:
            self._writer = opened(self.path, on_problem or (lambda sentence: None))
            sync_folder(self.path.parent)
        except BaseException:
            self._lock.close()
            raise
        self.commits = 0  # transactions written, ever
        self._readers: list[sqlite3.Connection] = []
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._loop, name="flowmm-journal", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Finish what is queued, then let go of the file. Later calls are refused with JournalError."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        while self._readers:
            self._readers.pop().close()
        self._writer.close()
        self._lock.close()

    # Changing

    def submit(self, new: New) -> Future[Run]:
        """Record a queued run, last in the queue; or find the one that has the same key, whatever became of it.

        Raises ValueError for a text that is no Unicode, or a source that is none.
        """
        row = row_of(new)
        document = packed(new.document)

        def action(db: sqlite3.Connection) -> Run:
            if new.key is not None and (found := _one(db, "key = ?", new.key)):
                return found
            return inserted(db, document, row)

        return self._do(action)

    def submit_sweep(self, cells: Sequence[New], axes: Mapping[str, list[Any]], combine: str, key: str | None = None) -> Future[str]:
        """Record the runs of a sweep, all or none, last in the queue; or find the sweep that has the same key. Its id. Raises as submit does."""
        rows, document = [row_of(cell) for cell in cells], packed(cells[0].document)
        (key or "").encode()
        id_, made = secrets.token_hex(8), json.dumps(axes)

        def action(db: sqlite3.Connection) -> str:
            if key is not None and (found := db.execute("SELECT id FROM sweep WHERE key = ?", (key,)).fetchone()):
                return found[0]
            number = db.execute("INSERT INTO sweep (id, key, axes, combine) VALUES (?, ?, ?, ?)", (id_, key, made, combine)).lastrowid
            runs = [inserted(db, document, row) for row in rows]
            db.executemany("INSERT INTO cell (number, sweep, place) VALUES (?, ?, ?)", [(run.number, number, place) for place, run in enumerate(runs)])
            return id_

        return self._do(action)

    def start(self, id: str, device: str) -> Future[Run | None]:
        """Queued → running, one attempt more; None if it is not queued any more."""

        def action(db: sqlite3.Connection) -> Run | None:
            rows = db.execute(
                "UPDATE run SET state = 'running', attempt = attempt + 1, started = ?, device = ?, "
                "place = (SELECT coalesce(max(place), 0) + 1 FROM run WHERE state = 'running') "
                f"WHERE id = ? AND state = 'queued' RETURNING {RUN}",
                (time.time(), device, id),
            ).fetchall()
            return Run.of(rows[0]) if rows else None

        return self._do(action)

    def end(
        self, id: str, attempt: int, state: str, *, outputs: Mapping[str, Stored] | None = None, error: dict[str, Any] | None = None,
        seconds: float | None = None, executed: int | None = None, cached: int | None = None, timings: Any = None,
    ) -> Future[bool]:  # fmt: skip
        """Running → one of ENDED, with all that the run brought; False if this attempt has ended, or was given up, already."""
        if state not in ENDED:
            raise ValueError(f"a run ends as one of {', '.join(ENDED)}, not {state!r}")
        values = (state, time.time(), _json(error), seconds, executed, cached, _json(timings), id, attempt)
        rows = [(name, stored.key, stored.type, json.dumps(stored.summary)) for name, stored in (outputs or {}).items()]

        def action(db: sqlite3.Connection) -> bool:
            ended = db.execute(
                "UPDATE run SET state = ?, finished = ?, error = ?, seconds = ?, executed = ?, cached = ?, timings = ? "
                "WHERE id = ? AND state = 'running' AND attempt = ? RETURNING number",
                values,
            ).fetchall()
            if ended:
                db.executemany("INSERT INTO output (run, name, key, type, summary) VALUES (?, ?, ?, ?, ?)", [(ended[0][0], *row) for row in rows])
            return bool(ended)

        return self._do(action)

    def requeue(self, id: str, attempt: int) -> Future[bool]:
        """Running → queued, at the front: the server stops, and the run is not to blame. False if that attempt is over."""
        return self._do(
            lambda db: _changed(db, f"UPDATE run SET state = 'queued', place = {_FRONT} WHERE id = ? AND state = 'running' AND attempt = ?", id, attempt)
        )

    def cancel(self, id: str) -> Future[str | None]:
        """Queued → cancelled. The state the run then has: "running" is the caller's to stop; None if there is no such run."""

        def action(db: sqlite3.Connection) -> str | None:
            _changed(db, "UPDATE run SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued'", time.time(), id)
            run = _one(db, "id = ?", id)
            return run and run.state

        return self._do(action)

    def cancel_sweep(self, id: str) -> Future[list[str]]:
        """The queued ones among its cells → cancelled; their ids."""
        among = "SELECT cell.number FROM cell JOIN sweep ON sweep.number = cell.sweep WHERE sweep.id = ?"

        def action(db: sqlite3.Connection) -> list[str]:
            statement = f"UPDATE run SET state = 'cancelled', finished = ? WHERE state = 'queued' AND number IN ({among}) RETURNING id"
            return [found for (found,) in db.execute(statement, (time.time(), id)).fetchall()]

        return self._do(action)

    def move(self, id: str, index: int) -> Future[bool]:
        """Put a queued run at a position of the queue: 0 is next, past the end is last. False if it is not queued."""

        def action(db: sqlite3.Connection) -> bool:
            ids = [other for (other,) in db.execute("SELECT id FROM run WHERE state = 'queued' ORDER BY place, number")]
            if id not in ids:
                return False
            ids.remove(id)
            ids.insert(min(max(index, 0), len(ids)), id)
            at = ids.index(id)
            before, after = (_place(db, ids[i]) if 0 <= i < len(ids) else None for i in (at - 1, at + 1))
            if before is None and after is None:
                return True
            place = after - 1 if before is None else before + 1 if after is None else (before + after) / 2
            if place in (before, after):  # no number lies between them any more
                db.executemany("UPDATE run SET place = ? WHERE id = ?", list(enumerate(ids)))
                return True
            return _changed(db, "UPDATE run SET place = ? WHERE id = ?", place, id)

        return self._do(action)

    def delete(self, id: str) -> Future[list[str] | None]:
        """Forget an ended run, its outputs, and its document if no other run has it; None if it has not ended, or is not here.

        The keys of values that no output refers to any more: Results.remove asks `referenced` again before it removes one.
        """

        def action(db: sqlite3.Connection) -> list[str] | None:
            run = _one(db, "id = ?", id)
            if run is None or run.state not in ENDED:
                return None
            keys = [key for (key,) in db.execute("SELECT DISTINCT key FROM output WHERE run = ? ORDER BY number", (run.number,))]
            db.execute("DELETE FROM output WHERE run = ?", (run.number,))
            db.execute("DELETE FROM run WHERE number = ?", (run.number,))
            db.execute("DELETE FROM cell WHERE number = ?", (run.number,))
            db.execute("DELETE FROM sweep WHERE id = ? AND NOT EXISTS (SELECT 1 FROM cell WHERE cell.sweep = sweep.number)", (run.sweep,))
            db.execute("DELETE FROM document WHERE sha = ?1 AND NOT EXISTS (SELECT 1 FROM run WHERE graph = ?1)", (run.graph,))
            return [key for key in keys if not _refers(db, key)]

        return self._do(action)

    def recover(self) -> Future[list[Run]]:
        """At the server's start: what ran when it died waits again, before all others, the first started first.

        A run it died of MOST_CRASHES times is interrupted instead. All those runs, as they now are.
        """

        def action(db: sqlite3.Connection) -> list[Run]:
            found = [Run.of(row) for row in db.execute(f"SELECT {RUN} FROM run WHERE state = 'running' ORDER BY place DESC, number DESC").fetchall()]
            for run in found:
                crashes = run.crashes + 1
                if crashes < MOST_CRASHES:
                    db.execute(f"UPDATE run SET state = 'queued', crashes = ?, place = {_FRONT} WHERE number = ?", (crashes, run.number))
                    continue
                message = f"The server stopped {crashes} times while this run was at work, so it was not started again; retry it to run it all the same."
                error = _json({"code": "quarantined", "message": message})
                db.execute(
                    "UPDATE run SET state = 'interrupted', crashes = ?, finished = ?, error = ? WHERE number = ?",
                    (crashes, time.time(), error, run.number),
                )
            return [run for before in reversed(found) if (run := _one(db, "number = ?", before.number)) is not None]

        return self._do(action)

    # Reading

    def get(self, id: str) -> Run | None:
        with self._reading() as db:
            return _one(db, "id = ?", id)

    def keyed(self, key: str) -> Run | None:
        """The run that was submitted under a key."""
        with self._reading() as db:
            return _one(db, "key = ?", key)

    def sweep(self, id: str) -> Swept | None:
        with self._reading() as db:
            found = db.execute("SELECT number, axes, combine FROM sweep WHERE id = ?", (id,)).fetchone()
            if found is None:
                return None
            among = "FROM cell JOIN run ON run.number = cell.number WHERE cell.sweep = ? ORDER BY cell.place"
            runs = {place: Run.of(row) for place, *row in db.execute(f"SELECT cell.place, {RUN} {among}", found[:1]).fetchall()}
            among = "FROM cell JOIN output ON output.run = cell.number WHERE cell.sweep = ? ORDER BY output.number"
            outputs: dict[int, list[Output]] = {place: [] for place in runs}
            for place, *row in db.execute(f"SELECT cell.place, {OUTPUT} {among}", found[:1]).fetchall():
                outputs[place].append(Output.of(row))
        return Swept(id, parsed(found[1]) or {}, found[2], runs, outputs)

    def swept(self, key: str) -> str | None:
        """The id of the sweep that was submitted under a key."""
        with self._reading() as db:
            row = db.execute("SELECT id FROM sweep WHERE key = ?", (key,)).fetchone()
        return row and row[0]

    def queue(self, limit: int = -1) -> list[Run]:
        """What waits, in the order in which it will be started; all of it, or the first `limit`."""
        return self._runs("state = 'queued' ORDER BY place, number LIMIT ?", limit)

    def waiting(self) -> int:
        """How many runs wait."""
        with self._reading() as db:
            return db.execute("SELECT count(*) FROM run WHERE state = 'queued'").fetchone()[0]

    def position(self, id: str) -> int | None:
        """How many runs are before this one in the queue; None if it does not wait."""
        before = "SELECT count(*) FROM run WHERE state = 'queued' AND (place, number) < (own.place, own.number)"
        with self._reading() as db:
            row = db.execute(f"SELECT ({before}) FROM run AS own WHERE id = ? AND state = 'queued'", (id,)).fetchone()
        return row[0] if row else None

    def page(self, states: Sequence[str] | None = None, before: int | None = None, limit: int = 50) -> list[Run]:
        """The latest runs, newest first. states: only these. before: only runs with a smaller number, to turn the page."""
        wanted = tuple(STATES if states is None else states)
        among = "1" if states is None else f"state IN ({', '.join('?' * len(wanted))})"
        arguments = () if states is None else wanted
        return self._runs(f"{among} AND number < ? ORDER BY number DESC LIMIT ?", *arguments, _bounded(before), max(limit, 0))

    def outputs(self, id: str) -> list[Output]:
        """A run's outputs in their order; none for a run without, or one that is not here."""
        with self._reading() as db:
            rows = db.execute(f"SELECT {OUTPUT} FROM output JOIN run ON run.number = output.run WHERE run.id = ? ORDER BY output.number", (id,))
            return [Output.of(row) for row in rows.fetchall()]

    def gallery(
        self, before: int | None = None, limit: int = 50, types: Sequence[str] | None = None, name: str | None = None
    ) -> list[tuple[Output, Run]]:
        """The latest outputs of all runs, or of those of one graph, with what made them, newest first. before: an output's number, to
        turn the page."""
        among = "1" if types is None else f"output.type IN ({', '.join('?' * len(types))})"
        among += "" if name is None else " AND run.name = ?"
        with self._reading() as db:
            rows = db.execute(
                f"SELECT {OUTPUT}, {RUN} FROM output JOIN run ON run.number = output.run "
                f"WHERE {among} AND output.number < ? ORDER BY output.number DESC LIMIT ?",
                (*(types or ()), *(() if name is None else (name,)), _bounded(before), max(limit, 0)),
            ).fetchall()
        return [(Output.of(row[:5]), Run.of(row[5:])) for row in rows]

    def latest(self) -> list[tuple[Run, list[Output]]]:
        """Of each graph's name the last run that is done, with its outputs."""
        with self._reading() as db:
            rows = db.execute(f"SELECT {RUN} FROM run WHERE number IN (SELECT max(number) FROM run WHERE state = 'done' GROUP BY name)").fetchall()
        return [(run, self.outputs(run.id)) for run in map(Run.of, rows)]

    def document(self, sha: str) -> bytes:
        """A graph's bytes as they were submitted. Raises KeyError, or Damaged."""
        with self._reading() as db:
            row = db.execute("SELECT body FROM document WHERE sha = ?", (sha,)).fetchone()
        if row is None:
            raise KeyError(sha)
        document = unpacked(row[0], sha)
        if document is None:
            raise Damaged(f"the graph {sha} is not what was submitted: the journal is damaged there; submit the graph again")
        return document

    def counts(self) -> dict[str, int]:
        """How many runs are in each state."""
        with self._reading() as db:
            return dict.fromkeys(STATES, 0) | dict(db.execute("SELECT state, count(*) FROM run GROUP BY state").fetchall())

    def referenced(self, key: str) -> bool:
        """Whether some output refers to a value."""
        with self._reading() as db:
            return _refers(db, key)

    def mentions(self, name: str) -> bool:
        """Whether some run's inputs name an upload or a value; reads every run, for rare occasions."""
        with self._reading() as db:
            return db.execute("SELECT 1 FROM run WHERE instr(inputs, ?) LIMIT 1", (json.dumps(name),)).fetchone() is not None

    def type_of(self, key: str) -> str | None:
        """The type of a value that some output refers to."""
        with self._reading() as db:
            row = db.execute("SELECT type FROM output WHERE key = ? LIMIT 1", (key,)).fetchone() if key.isascii() else None  # half a character is no text
        return row[0] if row else None

    def _runs(self, where: str, *arguments: Any) -> list[Run]:
        with self._reading() as db:
            return [Run.of(row) for row in db.execute(f"SELECT {RUN} FROM run WHERE {where}", arguments).fetchall()]

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that no other thread uses meanwhile; as many are kept as were ever needed at once."""
        if self._closed:
            raise JournalError("the journal is closed: the server is stopping")
        try:
            db = self._readers.pop()
        except IndexError:
            db = connect(self.path, "ro")
        try:
            yield db
        finally:
            self._readers.append(db)
            if self._closed:
                with contextlib.suppress(IndexError):
                    self._readers.pop().close()

    # Writing

    def _do(self, action: Callable[[sqlite3.Connection], T]) -> Future[T]:
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a client that leaves must not cancel what the disk already has
        with self._closing:
            if self._closed:
                future.set_exception(JournalError("the journal is closed: the server is stopping"))
            else:
                self._jobs.put(_Job(action, future))
        return future

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = [job]
            last = False
            with contextlib.suppress(queue.Empty):
                while (job := self._jobs.get_nowait()) is not None:
                    batch.append(job)
                last = True
            self._write(batch)
            if last:
                return

    def _write(self, batch: list[_Job]) -> None:
        db = self._writer
        try:
            db.execute("BEGIN IMMEDIATE")
            outcomes = [_attempt(db, job.action) for job in batch]
            self._commit()
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for this thread in vain
            with contextlib.suppress(sqlite3.Error):  # which SQLite may have done itself
                db.execute("ROLLBACK")
            fix = "start the server again, which repairs it" if is_damage(error) else "make room on its disk and try again"
            for job in batch:
                job.future.set_exception(JournalFull(f"the journal {self.path} cannot be written ({error}); nothing was recorded: {fix}"))
            return
        self.commits += 1
        for job, (result, error) in zip(batch, outcomes):
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    def _commit(self) -> None:
        self._writer.execute("COMMIT")


def _attempt(db: sqlite3.Connection, action: Callable[[sqlite3.Connection], Any]) -> tuple[Any, Exception | None]:
    """One job's result, or why it alone failed, leaving nothing behind. Raises what concerns the whole file."""
    db.execute("SAVEPOINT one")
    try:
        outcome = action(db), None
    except Exception as error:  # noqa: BLE001 - it is the caller's
        if type(error) in (sqlite3.OperationalError, sqlite3.DatabaseError, sqlite3.InternalError):  # full, damaged, gone
            raise
        db.execute("ROLLBACK TO one")
        outcome = None, error
    db.execute("RELEASE one")
    return outcome


def _changed(db: sqlite3.Connection, statement: str, *arguments: Any) -> bool:
    return db.execute(statement, arguments).rowcount > 0


def _one(db: sqlite3.Connection, where: str, *arguments: Any) -> Run | None:
    row = db.execute(f"SELECT {RUN} FROM run WHERE {where}", arguments).fetchone()
    return None if row is None else Run.of(row)


def _place(db: sqlite3.Connection, id: str) -> float:
    return db.execute("SELECT place FROM run WHERE id = ?", (id,)).fetchone()[0]


def _refers(db: sqlite3.Connection, key: str) -> bool:
    return db.execute("SELECT 1 FROM output WHERE key = ? LIMIT 1", (key,)).fetchone() is not None


def _bounded(before: int | None) -> int:
    return LARGEST if before is None else max(-LARGEST, min(before, LARGEST))


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
