"""Execution is asked for backwards: what is cached ends the walk, and nothing runs twice."""

from __future__ import annotations

import pytest
import stage_nodes as s

from flowmm import Graph, NodeFailed


def chain(length: int) -> Graph:
    graph = Graph()
    x = graph.input("x", 0)
    with graph:
        for _ in range(length):
            x = s.add(x)
        graph.output(sum=x)
    return graph


def test_a_hit_on_the_last_node_runs_nothing_above_it(runtime, ran):
    graph = chain(5)
    assert graph.run({"x": 3}, runtime=runtime).sum == 8
    ran.clear()
    result = graph.run({"x": 3}, runtime=runtime)
    assert result.sum == 8 and result.executed == 0 and ran == []


def test_a_hit_on_the_last_node_looks_at_nothing_above_it(runtime):
    chain(5).run({"x": 3}, runtime=runtime)
    before = runtime.memory.stats()
    chain(5).run({"x": 3}, runtime=runtime)
    after = runtime.memory.stats()
    assert (after["hits"] - before["hits"], after["misses"] - before["misses"]) == (1, 0)


def test_a_changed_input_runs_only_what_depends_on_it(runtime, ran):
    graph = Graph()
    x, y = graph.input("x", 1), graph.input("y", 2)
    with graph:
        graph.output(out=s.add(s.add(x), s.add(y)))
    graph.run(runtime=runtime)
    ran.clear()
    assert graph.run({"y": 5}, runtime=runtime).out == 8
    assert len(ran) == 2


def test_only_the_wanted_outputs_are_made(runtime, ran):
    graph = Graph()
    with graph:
        graph.output(one=s.shout("one"), two=s.shout("two"))
    assert dict(graph.run(only=["two"], runtime=runtime)) == {"two": "TWO"}
    assert ran == ["shout two"]


def test_nodes_that_no_output_needs_never_run(runtime, ran):
    graph = Graph()
    with graph:
        s.odd_one(1)
        graph.output(out=s.add(1))
    assert graph.run(runtime=runtime).out == 2 and ran == ["add"]


def test_two_nodes_that_compute_the_same_run_once(runtime, ran):
    graph = Graph()
    x = graph.input("x", 1)
    with graph:
        graph.output(out=s.total([s.add(x), s.add(x), s.add(x, 1), s.add(1)]))
    assert graph.run(runtime=runtime).out == 8
    assert ran == ["add", "total"]


def test_twins_of_a_slow_node_wait_for_it(runtime, background, ran):
    started, let_go = s.gate("twins")
    graph = Graph()
    with graph:
        graph.output(out=s.total([s.gated("twins", 4), s.gated("twins", 4)]))
    run = background(graph, {}, runtime)
    assert started.wait(10)
    let_go.set()
    assert run.join().result.out == 16
    assert ran == ["gated twins", "total"]


def test_several_outputs_of_a_node_come_from_one_call(runtime, ran):
    graph = Graph()
    with graph:
        divided = s.divide(graph.input("x", 47))
        graph.output(out=s.add(divided.quotient, divided.rest), rest=divided.rest)
    assert dict(graph.run(runtime=runtime)) == {"out": 11, "rest": 7}
    assert ran == ["divide", "add"]


def test_a_failing_node_names_itself_and_what_others_made_is_kept(runtime, ran):
    graph = Graph()
    with graph:
        good = s.add(graph.input("x", 1))
        graph.output(good=good, bad=s.odd_one(good))
    with pytest.raises(NodeFailed, match=r"odd_one \(local:stage_nodes.odd_one\): 2 is not a number this node likes") as caught:
        graph.run(runtime=runtime)
    assert caught.value.node == "odd_one" and isinstance(caught.value.__cause__, ValueError)
    ran.clear()
    assert graph.run(only=["good"], runtime=runtime).good == 2 and ran == []


def test_a_failure_is_never_cached(runtime, ran):
    graph = Graph()
    with graph:
        graph.output(bad=s.odd_one(1))
    for _ in range(2):
        with pytest.raises(NodeFailed):
            graph.run(runtime=runtime)
    assert ran == ["odd_one", "odd_one"]


def test_a_node_that_breaks_its_promise_is_told_so(runtime):
    graph = Graph()
    with graph:
        graph.output(bad=s.lie("x"))
    with pytest.raises(NodeFailed, match="its output `text` is a str, not a Text, as it declares"):
        graph.run(runtime=runtime)


def test_values_nobody_waits_for_are_let_go(ran):
    from flowmm import Runtime

    runtime = Runtime("cpu", cache=None, memory_budget=1000)  # nothing large is kept between runs
    graph = Graph()
    with graph:
        x = s.big(100_000)
        for _ in range(20):
            x = s.bigger(x)
        graph.output(out=s.sum_of(x))
    assert graph.run(runtime=runtime).out == 2_100_000
    assert max(int(call.split()[1]) for call in ran) <= 3
    runtime.close()


def test_a_value_that_was_let_go_is_found_again_by_a_later_stage(runtime):
    graph = Graph()
    with graph:
        early = s.add(1)
        flag = s.choose(True, s.add(early), 0)
        graph.output(out=s.total([s.add(flag, 10), early]))
    assert graph.run(runtime=runtime).out == 15


def test_a_second_runtime_finds_the_outputs_on_disk(on_disk, ran):
    chain(3).run({"x": 1}, runtime=on_disk())
    ran.clear()
    result = chain(3).run({"x": 1}, runtime=on_disk())
    assert (result.sum, result.from_disk, result.executed, ran) == (4, 1, 0, [])


def test_lists_may_hold_links_inputs_literals_and_lists(runtime):
    graph = Graph()
    x = graph.input("x", 5)
    with graph:
        graph.output(flat=s.total([s.add(x), 1, x]), deep=s.total_deep([[s.add(x), 1], [x], []]))
    assert dict(graph.run(runtime=runtime)) == {"flat": 12, "deep": 1203}
    assert dict(graph.run({"x": 1}, runtime=runtime)) == {"flat": 4, "deep": 403}


def test_an_input_reaches_a_list_that_may_be_left_out(runtime):
    graph = Graph()
    with graph:
        graph.output(out=s.maybe_total([graph.input("x", 5), 1]))
    assert graph.run({"x": 2}, runtime=runtime).out == 3


def test_one_input_has_the_form_each_port_wants(runtime):
    graph = Graph()
    x = graph.input("x", 3)
    with graph:
        graph.output(out=s.both(x, x))
    assert graph.run(runtime=runtime).out == "3 3.0"
