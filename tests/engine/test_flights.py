"""Runs side by side: one computes, all receive; cancelling one costs the others nothing."""

from __future__ import annotations

import threading

import pytest
import stage_nodes as s
from stage_nodes import until

from flowmm import Graph, NodeFailed
from flowmm.catalog import Cancelled


def gated(name: str, *, after: bool = True) -> Graph:
    graph = Graph()
    with graph:
        slow = s.gated(name, graph.input("x", 4))
        graph.output(out=s.add(slow) if after else slow)
    return graph


def test_two_runs_that_ask_for_the_same_key_compute_it_once(runtime, background, ran):
    started, let_go = s.gate("shared")
    first = background(gated("shared"), {}, runtime)
    assert started.wait(10)
    second = background(gated("shared"), {}, runtime)
    until(lambda: waiting(runtime) == 2)
    let_go.set()
    assert (first.join().result.out, second.join().result.out) == (9, 9)
    assert ran.count("gated shared") == 1
    assert ran.count("add") == 1  # whoever came second found it finished, or waited


def waiting(runtime) -> int:
    """How many runs wait for the one key that is being computed."""
    return len(next(iter(runtime._flights.values()), []))


def test_when_the_first_of_two_runs_is_cancelled_the_second_goes_on(runtime, background, ran):
    started, let_go = s.gate("handed over")
    first = background(gated("handed over"), {}, runtime)
    assert started.wait(10)
    second = background(gated("handed over"), {}, runtime)
    until(lambda: waiting(runtime) == 2)
    first.run.cancel()
    assert isinstance(first.join().error, Cancelled)
    let_go.set()
    assert second.join().result.out == 9
    assert ran.count("gated handed over") == 1  # it has a waiter left, so it was not even interrupted


def test_a_run_whose_shared_node_was_cancelled_computes_it_itself(runtime, background, ran):
    started, let_go = s.gate("again")
    first = background(gated("again"), {}, runtime)
    assert started.wait(10)
    first.run.cancel()
    first.join()
    second = background(gated("again"), {}, runtime)  # may join the flight that is about to land as cancelled
    let_go.set()
    assert second.join().result.out == 9


def test_a_failure_reaches_every_run_that_waits_and_names_each_ones_own_node(runtime, background):
    started, let_go = s.gate("doomed")

    def graph(name: str) -> Graph:
        made = Graph()
        with made:
            made.output(out=made.add(s.gated_failure, "doomed", _name=name))
        return made

    one = background(graph("one"), {}, runtime)
    assert started.wait(10)
    two = background(graph("two"), {}, runtime)
    until(lambda: waiting(runtime) == 2)
    let_go.set()
    assert [run.join().error.node for run in (one, two)] == ["one", "two"]
    assert all("doomed from the start" in str(run.error) for run in (one, two))


def test_cancel_takes_effect_at_the_next_step_and_leaves_everything_usable(runtime, background, ran):
    started, let_go = s.gate("cancelled")
    run = background(gated("cancelled"), {}, runtime)
    assert started.wait(10)
    run.run.cancel()
    assert isinstance(run.join().error, Cancelled)
    until(lambda: not runtime._flights)
    let_go.set()
    assert gated("cancelled").run(runtime=runtime).out == 9
    assert ran.count("gated cancelled") == 2


def test_a_run_cancelled_before_it_starts_computes_nothing(runtime, ran):
    graph = gated("never")
    run, _ = graph.prepare({}, runtime=runtime)
    run.cancel()
    with pytest.raises(Cancelled):
        run.execute()
    assert ran == []


def test_leaving_a_stream_early_cancels_the_run(monkeypatch, runtime):
    monkeypatch.setattr("flowmm.engine.runtime.default_runtime", lambda device="auto": runtime)
    s.gate("streamed")
    for event in gated("streamed").stream():
        if event.kind == "running":
            break
    until(lambda: not runtime._flights)


def test_two_nodes_of_the_files_lane_overlap(runtime):
    s.BOX["both"] = threading.Barrier(2, timeout=60)  # breaks unless both are there at once
    graph = Graph()
    with graph:
        graph.output(out=s.total([s.meet("both", 1), s.meet("both", 2)]))
    assert graph.run(runtime=runtime).out == 3


def test_inline_nodes_go_on_while_a_lane_is_busy(runtime, background, ran):
    started, let_go = s.gate("busy")
    graph = Graph()
    with graph:
        slow = s.gated("busy", 1)
        quick = s.shout("quick")
        graph.output(slow=slow, quick=quick)
    run = background(graph, {}, runtime)
    assert started.wait(10)
    until(lambda: "shout quick" in ran)
    let_go.set()
    assert dict(run.join().result) == {"slow": 2, "quick": "QUICK"}


def test_a_flight_takes_the_highest_priority_of_those_who_wait(runtime, background, monkeypatch):
    submitted = []
    submit = runtime.worker.submit
    monkeypatch.setattr(runtime.worker, "submit", lambda task: (submitted.append(task), submit(task)))
    started, let_go = s.gate("urgent")
    low = background(gated("urgent"), {}, runtime, priority=1)
    assert started.wait(10)
    assert submitted[0].priority() == 1
    high = background(gated("urgent"), {}, runtime, priority=7)
    until(lambda: waiting(runtime) == 2)
    assert submitted[0].priority() == 7
    let_go.set()
    low.join(), high.join()


def test_a_closed_runtime_says_so_instead_of_waiting(runtime):
    runtime.close()
    with pytest.raises(NodeFailed, match="the worker was closed"):
        gated("closed").run(runtime=runtime)
