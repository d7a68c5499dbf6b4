"""What a run says while it works, and in which order."""

from __future__ import annotations

import asyncio

import pytest
import stage_nodes as s

from flowmm import Graph
from flowmm.engine.events import Reporter


def stepping(count: int = 40) -> Graph:
    graph = Graph()
    with graph:
        graph.output(out=s.add(s.steps(count, pause=0.005)))
    return graph


def events_of(graph: Graph, runtime) -> list:
    events = []
    graph.run(runtime=runtime, listener=events.append)
    return events


@pytest.fixture(params=["inline", "separate"])
def either(request, runtime):
    return runtime if request.param == "inline" else request.getfixturevalue("separate")


def test_a_run_plans_runs_reports_progress_and_finishes_in_this_order(either):
    either.memory.clear()
    events = events_of(stepping(), either)
    kinds = list(dict.fromkeys(event.kind for event in events))
    assert kinds == ["planned", "running", "progress", "preview", "finished"]
    assert events[0].total == 2
    assert next(e.node for e in events if e.kind == "running") == "steps"
    assert sum(len(e.nodes) for e in events if e.kind == "finished") == 2


def test_progress_counts_up_and_says_how_long_it_will_take(either):
    either.memory.clear()
    progress = [e for e in events_of(stepping(), either) if e.kind == "progress"]
    assert [e.step for e in progress] == sorted({e.step for e in progress})
    assert (progress[-1].step, progress[-1].steps, progress[-1].eta) == (40, 40, 0)
    assert all(e.eta is None or e.eta >= 0 for e in progress) and any(e.eta for e in progress)


def test_a_preview_is_a_picture(either):
    either.memory.clear()
    previews = [e for e in events_of(stepping(), either) if e.kind == "preview"]
    assert previews and all(e.image.pixels.shape == (1, 3, 4, 4) for e in previews)


def test_previews_that_take_long_are_few_and_none_is_made_for_nobody(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("flowmm.engine.events.time.monotonic", lambda: clock[0])

    def run(listener):
        made = []

        def draw():
            clock[0] += 0.5
            made.append(1)

        reporter = Reporter(listener)
        started = clock[0]
        for step in range(500):
            reporter.progress("paint", step, 500, draw)
            clock[0] += 0.1
        return len(made), clock[0] - started

    count, seconds = run(lambda event: None)
    assert 5 <= count and count * 0.5 <= 0.1 * seconds + 0.5  # a tenth, and the one that is being made
    assert run(None)[0] == 0


def test_events_are_deltas_and_few(runtime):
    """A thousand nodes in a moment are a handful of events, and each node is named once."""
    graph = Graph()
    x = 0
    with graph:
        for _ in range(1000):
            x = s.add(x)
        graph.output(out=x)
    events = events_of(graph, runtime)
    named = [name for e in events if e.kind == "finished" for name in e.nodes]
    assert len(named) == len(set(named)) == 1000
    assert len(events) < 100


def test_hits_are_counted_as_cached(runtime):
    events_of(stepping(1), runtime)
    (finished,) = [e for e in events_of(stepping(1), runtime) if e.kind == "finished"]
    assert (finished.nodes, finished.cached) == (["add"], ["add"])


def test_notes_come_before_the_end(runtime):
    runtime._notes.append("something to know")
    events = events_of(stepping(1), runtime)
    assert [e.text for e in events if e.kind == "note"] == ["something to know"]


def test_steps_are_reported_at_most_every_interval_but_the_last_always():
    sent = []
    reporter = Reporter(sent.append)
    reporter.running("n")
    for step in range(1, 1001):
        reporter.progress("n", step, 1000)
    steps = [e.step for e in sent if e.kind == "progress"]
    assert steps[0] == 1 and steps[-1] == 1000 and len(steps) < 100


@pytest.fixture
def as_default(monkeypatch, runtime):
    monkeypatch.setattr("flowmm.engine.runtime.default_runtime", lambda device="auto": runtime)


def test_a_stream_ends_with_the_result_or_the_failure(as_default):
    done = list(stepping(2).stream())[-1]
    assert done.kind == "done" and done.result.out == 3
    graph = Graph()
    with graph:
        graph.output(out=s.odd_one(1))
    failed = list(graph.stream())[-1]
    assert (failed.kind, failed.node) == ("failed", "odd_one") and "not a number this node likes" in failed.text


def test_cancelling_the_task_of_an_async_run_cancels_the_run(as_default, runtime, ran):
    started, let_go = s.gate("async")

    async def scenario():
        graph = Graph()
        with graph:
            graph.output(out=s.gated("async", 1))
        task = asyncio.create_task(graph.run_async())
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    s.until(lambda: not runtime._flights)
    assert ran == ["gated async"] and not let_go.is_set()


def test_waiting_threads_do_not_spin_for_long_unless_a_person_says_otherwise(monkeypatch):
    """Set before torch is imported: a sampler beside a busy program is else many times slower."""
    import os

    from flowmm.machine import calm_threads

    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    calm_threads()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    calm_threads()
    assert os.environ["GOMP_SPINCOUNT"] == "2000"


def test_nodes_that_took_a_while_are_timed_and_others_are_not():
    sent = []
    reporter = Reporter(sent.append)
    reporter.finished("quick", seconds=0.0001)
    reporter.finished("slow", seconds=0.25)
    reporter.finished("known", cached=True)
    reporter.flush()
    took = {}
    for event in sent:
        took |= event.took
    assert took == {"slow": 0.25}
