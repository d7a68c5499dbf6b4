"""One Graph in the hands of several threads, as a server's are: each run has the inputs of its own."""

from __future__ import annotations

import sys
import threading

import face_nodes
import pytest

import flowmm


@pytest.fixture
def switching():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_open_a_graph_at_once_make_one_of_everything(noise_graph, switching):
    for _ in range(60):
        graph = flowmm.Graph(noise_graph.document)
        start, made = threading.Barrier(4), []

        def look(graph=graph, start=start, made=made):
            start.wait()
            made.append((graph.lowered, graph.wiring, graph.inputs, graph.outside))

        threads = [threading.Thread(target=look) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert all(one is other for found in made for one, other in zip(found, made[0])), "wires are known by what they are"


def test_runs_that_begin_at_once_have_their_inputs(runtime, switching):
    with flowmm.Graph() as shared:
        shared.output(y=face_nodes.noise(shared.input("seed", 3), size=shared.input("size", 4)))
    failures = []
    for _ in range(25):
        graph = flowmm.Graph(shared.document)
        start = threading.Barrier(3)

        def run(seed, graph=graph, start=start):
            start.wait()
            try:
                graph.check()
                prepared, _ = graph.prepare({"seed": seed}, runtime=runtime)
                assert all(wire in prepared.given for wire in prepared.program.fed), "every input that a node reads has its value"
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=run, args=(seed,)) for seed in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert not failures, failures[0]
