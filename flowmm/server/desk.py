"""The run queue at work: runs are journalled, then executed in order, one at a time on each device.

What was acknowledged ends exactly once, as done, failed, cancelled or interrupted, whatever happens to this process.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ..catalog import Cancelled
from ..engine.runtime import Runtime
from ..engine.workers.base import NodeFailed
from ..face.graph import Graph
from ..graph.document import words
from ..graph.problems import GraphError, sentence
from ..sockets import Handle
from .hub import Hub
from .journal import ENDED, Journal, New, Run
from .library import Library
from .live import CANCELLED, HANGS, STOPPING, Live
from .metrics import Metrics
from .refusals import Refused
from .results import Results, Stored
from .settings import Settings

log = logging.getLogger("flowmm.server")
AGAIN = 2.0  # seconds before an end that could not be written is tried again
WATCH = 0.5  # seconds between two looks at what runs
MOST_FAILURES = 20  # nodes that failed in one run, of which it tells
GONE = 0.02  # seconds between two looks at what a run left behind


@dataclass(frozen=True, slots=True)
class Asked:
    """A run as a caller asks for it. graph: a saved graph's name or a document. targets: outputs or edges "node.output"; None: every
    output. key: the caller's own name for this request, so that asking again does not run again. axes: of a sweep, the values by input,
    as a list or in words; combine: how they make cells."""

    graph: str | Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    targets: list[str] | None = None
    name: str = ""
    key: str | None = None
    source: str = "api"
    axes: Mapping[str, Any] = field(default_factory=dict)
    combine: str = "product"


class Desk:
    """All methods may be called from any thread; those that wait for the disk say so."""

    def __init__(self, settings: Settings, journal: Journal, results: Results, library: Library, hub: Hub, metrics: Metrics):
        self.settings, self.journal, self.results, self.library, self.hub, self.metrics = settings, journal, results, library, hub, metrics
        self._runtimes: dict[str, Runtime] = {}
        self._live: dict[str, Live] = {}
        self._waiters: dict[str, Future[Run]] = {}
        self._lock = threading.Lock()  # who starts and who cancels, one after the other
        self._making = threading.Lock()
        self._news = threading.Event()
        self._stopping = False
        self._threads: list[threading.Thread] = []

    def start(self) -> list[Run]:
        """Take up what an earlier server left, then work. Returns the runs that it was running when it died."""
        left = self.journal.recover().result()
        for run in left:
            log.warning("a run was interrupted by the end of the server", extra={"run": run.id, "state": run.state})
        for device in self.settings.devices:
            self._threads.append(threading.Thread(target=self._work, args=(device,), name=f"flowmm-desk-{device}", daemon=True))
        self._threads.append(threading.Thread(target=self._watch, name="flowmm-desk-watch", daemon=True))
        for thread in self._threads:
            thread.start()
        return left

    def stop(self) -> None:
        """Stop what runs at its next step and put it back into the queue; what is finished of it is in the cache. Waits; once more does nothing."""
        with self._lock:  # after which nothing starts any more
            if self._stopping:
                return
            self._stopping = True
            for live in self._live.values():
                live.ask(STOPPING)
        self._news.set()
        for thread in self._threads:
            thread.join(self.settings.limits.grace + 5)
        for runtime in self._runtimes.values():
            runtime.close()
        for id_ in list(self._waiters):
            self._tell(self.get(id_))

    def runtime(self, device: str = "") -> Runtime:
        """Of a device, by default the first; its worker process starts with its first node."""
        device = device or self.settings.devices[0]
        with self._making:
            if device not in self._runtimes:
                settings = self.settings
                self._runtimes[device] = Runtime(device, separate=True, cache=settings.home / "cache", threads=settings.threads, dtype=settings.dtype)
            return self._runtimes[device]

    @property
    def runtimes(self) -> dict[str, Runtime]:
        return dict(self._runtimes)

    # ── asking ──────────────────────────────────────────────────────────────────────────────────

    def submit(self, asked: Asked, parent: str | None = None) -> Future[Run]:
        """Check a run and journal it; the future has it once it is on the disk. Raises GraphError, Refused.

        A key that is known gives its run at once, whatever else has changed since: the answer may have been lost.
        """
        known = self.journal.keyed(asked.key) if asked.key is not None else None
        if known is not None:
            return _here(known)
        graph, data = self.library.open(asked.graph, asked.name)
        return self._journal(self._new(asked, graph, data, [dict(asked.inputs)], key=asked.key, parent=parent)[0])

    def sweep(self, asked: Asked) -> Future[str]:
        """Check a sweep's first cell and journal a run for each; the future has its id once all are on the disk. Raises GraphError, Refused."""
        known = self.journal.swept(asked.key) if asked.key is not None else None
        if known is not None:
            return _here(known)
        graph, data = self.library.open(asked.graph, asked.name)
        axes, cells = self.library.cells(graph, asked.axes, asked.combine)
        new = self._new(asked, graph, data, [{**asked.inputs, **own} for own in cells])
        self._room(len(new))
        future = self.journal.submit_sweep(new, axes, asked.combine, asked.key)
        future.add_done_callback(self._swept)
        return future

    def _new(self, asked: Asked, graph: Graph, data: bytes, inputs: list[dict[str, Any]], **more: Any) -> list[New]:
        """A run for each of these inputs, the first of which are checked. Raises GraphError, Refused."""
        graph.prepare(self.library.inputs(graph, inputs[0]), only=asked.targets, runtime=self.runtime())
        name = asked.graph if isinstance(asked.graph, str) else asked.name
        title = words(graph.document.title) or name
        return [New(document=data, inputs=one, targets=asked.targets, name=name, title=title, source=asked.source, **more) for one in inputs]

    def retry(self, id_: str) -> Future[Run]:
        """Run an ended run's graph and inputs again, as a new run. Raises Refused."""
        run = self.get(id_)
        if run.state not in ENDED:
            raise Refused(409, "not-ended", f"the run {id_} is {run.state}", "Cancel it first, or wait.")
        return self._journal(New(
            document=self.journal.document(run.graph), inputs=run.inputs, targets=run.targets, name=run.name, title=run.title, source=run.source, key=None,
            parent=id_,
        ))  # fmt: skip

    def _room(self, runs: int = 1) -> None:
        """Raises Refused where so many more may not wait."""
        if self._stopping:
            raise Refused(503, "stopping", "the server is stopping", "Submit the run again when it is back.")
        waiting, most = self.journal.waiting(), self.settings.limits.queued
        if waiting + runs > most:
            raise Refused(429, "queue-full", f"{waiting:,} runs are waiting already; at most {most:,} may", "Wait until some have ended, or cancel some.")

    def _journal(self, new: New) -> Future[Run]:
        self._room()
        future = self.journal.submit(new)
        future.add_done_callback(self._submitted)
        return future

    def _submitted(self, future: Future[Run]) -> None:
        """In the journal's thread: nothing here may wait."""
        if future.exception() is None:
            self._waits(future.result())

    def _swept(self, future: Future[str]) -> None:
        """As _submitted."""
        if future.exception() is None:
            for run in self.journal.sweep(future.result()).runs.values():
                self._waits(run)

    def _waits(self, run: Run) -> None:
        self.hub.publish("run", run.id, state=run.state, name=run.name, title=run.title, source=run.source, sweep=run.sweep)
        self._news.set()

    def get(self, id_: str) -> Run:
        """Raises Refused for a run that is not known."""
        run = self.journal.get(id_)
        if run is None:
            raise Refused(404, "no-such-run", f"there is no run `{id_[:60]}`", "It may have been deleted; GET /api/runs lists what is known.")
        return run

    def live(self, id_: str) -> dict[str, Any] | None:
        """What is known of a run that is being executed right now."""
        found = self._live.get(id_)
        return found.state() if found else None

    def when_ended(self, id_: str) -> Future[Run]:
        """A future that has the run once it has ended, or as it is when the server stops. Raises Refused."""
        with self._lock:
            waiter = self._waiters.setdefault(id_, Future())
        try:
            run = self.get(id_)
        except Refused:
            self._waiters.pop(id_, None)
            raise
        if run.state in ENDED or self._stopping:
            self._tell(run)
        return waiter

    def _tell(self, run: Run) -> None:
        with self._lock:
            waiter = self._waiters.pop(run.id, None)
        if waiter is not None and waiter.set_running_or_notify_cancel():
            waiter.set_result(run)

    def cancel(self, id_: str) -> Run:
        """Cancel a queued run, or ask a running one to stop at its next step; the run as it then is. Waits for the disk. Raises Refused."""
        with self._lock:
            live = self._live.get(id_)
            if live is None:
                self.get(id_)
                state = self.journal.cancel(id_).result()
        if live is not None:
            live.ask(CANCELLED)
            return self.get(id_)
        run = self.get(id_)
        if state == "cancelled":
            self._announce(run)
        return run

    def cancel_sweep(self, id_: str) -> None:
        """Cancel all its cells that have not ended. Waits for the disk."""
        with self._lock:
            waiting = self.journal.cancel_sweep(id_).result()
            swept = self.journal.sweep(id_)
            for run in swept.runs.values() if swept else ():
                if run.id in self._live:
                    self._live[run.id].ask(CANCELLED)
        for run in swept.runs.values() if swept else ():
            if run.id in waiting:
                self._announce(run)

    def move(self, id_: str, index: int) -> Run:
        """Move a queued run to a place among those that wait, 0 being the next. Waits for the disk. Raises Refused."""
        run = self.get(id_)
        if not self.journal.move(id_, index).result():
            raise Refused(409, "not-queued", f"the run {id_} is {self.get(id_).state}, so it has no place in the queue", "Only waiting runs can be moved.")
        run = self.get(id_)
        self.hub.publish("run", id_, state=run.state, place=index)
        return run

    def delete(self, id_: str) -> None:
        """Forget an ended run, and the values that no other run needs. Waits for the disk. Raises Refused."""
        run = self.get(id_)
        freed = self.journal.delete(id_).result()
        if freed is None:
            raise Refused(409, "not-ended", f"the run {id_} is {run.state}", "Cancel it first, or wait.")
        for key in freed:
            self.results.remove(key, self.referenced)
        self.hub.publish("run", id_, state="deleted")

    def referenced(self, key: str) -> bool:
        """Whether a value is some run's output, or the input of one."""
        return self.journal.referenced(key) or self.journal.mentions(key)

    # ── working ─────────────────────────────────────────────────────────────────────────────────

    def _work(self, device: str) -> None:
        while not self._stopping:
            self._news.clear()
            try:
                found = self._next(device)
                if found is None:
                    self._news.wait(5)
                else:
                    self._news.set()  # another device may have waited for what came in meanwhile
                    self._execute(*found)
                    self._clear(device)
            except Exception:  # a full disk, before anything was started; whatever it was, the device goes on
                log.exception("a run could not be started, or its end not be told")
                time.sleep(AGAIN)

    def _next(self, device: str) -> tuple[Run, Live] | None:
        with self._lock:
            for head in self.journal.queue(limit=1) if not self._stopping else ():
                run = self.journal.start(head.id, device).result()
                if run is not None:
                    live = self._live[run.id] = Live(run.id, run.attempt, device, self.hub)
                    return run, live
            return None

    def _execute(self, run: Run, live: Live) -> None:
        self.hub.publish("run", run.id, state="running", device=live.device, sweep=run.sweep)
        log.info("run started", extra={"run": run.id, "graph": run.name, "device": live.device})
        engine = None
        state, error, outputs = "failed", None, {}
        try:
            graph = self.library.of_bytes(self.journal.document(run.graph), run.name)
            inputs = self.library.inputs(graph, run.inputs)
            engine, _ = graph.prepare(inputs, only=run.targets, runtime=self.runtime(live.device), listener=live.listen)
            live.begin(engine)
            values, failed = _executed(engine)
            outputs = self._keep(values)
            if failed is not None:
                raise failed
            state = "done"
        except Cancelled:
            state, error = _stopped(live, self.settings.limits.hang)
        except GraphError as problem:
            first = problem.problems[0]
            error = {"code": first.code, "message": str(first), "node": first.node, "problems": [one.as_json() for one in problem.problems]}
        except Refused as refusal:
            error = {"code": refusal.code, "message": refusal.message, "fix": refusal.fix}
        except NodeFailed as failure:
            error = _failure(failure) | ({"also": [_failure(other) for other in failure.also[:MOST_FAILURES]]} if failure.also else {})
        except OSError as problem:
            log.exception("a run's outputs could not be kept", extra={"run": run.id})
            error = {"code": "not-kept", "message": f"its outputs could not be kept: {sentence(problem)}"}
        except BaseException as problem:  # a switch runs in this process, and may even try to leave it
            log.exception("a run failed in the server itself", extra={"run": run.id})
            error = {"code": "internal", "message": f"the server failed at this run ({type(problem).__name__}); its log has the details"}
        self._end(run, live, engine, state, error, outputs)

    def _keep(self, values: Mapping[str, Any]) -> dict[str, Stored]:
        """The run's outputs where they survive. A recipe for weights is no result. Raises OSError, NodeFailed."""
        kept: dict[str, Stored] = {}
        for name, value in values.items():
            if not isinstance(value, Handle):
                try:
                    kept[name] = self.results.put(value)
                except (TypeError, OSError) as error:
                    self.results.release(one.key for one in kept.values())
                    if isinstance(error, OSError):
                        raise
                    raise NodeFailed(name, "output", sentence(error)) from error
        return kept

    def _end(self, run: Run, live: Live, engine: Any, state: str, error: Any, outputs: dict[str, Stored]) -> None:
        """Write the end down, however long the disk refuses; the run is over only then."""
        executed, cached = (engine.executed, live.cached) if engine is not None else (0, 0)
        seconds = time.monotonic() - live.started
        while True:
            try:
                if live.why == STOPPING and state not in ("done", "failed"):
                    self.journal.requeue(run.id, run.attempt).result()
                else:
                    self.journal.end(run.id, run.attempt, state, outputs=outputs, error=error, seconds=seconds, executed=executed, cached=cached,
                                     timings=live.spans).result()  # fmt: skip
                break
            except OSError:
                log.exception("a run's end could not be journalled", extra={"run": run.id})
                if self._stopping:
                    break  # it is still `running` there: the next server takes it up again
                time.sleep(AGAIN)
        self.results.release(one.key for one in outputs.values())
        with self._lock:
            self._live.pop(run.id, None)
        ended = self.journal.get(run.id)
        if ended is not None:
            self._announce(ended)
        self.metrics.ended(state, seconds, executed, cached, engine.from_disk if engine is not None else 0)
        for node, _, took in live.spans:
            self.metrics.worked(engine.program.specs[engine.program.checked.wiring.index[node]].op, took)

    def _announce(self, run: Run) -> None:
        """Tell everyone how a run ended, or that it waits again."""
        outputs = {one.name: {"key": one.key, "type": one.type, "summary": one.summary} for one in self.journal.outputs(run.id)}
        self.hub.publish(
            "run", run.id, state=run.state, error=run.error, outputs=outputs, seconds=run.seconds, executed=run.executed, cached=run.cached, sweep=run.sweep
        )
        log.info("run ended", extra={"run": run.id, "state": run.state, "seconds": run.seconds, "graph": run.name})
        if run.state in ENDED:
            self._tell(run)

    def _clear(self, device: str) -> None:
        """A run that was cancelled or failed is over at once, its last node at its next step; one that does not stop costs the worker
        process, so that the next run finds it free."""
        worker = self.runtime(device).worker
        end = time.monotonic() + self.settings.limits.grace
        while worker.busy and not self._stopping:
            if time.monotonic() > end:
                log.warning("a node did not stop, so its worker process was ended", extra={"device": device})
                worker.restart()
                end = time.monotonic() + self.settings.limits.grace
            time.sleep(GONE)

    def _watch(self) -> None:
        """A run that gives no sign is given up."""
        hang = self.settings.limits.hang
        while not self._stopping:
            time.sleep(WATCH)
            for live in list(self._live.values()):
                if time.monotonic() - live.sign > hang:
                    live.ask(HANGS)


def _here(value: Any) -> Future[Any]:
    """A future that has its value."""
    found: Future[Any] = Future()
    found.set_result(value)
    return found


def _executed(engine: Any) -> tuple[dict[str, Any], NodeFailed | None]:
    """What a run gave, and the node that it failed of: what did not need that node is kept."""
    try:
        return engine.execute(decode=False), None
    except NodeFailed as failed:
        return failed.kept, failed


def _failure(failed: NodeFailed) -> dict[str, Any]:
    return {"code": "worker-lost" if failed.worker_lost else "node-failed", "message": str(failed), "node": failed.node, "op": failed.op}


def _stopped(live: Live, hang: float) -> tuple[str, dict[str, Any] | None]:
    """How a run ends that was asked to stop."""
    if live.why == HANGS:
        return "failed", {"code": "hangs", "message": f"no node gave a sign of life for {hang:g} seconds, so the run was given up"}
    return "cancelled", None
