"""Frames: once for each item of a list, again and again with a state; both equal plain Python, and single runs."""

from __future__ import annotations

import pytest
from short import OP, doc, graph, problems, wire
from test_pieces import keys

from flowmm import Graph, GraphError, NodeFailed, Runtime
from flowmm.graph.document import of

STEP = doc({"n": ("add", {"a": wire("input.x"), "b": wire("input.by")})}, {"out": "n.value"}, {"x": ..., "by": 1})


def framed(nodes, outputs, inputs=None, frames=None, **more):
    """As graph, with further fields of nodes."""
    raw = doc(nodes, outputs, inputs, **more)
    for name, fields in (frames or {}).items():
        raw["nodes"][name] |= fields
    return Graph(of(raw))


# ── each ────────────────────────────────────────────────────────────────────────────────────────


def test_a_node_runs_once_for_each_item_and_collects(runtime, ran):
    made = framed({"n": ("add", {"a": {"value": [1, 2, 3]}, "b": 10})}, {"out": "n.value"}, frames={"n": {"each": ["a"]}})
    assert problems(made) == []
    assert made.run(runtime=runtime).out == [11, 12, 13] and ran == ["add 1 10", "add 2 10", "add 3 10"]


def test_a_graph_runs_once_for_each_item(runtime):
    made = framed({"n": ("graph:step", {"x": {"value": [1, 2, 3]}, "by": 5}), "t": ("total", {"items": wire("n.out")})}, {"out": "t.value", "all": "n.out"},
                  frames={"n": {"each": ["x"]}}, graphs={"step": STEP})  # fmt: skip
    assert dict(made.run(runtime=runtime)) == {"out": 21, "all": [6, 7, 8]}


def test_lists_go_side_by_side_or_each_with_each(runtime):
    nodes = {"n": ("add", {"a": {"value": [1, 2]}, "b": {"value": [10, 20]}})}
    assert framed(nodes, {"out": "n.value"}, frames={"n": {"each": ["a", "b"]}}).run(runtime=runtime).out == [11, 22]
    product = framed(nodes, {"out": "n.value"}, frames={"n": {"each": ["a", "b"], "combine": "product"}})
    assert product.run(runtime=runtime).out == [11, 21, 12, 22]


def test_a_list_of_wires_a_computed_one_and_one_that_is_given_all_work(runtime):
    wires = framed({"p": ("add", {"a": 1}), "n": ("add", {"a": {"list": [wire("p.value"), 7, wire("input.x")]}})}, {"out": "n.value"}, {"x": 0},
                   frames={"n": {"each": ["a"]}})  # fmt: skip
    assert wires.run({"x": 40}, runtime=runtime).out == [3, 8, 41]
    computed = framed({"r": ("numbers", {"upto": wire("input.x")}), "n": ("add", {"a": wire("r.value")})}, {"out": "n.value"}, {"x": 0},
                      frames={"n": {"each": ["a"]}})  # fmt: skip
    assert computed.run({"x": 4}, runtime=runtime).out == [1, 2, 3, 4] and computed.run({"x": 0}, runtime=runtime).out == []
    given = framed({"n": ("add", {"a": wire("input.xs")})}, {"out": "n.value"}, {"xs": [1]}, frames={"n": {"each": ["a"]}})
    assert given.run({"xs": [5, 6]}, runtime=runtime).out == [6, 7] and str(given.inputs["xs"].type) == "list[int]"


def test_what_does_not_hang_on_the_item_runs_once_and_an_item_that_comes_again_not_at_all(runtime, ran):
    inner = doc({"fixed": ("add", {"a": 100, "b": wire("input.by")}), "n": ("add", {"a": wire("fixed.value"), "b": wire("input.x")})},
                {"out": "n.value"}, {"x": ..., "by": 1})  # fmt: skip
    made = framed({"n": ("graph:inner", {"x": {"value": [1, 2, 1]}})}, {"out": "n.out"}, frames={"n": {"each": ["x"]}}, graphs={"inner": inner})
    assert made.run(runtime=runtime).out == [102, 103, 102]
    assert ran == ["add 100 1", "add 101 1", "add 101 2"]
    ran.clear()
    assert made.run(runtime=runtime).executed == 0
    longer = framed({"n": ("graph:inner", {"x": {"value": [1, 2, 1, 9]}})}, {"out": "n.out"}, frames={"n": {"each": ["x"]}}, graphs={"inner": inner})
    longer.run(runtime=runtime)
    assert ran == ["add 101 9"]


def test_a_round_equals_a_single_run_and_takes_its_values_from_the_cache(runtime, ran):
    for x in (3, 4):
        graph({"p": ("add", {"a": x, "b": 1})}, {"out": "p.value"}).run(runtime=runtime)
    ran.clear()
    made = framed({"n": ("graph:step", {"x": {"value": [3, 4]}})}, {"out": "n.out"}, frames={"n": {"each": ["x"]}}, graphs={"step": STEP})
    assert made.run(runtime=runtime).out == [4, 5] and ran == []


def test_frames_lie_in_frames(runtime):
    inner = doc({"n": ("add", {"a": wire("input.row"), "b": wire("input.by")})}, {"out": "n.value"}, {"row": ..., "by": 0})
    inner["nodes"]["n"]["each"] = ["a"]
    made = framed({"rows": ("graph:inner", {"row": {"value": [[1, 2], [], [3]]}, "by": wire("p.value")}), "p": ("add", {"a": 99})}, {"out": "rows.out"},
                  frames={"rows": {"each": ["row"]}}, graphs={"inner": inner})  # fmt: skip
    assert problems(made) == []
    assert made.run(runtime=runtime).out == [[101, 102], [], [103]]


def test_models_are_loaded_inside_and_outside(runtime):
    """Makers of handles are late; what they make goes into a frame and comes out of it."""
    raw = {
        "flowmm": 1, "inputs": {"prompts": {"default": ["a red circle", "a blue star"]}},
        "nodes": {
            "paint": {"op": "graph:text-to-image", "in": {"prompt": {"from": "input.prompts"}, "steps": 2, "seed": 3}, "each": ["prompt"]},
            "parts": {"op": "diffusion.load", "in": {"source": "zoo:sd"}},
            "words": {"op": "diffusion.encode_prompt", "each": ["text"], "in": {
                "tokenizer": {"from": "parts.tokenizer"}, "encoder": {"from": "parts.text_encoder"}, "text": {"from": "input.prompts"}}},
        },
        "outputs": {"images": {"from": "paint.image"}, "words": {"from": "words.conditioning"}},
    }  # fmt: skip
    made = Graph(of(raw))
    assert problems(made) == []
    result = made.run(runtime=runtime)
    from flowmm import load

    alone = load("text-to-image").run({"prompt": "a blue star", "steps": 2, "seed": 3}, runtime=runtime).image
    assert (result.images[1].pixels == alone.pixels).all() and len(result.images) == 2
    assert (result.words[1].hidden == load("text-to-image").peek("words.conditioning", prompt="a blue star").hidden).all()


def test_a_worker_process_goes_round_too(tmp_path):
    made = framed({"n": ("graph:step", {"x": {"value": [1, 2, 3]}}), "t": ("total", {"items": wire("n.out")}), "h": ("logic.reroute", {"value": wire("n.out")})},
                  {"out": "t.value", "all": "n.out"}, frames={"n": {"each": ["x"]}}, graphs={"step": STEP})  # fmt: skip
    apart = Runtime("cpu", cache=tmp_path / "cache", threads=1, separate=True)
    try:
        assert dict(made.run(runtime=apart)) == {"out": 9, "all": [2, 3, 4]}
    finally:
        apart.close()
    again = Runtime("cpu", cache=tmp_path / "cache", threads=1, separate=True)
    try:
        result = made.run(runtime=again)
        assert dict(result) == {"out": 9, "all": [2, 3, 4]} and result.executed == 0
    finally:
        again.close()


def test_a_worker_process_keeps_what_no_node_made(tmp_path):
    """No item at all; what a piece only hands on; a list that is put together inside; what a loop began with."""
    hands = {"flowmm": 1, "inputs": {"x": {}, "y": {"default": 1}}, "nodes": {"r": {"op": "logic.reroute", "in": {"value": wire("input.x")}}, "a": {"op": OP + "add", "in": {"a": wire("input.y")}}},
             "outputs": {"x": {"from": "r.value"}, "a": {"from": "a.value"}}}  # fmt: skip
    frames = {"none": {"each": ["a"]}, "handed": {"each": ["x"]}, "loop": {"loop": {"carry": {"y": "a"}, "most": 3}}}
    made = framed({"none": ("add", {"a": {"list": []}}), "handed": ("graph:hands", {"x": {"value": [1, 2]}}), "loop": ("graph:hands", {"x": 7})},
                  {"none": "none.value", "handed": "handed.x", "kept": "loop.x", "last": "loop.a"}, frames=frames, graphs={"hands": hands})  # fmt: skip
    for ran in (4, 0):
        apart = Runtime("cpu", cache=tmp_path / "cache", threads=1, separate=True)
        try:
            result = made.run(runtime=apart)
            assert dict(result) == {"none": [], "handed": [1, 2], "kept": 7, "last": 4}
            assert (result.executed > 0) == bool(ran)
        finally:
            apart.close()


def test_a_failure_names_the_round_and_the_node_in_it(runtime):
    inner = doc({"n": ("reciprocal", {"of": wire("input.x")})}, {"out": "n.value"}, {"x": ...})
    outer = doc({"row": ("graph:inner", {"x": wire("input.row")})}, {"out": "row.out"}, {"row": ...})
    outer["nodes"]["row"]["each"] = ["x"]
    made = framed({"all": ("graph:outer", {"row": {"value": [[1, 2], [4, 0]]}})}, {"out": "all.out"}, frames={"all": {"each": ["row"]}},
                  graphs={"inner": inner, "outer": outer})  # fmt: skip
    with pytest.raises(NodeFailed) as failed:
        made.run(runtime=runtime)
    assert failed.value.node == "all[1]/row[1]/n" and failed.value.op.endswith("reciprocal") and "ZeroDivisionError" in failed.value.message


def test_progress_counts_rounds_and_names_those_inside(runtime):
    inner = doc({"n": ("steps", {"count": wire("input.x")})}, {"out": "n.value"}, {"x": ...})
    made = framed({"all": ("graph:inner", {"x": {"value": [2, 3]}})}, {"out": "all.out"}, frames={"all": {"each": ["x"]}}, graphs={"inner": inner})
    events = []
    made.run(runtime=runtime, listener=events.append)
    told = {(event.node, event.step, event.steps) for event in events if event.kind == "progress"}
    assert {("all", 2, 2), ("all[0]/n", 2, 2), ("all[1]/n", 3, 3)} <= told
    assert all(name == "all" for event in events if event.kind == "finished" for name in event.nodes)


@pytest.mark.parametrize(
    ("given", "fields", "code", "words"),
    [
        ({"a": 5}, {"each": ["a"]}, "bad-literal", "a list"),
        ({"a": wire("p.value")}, {"each": ["a"]}, "type-mismatch", "is an int, but `a` wants a list\\[int\\]"),
        ({}, {"each": ["a"]}, "missing-input", "no list is given"),
        ({"a": {"value": [1]}}, {"each": ["c"]}, "no-such-port", "has no input `c`"),
        ({"a": {"value": [1, 2]}, "b": {"list": [1, 2, 3]}}, {"each": ["a", "b"]}, "unequal-lists", "`a` has 2, `b` has 3"),
        ({"a": {"value": ["x"]}}, {"each": ["a"]}, "bad-literal", "a whole number"),
        ({"a": {"value": [1]}}, {"each": ["a"], "loop": {"most": 3}}, "each-and-loop", "one of them"),
        ({"a": 1}, {"loop": {"carry": {"a": "value"}}}, "unbounded-loop", "rounds at most"),
        ({"a": 1}, {"loop": {"carry": {"a": "valeu"}, "most": 2}}, "no-such-output", "Did you mean `value`"),
        ({"a": 1}, {"loop": {"carry": {"c": "value"}, "most": 2}}, "no-such-port", "has no input `c`"),
        ({}, {"loop": {"carry": {"a": "value"}, "most": 2}}, "missing-input", "begins with"),
        ({"a": 1}, {"loop": {"carry": {"a": "value"}, "until": "value", "most": 2}}, "type-mismatch", "wants a bool"),
    ],
)
def test_bad_frames_get_one_problem_with_what_to_do(given, fields, code, words):
    made = framed({"p": ("add", {"a": 1}), "n": ("add", given)}, {"out": "n.value"}, frames={"n": fields})
    with pytest.raises(GraphError, match=words) as found:
        made()
    assert [(one.code, one.node) for one in found.value.problems] == [(code, "n")] and found.value.problems[0].fix


def test_computed_lists_of_different_lengths_fail_in_words(runtime):
    made = framed({"r": ("numbers", {"upto": 3}), "s": ("numbers", {"upto": 2}), "n": ("add", {"a": wire("r.value"), "b": wire("s.value")})},
                  {"out": "n.value"}, frames={"n": {"each": ["a", "b"]}})  # fmt: skip
    with pytest.raises(NodeFailed, match="n .*`a` has 3, `b` has 2; make them equally long"):
        made.run(runtime=runtime)


# ── loops ───────────────────────────────────────────────────────────────────────────────────────

DOUBLE = doc({"d": ("add", {"a": wire("input.x"), "b": wire("input.x")}), "big": ("above", {"a": wire("d.value"), "than": wire("input.limit")})},
             {"x": "d.value", "enough": "big.value"}, {"x": ..., "limit": 100})  # fmt: skip


def test_a_loop_ends_when_it_is_good_enough(runtime):
    made = framed({"n": ("graph:double", {"x": wire("input.start")})}, {"out": "n.x", "enough": "n.enough"}, {"start": 3},
                  frames={"n": {"loop": {"carry": {"x": "x"}, "until": "enough", "most": 50}}}, graphs={"double": DOUBLE})  # fmt: skip
    assert problems(made) == []
    assert dict(made.run(runtime=runtime)) == {"out": 192, "enough": True}
    assert dict(made.run({"start": 60}, runtime=runtime)) == {"out": 120, "enough": True}


def test_a_loop_ends_at_its_bound(runtime):
    made = framed({"n": ("graph:double", {"x": 1})}, {"out": "n.x", "enough": "n.enough"},
                  frames={"n": {"loop": {"carry": {"x": "x"}, "until": "enough", "most": 3}}}, graphs={"double": DOUBLE})  # fmt: skip
    assert dict(made.run(runtime=runtime)) == {"out": 8, "enough": False}
    counted = framed({"n": ("add", {"a": 0, "b": 2})}, {"out": "n.value"}, frames={"n": {"loop": {"carry": {"a": "value"}, "most": 1000}}})
    assert counted.run(runtime=runtime).out == 2000


def test_a_loop_that_goes_on_longer_goes_on_where_the_shorter_ended(runtime, ran):
    for most in (3, 5):
        framed({"n": ("add", {"a": 0, "b": 2})}, {"out": "n.value"}, frames={"n": {"loop": {"carry": {"a": "value"}, "most": most}}}).run(runtime=runtime)
    assert ran == [f"add {a} 2" for a in (0, 2, 4, 6, 8)]


def test_the_state_of_a_loop_keeps_its_type():
    made = framed({"n": ("graph:turn", {"x": 1})}, {"out": "n.out"}, frames={"n": {"loop": {"carry": {"x": "out"}, "most": 2}}},
                  graphs={"turn": doc({"w": ("write", {"number": wire("input.x")})}, {"out": "w.value"}, {"x": 1})})  # fmt: skip
    problem, = made.check().problems
    assert (problem.code, problem.node) == ("type-mismatch", "n") and "str" in problem.message and "int" in problem.message


def test_a_frame_with_nothing_late_has_a_key_before_it_runs():
    made = framed({"n": ("graph:step", {"x": {"value": [3, 4]}}), "t": ("total", {"items": wire("n.out")})}, {"out": "t.value"},
                  frames={"n": {"each": ["x"]}}, graphs={"step": STEP})  # fmt: skip
    other = framed({"n": ("graph:step", {"x": {"value": [3, 5]}}), "t": ("total", {"items": wire("n.out")})}, {"out": "t.value"},
                   frames={"n": {"each": ["x"]}}, graphs={"step": STEP})  # fmt: skip
    assert keys(made) == keys(Graph(made.document)) != keys(other)


def test_a_run_is_cancelled_within_a_round(runtime):
    import threading

    import small_nodes

    inner = doc({"n": ("wait", {"count": wire("input.x")})}, {"out": "n.value"}, {"x": ...})
    made = framed({"all": ("graph:inner", {"x": {"value": [1, 2, 3]}})}, {"out": "all.out"}, frames={"all": {"each": ["x"]}}, graphs={"inner": inner})
    small_nodes.GATE.clear()
    small_nodes.ENTERED.clear()
    run, finish = made.prepare({}, runtime=runtime)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(pytest.raises(Exception, run.execute)))
    thread.start()
    assert small_nodes.ENTERED.wait(30)
    run.cancel()
    thread.join(30)
    small_nodes.GATE.set()
    assert not thread.is_alive() and type(ended[0].value).__name__ == "Cancelled"
    assert made.run(runtime=runtime).out == [1, 2, 3]


def test_why_tells_of_frames(runtime):
    from flowmm.engine.why import why

    plain = framed({"n": ("graph:step", {"x": {"value": [3, 4]}})}, {"out": "n.out"}, frames={"n": {"each": ["x"]}}, graphs={"step": STEP})
    assert why(runtime, *plain.explainable("n", {}, runtime)).answer == "miss"
    plain.run(runtime=runtime)
    assert why(runtime, *plain.explainable("n", {}, runtime)).answer == "hit"
    paint = Graph(of({"flowmm": 1, "nodes": {"p": {"op": "graph:text-to-image", "in": {"prompt": {"value": ["a", "b"]}}, "each": ["prompt"]}},
                      "outputs": {"images": {"from": "p.image"}}}))  # fmt: skip
    assert "models are opened inside it" in str(why(runtime, *paint.explainable("p", {}, runtime)))
