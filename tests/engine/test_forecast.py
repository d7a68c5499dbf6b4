"""A forecast says what a run then does."""

from __future__ import annotations

import pytest
import stage_nodes as s
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmm import Graph, Runtime
from flowmm.engine.forecast import forecast


def foreseen(graph, runtime, **inputs):
    run, _ = graph.prepare(inputs, runtime=runtime)
    return forecast(runtime, run.program, run.given, run.targets)


def chain(length):
    with Graph() as g:
        x = g.input("x", 0)
        for i in range(length):
            x = g.add(s.add, x, _name=f"n{i}")
        g.output(out=x)
    return g


def test_everything_runs_at_first_and_nothing_the_second_time(runtime):
    graph = chain(3)
    assert foreseen(graph, runtime).runs == ["n0", "n1", "n2"]
    assert s.RAN == []  # asking runs nothing
    graph.run({}, runtime=runtime)
    again = foreseen(graph, runtime)
    assert (again.cached, again.runs) == (["n2"], [])  # a hit on the last node asks for nothing above it


def test_a_changed_input_is_foreseen(runtime):
    graph = chain(2)
    graph.run({}, runtime=runtime)
    assert foreseen(graph, runtime, x=5).runs == ["n0", "n1"]


def test_what_is_on_disk_is_foreseen_without_being_read(on_disk, monkeypatch):
    graph = chain(2)
    graph.run({}, runtime=on_disk())
    fresh = on_disk()
    monkeypatch.setattr(fresh.disk, "get", lambda key: pytest.fail("it was read"))
    assert foreseen(graph, fresh).cached == ["n1"]


def test_an_impure_node_is_not_run_to_know(runtime):
    with Graph() as g:
        g.output(out=s.shout(s.look("there")))
    s.BOX["there"] = "a"
    found = foreseen(g, runtime)
    assert s.RAN == []
    assert (found.runs, found.undecided) == (["look"], ["shout"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12), st.sets(st.integers(0, 11)), st.integers(0, 3))
def test_what_is_foreseen_is_what_happens(edges, kept, x):
    """On random graphs of pure nodes, some of whose values are here already: the nodes said to run are those that run."""
    runtime = Runtime("cpu", cache=None, threads=1)
    with Graph() as g:
        wires = [g.input("x", 0)]
        for i, (a, b) in enumerate(edges):
            wires.append(g.add(s.add, wires[a % len(wires)], wires[b % len(wires)], _name=f"n{i}"))
        g.output(out=wires[-1])
    for i in kept:
        if i < len(edges):
            run, _ = g.prepare({"x": x}, runtime=runtime, only=[f"n{i}.value"])
            run.execute()
    found = foreseen(g, runtime, x=x)
    done = []
    g.run({"x": x}, runtime=runtime, listener=lambda event: done.extend(name for name in event.nodes if name not in event.cached))
    assert set(found.runs) == set(done)
    runtime.close()
