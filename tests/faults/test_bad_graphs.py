"""Whatever is wrong with a graph is one readable error, with a code, the place and what to do; never a crash."""

from __future__ import annotations

import json

import fault_nodes as f
import pytest

import flowmm
from flowmm import Graph, GraphError, Runtime
from flowmm.graph.problems import Unreadable

ADD = "local:fault_nodes.add"
ONE = {"one": {"op": ADD, "in": {"a": 1}}}
OUT = {"out": {"from": "one.value"}}


@pytest.fixture(scope="module")
def runtime():
    made = Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


@pytest.fixture
def refused(tmp_path):
    """The problems of a file that is no graph."""

    def problems(text) -> list:
        path = tmp_path / "bad.json"
        path.write_bytes(text if isinstance(text, bytes) else (text if isinstance(text, str) else json.dumps(text)).encode())
        with pytest.raises(Unreadable) as caught:
            flowmm.load(path)
        return readable(caught.value)

    return problems


@pytest.fixture
def failing(tmp_path, runtime):
    """The problems of a graph that can be read, but not run."""

    def problems(nodes, outputs=None, inputs=None, **given) -> list:
        path = tmp_path / "bad.json"
        path.write_text(json.dumps({"flowmm": 1, "inputs": inputs or {}, "nodes": nodes, "outputs": outputs or OUT}))
        with pytest.raises(GraphError) as caught:
            flowmm.load(path).run(given, runtime=runtime)
        return readable(caught.value)

    return problems


def readable(error: GraphError) -> list:
    assert error.problems
    for problem in error.problems:
        assert problem.code and problem.message and problem.fix
        assert len(str(problem)) < 600, "an error is a sentence or two"
        assert "Traceback" not in str(problem) and "object at 0x" not in str(problem)
        str(problem).encode()  # can be printed
    return error.problems


def place(problem) -> tuple:
    return problem.code, problem.node, problem.port


# ── files that are no graph ─────────────────────────────────────────────────────────────────────

GRAPH = {"flowmm": 1, "nodes": ONE, "outputs": OUT}


@pytest.mark.parametrize(
    "text, code",
    [
        ("", "not-json"),
        ("{", "not-json"),
        ("not json at all", "not-json"),
        (b"\xff\xfe{}", "not-json"),
        (b"\x89PNG\r\n\x1a\n", "not-json"),
        ("[1, 2]", "not-a-graph"),
        ("null", "not-a-graph"),
        ("{}", "not-a-graph"),
        ('{"flowmm": 2, "nodes": {}}', "format"),
        ('{"flowmm": "1", "nodes": {}}', "format"),
        ('{"flowmm": true, "nodes": {}}', "format"),
        ('{"flowmm": 1, "nodes": [], "outputs": {}}', "bad-shape"),
        ('{"flowmm": 1, "nodes": {"a": {}}, "outputs": {}}', "bad-shape"),
        ('{"flowmm": 1, "nodes": {"a": {"op": 7}}}', "bad-shape"),
        ('{"flowmm": 1, "nodes": {"a": {"op": "x.y", "version": 0}}}', "bad-shape"),
        ('{"flowmm": 1, "nodes": {"a b": {"op": "x.y"}}}', "bad-name"),
        ('{"flowmm": 1, "nodes": {"input": {"op": "x.y"}}}', "bad-name"),
        ('{"flowmm": 1, "nodes": {"class": {"op": "x.y"}}}', "bad-name"),
        ('{"flowmm": 1, "nodes": {"\\ud800": {"op": "x.y"}}}', "bad-name"),
        ('{"flowmm": 1, "nodes": {"a": {"op": "x.y"}, "a": {"op": "x.z"}}}', "duplicate-key"),
        ('{"flowmm": 1, "nodes": {"a": {"op": "x.y", "in": {"p": 1, "p": 2}}}}', "duplicate-key"),
        ('{"flowmm": 1, "nodes": {"a": {"op": "x.y", "in": {"p": NaN}}}}', "not-a-number"),
        ('{"flowmm": 1, "nodes": {"a": {"op": "x.y", "in": {"p": -Infinity}}}}', "not-a-number"),
        ('{"flowmm": 1, "nodes": {"a": {"op": "x.y", "in": {"p": 1e999}}}}', "not-a-number"),
        ('{"flowmm": 1, "nodes": {"a": {"op": "x.y", "in": {"p": {"value": [1e999]}}}}}', "not-a-number"),
        ('{"flowmm": 1, "title": ' + "9" * 5000 + "}", "not-json"),
        ("[" * 100_000 + "]" * 100_000, "too-deep"),
        ('{"flowmm": 1, "about": ' + "[" * 100_000 + "]" * 100_000 + "}", "too-deep"),
        (json.dumps({"flowmm": 1, "nodes": {"a": {"op": "x.y", "in": {"p": "x" * 2_000_000}}}}), "too-long"),
        (json.dumps({"flowmm": 1, "about": "x" * 2_000_000}), "too-long"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 30 else "text",
)
def test_a_file_that_is_no_graph_is_refused_with_its_reason(refused, text, code):
    assert [problem.code for problem in refused(text)] == [code]


def nested(depth: int, kind: str):
    value: object = 1
    for _ in range(depth):
        value = {"list": [value]} if kind == "list" else [value]
    return value if kind == "list" else {"value": value}


@pytest.mark.parametrize("kind", ["list", "value"])
def test_a_deep_value_is_refused_and_names_its_port(refused, kind):
    (problem,) = refused({"flowmm": 1, "nodes": {"one": {"op": ADD, "in": {"a": nested(100, kind)}}}})
    assert place(problem) == ("too-deep", "one", "a")


def test_all_reasons_are_told_at_once(refused):
    problems = refused({"flowmm": 1, "nodes": {"a b": {"op": "x.y"}, "ok": {"op": "x.y", "in": {"p": "x" * 2**21}}}, "outputs": {"1": {"from": "ok.x"}}})
    assert sorted(problem.code for problem in problems) == ["bad-name", "bad-name", "too-long"]


@pytest.mark.parametrize("name", ["missing.json", "no/such/folder.json", "a\x00b.json", "\ud800.json", "x" * 5000 + ".json", ""])
def test_a_file_that_is_not_there_is_one_sentence(tmp_path, name):
    with pytest.raises(Unreadable) as caught:
        flowmm.load(f"{tmp_path}/{name}")
    assert [problem.code for problem in readable(caught.value)] == ["no-file"]


def test_a_name_that_no_graph_has_suggests_others():
    with pytest.raises(Unreadable) as caught:
        flowmm.load("no-such-graph")
    assert [problem.code for problem in readable(caught.value)] == ["no-graph"]


# ── graphs that cannot run ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "node, expected",
    [
        ({"op": ADD, "in": {"a": "one"}}, ("bad-literal", "one", "a")),
        ({"op": ADD, "in": {"a": 1.5}}, ("bad-literal", "one", "a")),
        ({"op": ADD, "in": {"a": True}}, ("bad-literal", "one", "a")),
        ({"op": ADD, "in": {"a": None}}, ("bad-literal", "one", "a")),
        ({"op": ADD, "in": {"a": {"value": {"k": [1]}}}}, ("bad-literal", "one", "a")),
        ({"op": ADD, "in": {"a": "\ud800"}}, ("bad-literal", "one", "a")),
        ({"op": ADD, "in": {"a": {"list": [1]}}}, ("not-a-list", "one", "a")),
        ({"op": ADD, "in": {"a": {"from": "nobody.value"}}}, ("dangling", "one", "a")),
        ({"op": ADD, "in": {"a": {"from": ""}}}, ("dangling", "one", "a")),
        ({"op": ADD, "in": {"a": {"from": "input.x"}}}, ("no-such-input", "one", "a")),
        ({"op": ADD, "in": {"a": {"from": "one.nothing"}}}, ("no-such-output", "one", "a")),
        ({"op": ADD, "in": {"a": {"from": "one.value"}}}, ("cycle", "one", "")),
        ({"op": ADD, "in": {"a": {"from": 7}}}, ("bad-value", "one", "a")),
        ({"op": ADD, "in": {"a": {"from": "x.y", "more": 1}}}, ("bad-value", "one", "a")),
        ({"op": ADD, "in": {"a": {}}}, ("bad-value", "one", "a")),
        ({"op": ADD, "in": {"a": [1]}}, ("bad-value", "one", "a")),
        ({"op": ADD, "in": {}}, ("missing-input", "one", "a")),
        ({"op": ADD, "in": {"a": 1, "c": 2}}, ("no-such-port", "one", "c")),
        ({"op": "local:fault_nodes.first", "in": {"numbers": {"list": [1, "2"]}}}, ("bad-literal", "one", "numbers")),
        ({"op": "local:fault_nodes.first", "in": {"numbers": {"list": [{"list": [1]}]}}}, ("not-a-list", "one", "numbers")),
        ({"op": "local:fault_nodes.first", "in": {"numbers": 3}}, ("bad-literal", "one", "numbers")),
        ({"op": "local:fault_nodes.nothing"}, ("unknown-op", "one", "")),
        ({"op": "local:os.system"}, ("unknown-op", "one", "")),
        ({"op": "nowhere:room.function"}, ("unknown-op", "one", "")),
        ({"op": "os.system"}, ("unknown-op", "one", "")),
        ({"op": ""}, ("unknown-op", "one", "")),
        ({"op": "..\x00/ü"}, ("unknown-op", "one", "")),
    ],
)
def test_one_mistake_is_one_problem_at_its_place(failing, node, expected):
    assert [place(problem) for problem in failing({"one": node})] == [expected]


def test_a_wire_of_the_wrong_type_names_both_ends_and_both_types(failing):
    (problem,) = failing({"one": {"op": "local:fault_nodes.first", "in": {"numbers": {"from": "other.value"}}}, "other": ONE["one"]})
    assert place(problem) == ("type-mismatch", "one", "numbers")
    assert (problem.got, problem.expected) == ("int", "list[int]") and "other.value" in problem.message


def test_a_cycle_is_shown(failing):
    nodes = {name: {"op": ADD, "in": {"a": {"from": f"{source}.value"}}} for name, source in [("one", "two"), ("two", "three"), ("three", "one")]}
    (problem,) = failing(nodes)
    assert problem.code == "cycle" and all(name in problem.message for name in nodes)


def test_an_unknown_node_matters_only_on_the_way_to_a_wanted_output(failing, runtime, tmp_path):
    nodes = {**ONE, "odd": {"op": "gone.missing", "in": {"x": {"from": "one.value"}}}, "after": {"op": ADD, "in": {"a": {"from": "odd.value"}}}}
    assert [place(p) for p in failing(nodes, {"out": {"from": "after.value"}})] == [("unknown-op", "odd", "")]
    path = tmp_path / "partly.json"
    path.write_text(json.dumps({"flowmm": 1, "nodes": nodes, "outputs": {**OUT, "lost": {"from": "after.value"}}}))
    graph = flowmm.load(path)
    assert graph.run(only=["out"], runtime=runtime).out == 2
    with pytest.raises(GraphError):
        graph.run(runtime=runtime)


def test_mistakes_off_the_way_do_not_hinder(runtime):
    graph = Graph()
    with graph:
        graph.output(out=f.add(1), bad=f.first(3))
    assert graph.run(only=["out"], runtime=runtime).out == 2


@pytest.mark.parametrize(
    "outputs, expected",
    [
        ({"out": {"from": "nobody.value"}}, "dangling"),
        ({"out": {"from": "one.values"}}, "no-such-output"),
        ({"out": {"from": "input.x"}}, "output-is-input"),
        ({"out": {"from": "one"}}, "no-such-output"),
    ],
)
def test_an_output_that_leads_nowhere_is_named(failing, outputs, expected):
    assert [problem.code for problem in failing(ONE, outputs, {"x": {"default": 1}})] == [expected]


def test_a_graph_without_outputs_has_nothing_to_run_for(runtime):
    with pytest.raises(GraphError) as caught:
        Graph().run(runtime=runtime)
    assert [problem.code for problem in readable(caught.value)] == ["no-outputs"]


X = {"one": {"op": ADD, "in": {"a": {"from": "input.x"}}}}


@pytest.mark.parametrize(
    "given, code",
    [({}, "input-not-given"), ({"x": "1"}, "bad-input"), ({"x": 1.5}, "bad-input"), ({"x": b"bytes"}, "bad-input"), ({"x": None}, "bad-input"),
     ({"x": 1, "y": 2}, "no-such-input"), ({"x": float("nan")}, "bad-input")],
    ids=str,
)  # fmt: skip
def test_a_wrong_input_of_a_run_is_named(failing, given, code):
    assert [problem.code for problem in failing(X, OUT, {"x": {}}, **given)] == [code]


def test_a_default_that_does_not_fit_is_named(failing):
    assert [problem.code for problem in failing(X, OUT, {"x": {"default": "one"}})] == ["bad-input"]


def test_an_input_that_feeds_two_types_is_told(failing):
    nodes = {**X, "two": {"op": "local:fault_nodes.first", "in": {"numbers": {"from": "input.x"}}}}
    codes = {problem.code for problem in failing(nodes, OUT, {"x": {"default": 1}})}
    assert "input-of-two-types" in codes


@pytest.mark.parametrize("digits", [4000, 5000])  # Python refuses to print the second
def test_huge_integers_are_numbers_like_any_other(runtime, tmp_path, digits):
    number = -(10**digits)
    graph = Graph()
    with graph:
        graph.output(out=f.add(graph.input("x")))
    disk = Runtime("cpu", cache=tmp_path / "cache", threads=1)
    assert graph.run({"x": number}, runtime=disk).out == number + 1
    disk.close()


def test_a_huge_integer_where_something_else_is_wanted_is_still_a_sentence(runtime):
    graph = Graph()
    with graph:
        graph.output(out=f.first(graph.input("x")))
    with pytest.raises(GraphError) as caught:
        graph.run({"x": 10**5000}, runtime=runtime)
    assert [problem.code for problem in readable(caught.value)] == ["bad-input"]


# ── size ────────────────────────────────────────────────────────────────────────────────────────


def test_a_chain_of_50_000_nodes_needs_no_recursion(tmp_path, runtime):
    nodes = {"n0": {"op": ADD, "in": {"a": {"from": "input.x"}}}}
    nodes |= {f"n{i}": {"op": ADD, "in": {"a": {"from": f"n{i - 1}.value"}}} for i in range(1, 50_000)}
    path = tmp_path / "chain.json"
    path.write_text(json.dumps({"flowmm": 1, "inputs": {"x": {"default": 0}}, "nodes": nodes, "outputs": {"out": {"from": "n49999.value"}}}))
    assert flowmm.load(path).run(runtime=runtime).out == 50_000


def test_a_ring_of_20_000_nodes_is_still_one_short_problem(failing):
    nodes = {f"n{i}": {"op": ADD, "in": {"a": {"from": f"n{(i - 1) % 20_000}.value"}}} for i in range(20_000)}
    (problem,) = failing(nodes, {"out": {"from": "n0.value"}})
    assert problem.code == "cycle"


def test_a_fan_out_and_in_of_20_000_nodes(tmp_path, runtime):
    nodes = {"root": {"op": ADD, "in": {"a": -7}}}
    nodes |= {f"n{i}": {"op": ADD, "in": {"a": {"from": "root.value"}, "b": i}} for i in range(20_000)}
    nodes["all"] = {"op": "local:fault_nodes.first", "in": {"numbers": {"list": [{"from": f"n{i}.value"} for i in range(20_000)]}}}
    path = tmp_path / "fan.json"
    path.write_text(json.dumps({"flowmm": 1, "nodes": nodes, "outputs": {"out": {"from": "all.value"}}}))
    result = flowmm.load(path).run(runtime=runtime)
    assert (result.out, result.executed) == (-6, 20_002)
