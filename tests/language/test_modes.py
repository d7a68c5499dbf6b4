"""Mute, bypass, reroute and constant: the editor's habits mean the same without an editor."""

from __future__ import annotations

import pytest
from short import doc, graph, problems, wire
from test_pieces import keys

from flowmm import Graph, GraphError
from flowmm.graph.document import dump, of, read

TWICE = doc({"one": ("add", {"a": wire("input.x")}), "two": ("add", {"a": wire("one.value")})}, {"out": "two.value"}, {"x": ...})


# ── mute ────────────────────────────────────────────────────────────────────────────────────────


def test_a_muted_node_takes_with_it_what_cannot_do_without_it(runtime, ran):
    made = graph(
        {"a": ("add", {"a": 1}, "mute"), "b": ("add", {"a": wire("a.value")}), "c": ("add", {"a": wire("b.value")}), "d": ("add", {"a": 7})},
        {"c": "c.value", "d": "d.value"},
    )
    assert problems(made) == []
    assert dict(made.run(runtime=runtime)) == {"d": 8} and ran == ["add 7 1"]
    with pytest.raises(GraphError, match="the output `c` cannot do without `a`, which is muted"):
        made.run(only=["c"], runtime=runtime)


def test_an_input_that_may_be_left_open_is_and_a_list_is_shorter(runtime):
    made = graph(
        {"a": ("add", {"a": 1}, "mute"), "b": ("add", {"a": 5}), "l": ("label", {"text": "x", "number": wire("a.value")}),
         "t": ("total", {"items": {"list": [wire("a.value"), wire("b.value"), 10]}})},
        {"l": "l.value", "t": "t.value"},
    )  # fmt: skip
    assert dict(made.run(runtime=runtime)) == {"l": "x:None", "t": 16}


def test_what_turns_out_late_to_be_muted_is_left_out_of_lists_too(runtime):
    made = graph(
        {"t": ("total", {"items": {"list": [wire("b.value"), 10]}}), "l": ("label", {"text": "x", "number": wire("b.value")}),
         "b": ("add", {"a": wire("a.value")}), "a": ("add", {"a": 1}, "mute")},
        {"l": "l.value", "t": "t.value"},
    )  # fmt: skip
    assert dict(made.run(runtime=runtime)) == {"l": "x:None", "t": 10}


def test_with_everything_muted_there_is_nothing_to_run_for():
    made = graph({"a": ("add", {"a": 1}, "mute")}, {"out": "a.value"})
    with pytest.raises(GraphError, match="every output needs what is muted: `a`"):
        made()


def test_a_muted_graph_is_not_even_looked_for(runtime):
    made = graph({"a": ("graph:nowhere", {}, "mute"), "b": ("add", {"a": 1})}, {"a": "a.out", "b": "b.value"})
    assert problems(made) == [] and dict(made.run(runtime=runtime)) == {"b": 2}


def test_a_muted_node_of_a_graph_mutes_what_reads_that_output(runtime):
    half = doc({"a": ("add", {"a": 1}, "mute"), "b": ("add", {"a": 2})}, {"a": "a.value", "b": "b.value"})
    made = graph({"h": ("graph:half", {}), "x": ("add", {"a": wire("h.a")}), "y": ("add", {"a": wire("h.b")})},
                 {"x": "x.value", "y": "y.value"}, graphs={"half": half})  # fmt: skip
    assert dict(made.run(runtime=runtime)) == {"y": 4}


# ── bypass ──────────────────────────────────────────────────────────────────────────────────────


def test_a_bypassed_node_hands_on_what_it_is_given_of_the_same_type(runtime):
    made = graph({"a": ("add", {"a": 5}), "b": ("add", {"b": 3, "a": wire("a.value")}, "bypass"), "c": ("add", {"a": wire("b.value")})}, {"out": "c.value"})
    assert problems(made) == []
    assert made.run(runtime=runtime).out == 4, "of two that fit, the one that is given first"
    made = graph({"a": ("add", {"a": 5}), "b": ("add", {"a": wire("a.value"), "b": 3}, "bypass"), "c": ("add", {"a": wire("b.value")})}, {"out": "c.value"})
    assert made.run(runtime=runtime).out == 7
    assert keys(made) == keys(graph({"p": ("add", {"a": 5}), "q": ("add", {"a": wire("p.value")})}, {"out": "q.value"}))


def test_several_bypassed_in_a_row_and_one_that_is_an_output(runtime):
    nodes = {"n0": ("add", {"a": 5})} | {f"n{i + 1}": ("add", {"a": wire(f"n{i}.value")}, "bypass") for i in range(500)}
    assert graph(nodes, {"out": "n500.value"}).run(runtime=runtime).out == 6


def test_a_bypassed_graph_hands_on_by_the_types_inside_it(runtime):
    inner = doc({"w": ("graph:within", {"t": wire("input.text"), "n": wire("input.count")})}, {"text": "w.out"}, {"count": 1, "text": "a"})
    within = doc({"l": ("label", {"text": wire("input.t"), "number": wire("input.n")})}, {"out": "l.value"}, {"t": "", "n": 1})
    made = graph(
        {"p": ("graph:inner", {"count": 3, "text": "hello"}, "bypass"), "l": ("label", {"text": wire("p.text"), "number": 1})},
        {"out": "l.value"}, graphs={"inner": inner, "within": within},
    )  # fmt: skip
    assert problems(made) == [] and made.run(runtime=runtime).out == "hello:1"


def test_what_can_hand_nothing_on_says_so_where_it_is_read(runtime):
    made = graph(
        {"n": ("write", {"number": 3}, "bypass"), "h": ("height", {"image": "x.png"}, "bypass"), "l": ("label", {"text": wire("n.value"), "number": wire("h.value")}),
         "fine": ("add", {"a": 1})},
        {"out": "l.value", "fine": "fine.value"},
    )  # fmt: skip
    assert problems(made) == [("cannot-bypass", "l", "text"), ("cannot-bypass", "l", "number")]
    assert "nothing that it is given is a str that it could hand on as `value`" in str(made.check().problems[0])
    assert made.run(only=["fine"], runtime=runtime).fine == 2
    with pytest.raises(GraphError, match="Mute it instead"):
        made.run(runtime=runtime)


def test_bypassing_a_graph_that_holds_itself_ends():
    made = graph({"a": ("graph:g", {"x": 1}, "bypass"), "b": ("add", {"a": wire("a.out")})}, {"out": "b.value"},
                 graphs={"g": doc({"again": ("graph:g", {"x": wire("input.x")})}, {"out": "again.out"}, {"x": 1})})  # fmt: skip
    assert problems(made) == [("no-such-output", "b", "a")] or problems(made)[0][0] == "cannot-bypass"


# ── reroute and constant ────────────────────────────────────────────────────────────────────────


def test_reroutes_and_constants_leave_no_trace_in_keys(runtime):
    made = graph(
        {"c": ("logic.constant", {"value": 5}), "r": ("logic.reroute", {"value": wire("c.value")}), "s": ("logic.reroute", {"value": wire("r.value")}),
         "a": ("add", {"a": wire("s.value"), "b": wire("c.value")})},
        {"out": "a.value"},
    )  # fmt: skip
    assert made.wiring.names == ["a"] and made.run(runtime=runtime).out == 10
    assert keys(made) == keys(graph({"a": ("add", {"a": 5, "b": 5})}, {"out": "a.value"}))


def test_a_constant_is_typed_by_what_it_feeds():
    made = graph({"c": ("logic.constant", {"value": "five"}), "a": ("add", {"a": wire("c.value")})}, {"out": "a.value"})
    assert problems(made) == [("bad-literal", "a", "a")]


def test_a_constant_and_an_input_may_be_outputs_through_a_node(runtime):
    made = graph({"c": ("logic.constant", {"value": 5}), "r": ("logic.reroute", {"value": wire("input.x")})}, {"c": "c.value", "x": "r.value"}, {"x": 1})
    assert dict(made.run({"x": 2}, runtime=runtime)) == {"c": 5, "x": 2}


@pytest.mark.parametrize("value", [{"from": 5}, {"from": ["a.value"]}, {"from": "a.value", "more": 1}, {"list": 5}])
def test_a_value_that_is_no_wire_is_told_as_what_it_is(value):
    """As each is told where no node stands for another."""
    plain = graph({"a": ("add", {"a": 1}), "l": ("label", {"text": value, "number": 1})}, {"out": "l.value"})
    made = graph({"a": ("add", {"a": 1}), "c": ("logic.constant", {"value": value})}, {"out": "c.value"})
    through = graph({"c": ("logic.constant", {"value": value}), "l": ("label", {"text": wire("c.value"), "number": 1})}, {"out": "l.value"})
    assert problems(plain) and problems(made) and problems(through)
    with pytest.raises(GraphError):
        made.run(only=["c.value"])


@pytest.mark.parametrize("reader", [("label", {"text": wire("c.value"), "number": 1}), ("total", {"items": {"list": [1, wire("c.value")]}}),
                                    ("logic.switch", {"condition": True, "then": wire("c.value"), "otherwise": 1})])  # fmt: skip
@pytest.mark.parametrize("holder", [("logic.constant", {}), ("logic.reroute", {}), ("graph:through", {})])
def test_what_has_nothing_to_hand_on_keeps_its_readers_from_running(reader, holder, runtime, ran):
    """Also where the reader would not have asked: an item of a list, a branch."""
    through = {"flowmm": 1, "inputs": {"v": {}}, "nodes": {"r": {"op": "logic.reroute", "in": {"value": wire("input.v")}}}, "outputs": {"value": {"from": "r.value"}}}
    made = graph({"c": holder, "r": ("logic.reroute", {"value": wire("c.value")}), "x": reader, "other": ("add", {"a": 1})},
                 {"out": "x.value", "other": "other.value"}, graphs={"through": through})  # fmt: skip
    assert [(code, node) for code, node, _ in problems(made)] == [("missing-input", "c")]
    with pytest.raises(GraphError, match="nothing is wired to `v"):
        made.run(runtime=runtime)
    assert ran == [] and made.run(only=["other"], runtime=runtime).other == 2


def test_each_ring_is_told_so_that_none_is_run(runtime):
    """Also one that a switch would be in, beside one that nobody wants."""
    made = graph({"p": ("add", {"a": wire("q.value")}), "q": ("add", {"a": wire("p.value")}), "self": ("add", {"a": wire("self.value")}),
                  "s": ("logic.switch", {"condition": True, "then": wire("t.value"), "otherwise": 1}), "t": ("add", {"a": wire("s.value")}), "fine": ("add", {"a": 1})},
                 {"out": "t.value", "fine": "fine.value"})  # fmt: skip
    assert sorted(code for code, *_ in problems(made)) == ["cycle"] * 3
    with pytest.raises(GraphError, match="wait for each other: (s → t → s|t → s → t)"):
        made.run(only=["out"], runtime=runtime)
    assert made.run(only=["fine"], runtime=runtime).fine == 2


def test_a_ring_of_reroutes_is_a_ring():
    made = graph({"p": ("logic.reroute", {"value": wire("q.value")}), "q": ("logic.reroute", {"value": wire("p.value")}),
                  "a": ("add", {"a": wire("p.value")})}, {"out": "a.value"})  # fmt: skip
    problem, = made.check().problems
    assert problem.code == "cycle" and "p → q" in problem.message


def test_a_reroute_without_a_wire_is_told_there():
    made = graph({"r": ("logic.reroute", {}), "a": ("add", {"a": wire("r.value")})}, {"out": "a.value"})
    assert problems(made) == [("missing-input", "r", "value")]


def test_modes_outlive_a_save_and_others_are_refused():
    raw = doc({"a": ("add", {"a": 1}, "mute"), "b": ("add", {"a": 1}, "bypass"), "c": ("add", {"a": 1})})
    text = dump(of(raw))
    assert read(text) == of(raw) and text.count('"mode"') == 2
    with pytest.raises(GraphError, match="mode: input should be '', 'mute' or 'bypass', got 'loud'"):
        of(doc({"a": ("add", {"a": 1}, "loud")}))


# ── muted within a frame ────────────────────────────────────────────────────────────────────────

HALF = doc({"a": ("add", {"a": wire("input.x")}), "b": ("add", {"a": wire("input.x"), "b": 10}, "mute"), "c": ("add", {"a": wire("b.value")})},
           {"kept": "a.value", "gone": "c.value"}, {"x": 0})  # fmt: skip


def framed(nodes, outputs, **fields):
    raw = doc(nodes, outputs, graphs={"half": HALF})
    for name, more in fields.items():
        raw["nodes"][name] |= more
    return Graph(of(raw))


def test_an_output_that_is_muted_within_a_frame_leaves_the_rest_of_it(runtime, ran):
    made = framed({"n": ("graph:half", {"x": {"value": [1, 2]}}), "t": ("total", {"items": wire("n.kept")}), "u": ("total", {"items": wire("n.gone")}),
                   "l": ("label", {"text": "x", "number": wire("u.value")})},
                  {"kept": "n.kept", "gone": "n.gone", "t": "t.value", "u": "u.value", "l": "l.value"}, n={"each": ["x"]})  # fmt: skip
    assert problems(made) == []
    assert dict(made.run(runtime=runtime)) == {"kept": [2, 3], "t": 5, "l": "x:None"} and ran == ["add 1 1", "add 2 1"]
    with pytest.raises(GraphError, match="the output `gone` cannot do without `n/b`, which is muted"):
        made.run(only=["gone"], runtime=runtime)
    with pytest.raises(GraphError, match="`n.gone` cannot do without `n/b`, which is muted"):
        made.run(only=["n.gone"], runtime=runtime)
    assert dict(made.run(only=["n"], runtime=runtime)) == {"n.kept": [2, 3]}
    inner = graph({"n": ("graph:half", {"x": 1}), "l": ("label", {"text": "x", "number": wire("n.gone")})}, {"kept": "n.kept", "gone": "n.gone", "l": "l.value"},
                  graphs={"half": HALF})  # fmt: skip
    assert dict(inner.run(runtime=runtime)) == {"kept": 2, "l": "x:None"}, "as it is without a frame"


def test_frames_in_frames_lose_that_output_alone_as_well(runtime):
    outer = doc({"n": ("graph:half", {"x": wire("input.row")}), "t": ("total", {"items": wire("n.kept")})}, {"t": "t.value", "kept": "n.kept", "gone": "n.gone"}, {"row": ...})
    outer["nodes"]["n"]["each"] = ["x"]
    raw = doc({"m": ("graph:outer", {"row": {"value": [[1, 2], [3]]}})}, {"t": "m.t", "kept": "m.kept", "gone": "m.gone"}, graphs={"half": HALF, "outer": outer})
    raw["nodes"]["m"]["each"] = ["row"]
    assert dict(Graph(of(raw)).run(runtime=runtime)) == {"t": [5, 4], "kept": [[2, 3], [4]]}


def test_a_loop_loses_what_no_round_depends_on_and_stops_for_the_rest(runtime):
    loop = {"carry": {"x": "kept"}, "most": 3}
    made = framed({"n": ("graph:half", {"x": 1})}, {"kept": "n.kept", "gone": "n.gone"}, n={"loop": loop})
    assert problems(made) == [] and dict(made.run(runtime=runtime)) == {"kept": 4}
    needed = framed({"n": ("graph:half", {"x": 1}), "p": ("add", {"a": 6})}, {"kept": "n.kept", "p": "p.value"}, n={"loop": loop | {"carry": {"x": "gone"}}})
    assert problems(needed) == [] and dict(needed.run(runtime=runtime)) == {"p": 7}


def test_a_frame_whose_list_or_whose_every_output_is_muted_is_left_out(runtime):
    fed = framed({"p": ("numbers", {"upto": 3}, "mute"), "n": ("graph:half", {"x": wire("p.value")}), "q": ("add", {"a": 6})}, {"kept": "n.kept", "q": "q.value"},
                 n={"each": ["x"]})  # fmt: skip
    assert problems(fed) == [] and dict(fed.run(runtime=runtime)) == {"q": 7}
    none = doc({"b": ("add", {"a": wire("input.x")}, "mute")}, {"one": "b.value", "two": "b.value"}, {"x": 0})
    raw = doc({"n": ("graph:none", {"x": {"value": [1]}}), "q": ("add", {"a": 6})}, {"one": "n.one", "two": "n.two", "q": "q.value"}, graphs={"none": none})
    raw["nodes"]["n"]["each"] = ["x"]
    assert dict(Graph(of(raw)).run(runtime=runtime)) == {"q": 7}
