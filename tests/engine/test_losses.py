"""A node fails: what does not need it is computed and kept, what only it needed is left, and each failure is told."""

from __future__ import annotations

import pytest
import stage_nodes as s
from hypothesis import given, settings
from hypothesis import strategies as st
from stage_nodes import until

from flowmm import Graph, NodeFailed, Runtime, node
from flowmm.catalog import Cancelled
from flowmm.engine.forecast import forecast
from flowmm.graph.document import of
from flowmm.sockets import T


def failing(graph: Graph, runtime, **inputs) -> NodeFailed:
    with pytest.raises(NodeFailed) as caught:
        graph.run(inputs, runtime=runtime)
    return caught.value


def two_ends() -> Graph:
    graph = Graph()
    with graph:
        x = graph.input("x", 4)
        shared = s.add(x, _name="shared")
        graph.output(bad=s.add(s.odd_one(shared), _name="after"), good=s.add(shared, 10, _name="good"))
    return graph


def test_what_does_not_need_the_node_that_failed_is_made_and_kept(runtime, ran):
    error = failing(two_ends(), runtime)
    assert (error.node, error.also) == ("odd_one", [])
    assert dict(error.result) == error.kept == {"good": 15}
    assert sorted(ran) == ["add", "add", "odd_one"], "nothing after the failure"


def test_a_result_of_a_failed_run_is_a_result_like_any(runtime, tmp_path):
    error = failing(two_ends(), runtime, x=1)
    assert error.result.good == 12 and error.result.executed == 2
    assert [path.read_text() for path in error.result.save(tmp_path)] == ["12\n"]
    with pytest.raises(AttributeError, match="there are good"):
        error.result.bad  # noqa: B018


def test_every_node_that_failed_is_told(runtime):
    graph, events = Graph(), []
    with graph:
        graph.output(one=s.odd_one(1, _name="first"), two=s.odd_text("two", _name="second"), three=s.add(3))
    with pytest.raises(NodeFailed) as caught:
        graph.run({}, runtime=runtime, listener=events.append)
    failures = [caught.value, *caught.value.also]
    assert sorted(one.node for one in failures) == ["first", "second"]
    broken = [event for event in events if event.kind == "broken"]
    assert [(event.node, event.text) for event in broken] == [(one.node, one.message) for one in failures]
    assert caught.value.kept == {"three": 4}


def test_what_was_made_is_not_made_again(runtime, ran):
    failing(two_ends(), runtime)
    ran.clear()
    assert failing(two_ends(), runtime).kept == {"good": 15}
    assert ran == ["odd_one"]


def test_it_survives_the_process(on_disk, ran):
    failing(two_ends(), on_disk())
    ran.clear()
    assert failing(two_ends(), on_disk()).kept == {"good": 15}
    assert "add" not in ran or ran.count("add") == 1  # `shared` is cheap, so it was not written; the output was


def test_what_only_the_failed_needed_stops_and_is_not_begun(runtime, background, ran):
    doomed, let_go = s.gate("doomed")
    slow, _ = s.gate("slow")
    graph = Graph()
    with graph:
        long = s.add(s.gated("slow", 1), _name="next")
        graph.output(out=s.add(long, s.gated_failure("doomed")))
    run = background(graph, {}, runtime)
    assert doomed.wait(10) or slow.wait(10)
    let_go.set()
    assert run.join().error.node == "gated_failure", "it did not wait for what nobody needs"
    assert ran.count("add") == 0


def test_a_lane_goes_on_with_what_is_needed_for_something_else(runtime, background, ran):
    doomed, let_go = s.gate("doomed first")
    _, open_slow = s.gate("slow")
    graph = Graph()
    with graph:
        long = s.gated("slow", 1)
        graph.output(out=s.add(long, s.gated_failure("doomed first")), half=s.add(long, 5))
    run = background(graph, {}, runtime)
    let_go.set()
    until(lambda: run.run.broken or not doomed.is_set())
    open_slow.set()
    assert run.join().error.kept == {"half": 7}


def test_a_late_node_that_fails_leaves_what_has_no_key_without_it(runtime):
    graph = Graph()
    with graph:
        text = s.look("nowhere")
        graph.output(bad=s.shout(text), good=s.shout("good"), worse=s.choose(s.is_open("nowhere"), "yes", "no"))
    error = failing(graph, runtime)
    assert error.kept == {"good": "GOOD"}
    assert {one.node for one in (error, *error.also)} == {"look", "is_open"}


def test_a_switch_is_lost_with_the_branch_it_took_only(runtime):
    graph = Graph()
    with graph:
        flag = graph.input("flag", True)
        taken = s.choose(flag, s.odd_one(1), s.add(1))
        graph.output(out=s.add(taken), side=s.add(7))
    assert failing(graph, runtime, flag=True).kept == {"side": 8}
    assert graph.run({"flag": False}, runtime=runtime).out == 3


def test_a_round_that_fails_costs_its_frame_alone(runtime):
    document = {
        "flowmm": 1, "outputs": {"all": {"from": "each.value"}, "other": {"from": "other.value"}},
        "nodes": {
            "each": {"op": "local:stage_nodes.odd_one", "each": ["a"], "in": {"a": {"list": [1, 2]}}},
            "other": {"op": "local:stage_nodes.add", "in": {"a": 1}},
        },
    }  # fmt: skip
    error = failing(Graph(of(document)), runtime)
    assert error.node == "each[0]/odd_one" and error.kept == {"other": 2}


def test_nodes_of_a_worker_process_fail_by_themselves_and_one_that_loses_it_ends_the_run(separate):
    graph = Graph()
    with graph:
        graph.output(bad=s.odd_text("x"), good=s.shout("good"))
    assert failing(graph, separate).kept == {"good": "GOOD"}


def test_cancelling_is_no_failure(runtime, background):
    started, _ = s.gate("cancelled")
    graph = Graph()
    with graph:
        graph.output(out=s.gated("cancelled", 1), other=s.odd_one(1))
    run = background(graph, {}, runtime)
    assert started.wait(10)
    run.run.cancel()
    assert isinstance(run.join().error, Cancelled)


def test_a_forecast_goes_past_what_fails(runtime):
    graph = Graph()
    with graph:
        bad = s.choose_badly(True, 1)
        graph.output(bad=s.add(bad), good=s.choose(True, s.add(1, _name="taken"), s.add(2)))
    run, _ = graph.prepare({}, runtime=runtime)
    told = forecast(runtime, run.program, run.given, run.targets)
    assert told.failed.node == "choose_badly" and "taken" in told.runs


# ── any graph ───────────────────────────────────────────────────────────────────────────────────


@node(version=1)
def sum_or_fail(a: int, b: int) -> int:
    return _sum(a, b)


@node(version=1, pure=False)
def late_sum(a: int, b: int) -> int:
    return _sum(a, b)


@node(version=1)
def even(a: int) -> bool:
    return a % 2 == 0


@node(version=1, lane="cpu")
def slow_sum(a: int, b: int) -> int:
    return _sum(a, b)


def _sum(a: int, b: int) -> int:
    if (a + b) % 5 == 4:
        raise ValueError("a sum of that sort")
    return a + b


@node(version=1, lazy=("yes", "no"))
def either(flag: bool, yes: T, no: T) -> T:
    return yes if flag else no


KINDS = {"sum": sum_or_fail, "late": late_sum, "slow": slow_sum}
steps = st.lists(st.tuples(st.sampled_from([*KINDS, "either"]), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=14)


@settings(max_examples=150, deadline=None)
@given(steps, st.lists(st.integers(0, 40), min_size=1, max_size=5))
def test_what_is_kept_is_what_plain_python_has_of_it(made, chosen):
    graph, wires, values = Graph(), [], []
    with graph:
        for number in range(3):
            wires.append(graph.input(f"x{number}", number))
            values.append(number)
        for kind, i, j, k in made:
            i, j, k = (one % len(wires) for one in (i, j, k))
            if kind == "either":
                wires.append(either(even(wires[i]), wires[j], wires[k]))
                values.append(None if values[i] is None else values[j] if values[i] % 2 == 0 else values[k])
            else:
                wires.append(KINDS[kind](wires[i], wires[j]))
                lost = values[i] is None or values[j] is None or (values[i] + values[j]) % 5 == 4
                values.append(None if lost else values[i] + values[j])
        wanted = {f"out{n}": 3 + one % (len(wires) - 3) for n, one in enumerate(chosen)}
        graph.output(**{name: wires[at] for name, at in wanted.items()})
    expected = {name: values[at] for name, at in wanted.items()}
    runtime = Runtime("cpu", cache=None, threads=1)
    try:
        if None in expected.values():
            assert failing(graph, runtime).kept == {name: value for name, value in expected.items() if value is not None}
        else:
            assert dict(graph.run({}, runtime=runtime)) == expected
    finally:
        runtime.close()
