"""A graph used as a node is opened up: flattened and nested are the same graph, with the same keys."""

from __future__ import annotations

import time

import pytest
from PIL import Image as Picture
from short import doc, graph, problems, wire

from flowmm import Graph, GraphError, load
from flowmm.graph.document import dump, of, read

TWICE = doc({"one": ("add", {"a": wire("input.x"), "b": wire("input.step")}), "two": ("add", {"a": wire("one.value"), "b": wire("input.step")})},
            {"out": "two.value"}, {"x": ..., "step": 1})  # fmt: skip


def keys(made: Graph, output: str = "out"):
    program, given = made._program("n", {}, set(range(len(made.wiring.names))))
    identities, _ = program.identities(given)
    return identities[made.wiring.outputs[output].producer]


def test_a_definition_is_used_as_a_node(runtime):
    made = graph({"a": ("graph:twice", {"x": 5}), "b": ("graph:twice", {"x": wire("a.out"), "step": 10})}, {"out": "b.out"}, graphs={"twice": TWICE})
    assert made.run(runtime=runtime).out == 27
    assert made.wiring.names == ["a/one", "a/two", "b/one", "b/two"]


def test_flattened_and_nested_have_the_same_keys():
    nested = graph({"a": ("graph:twice", {"x": 5}), "b": ("add", {"a": wire("a.out")})}, {"out": "b.value"}, graphs={"twice": TWICE})
    flat = graph({"p": ("add", {"a": 5, "b": 1}), "q": ("add", {"a": wire("p.value"), "b": 1}), "r": ("add", {"a": wire("q.value")})}, {"out": "r.value"})
    assert keys(nested) == keys(flat)


def test_an_input_of_the_graph_reaches_through_every_layer(runtime):
    outer = doc({"in_": ("graph:twice", {"x": wire("input.n"), "step": 2})}, {"out": "in_.out"}, {"n": 0})
    made = graph({"deep": ("graph:outer", {"n": wire("input.start")})}, {"out": "deep.out"}, {"start": 1}, graphs={"twice": TWICE, "outer": outer})
    assert made.run({"start": 40}, runtime=runtime).out == 44
    assert str(made.inputs["start"].type) == "int"
    assert made.peek("deep/in_/one.value", start=1) == 3 and made.peek("deep.out", start=1) == 5


def test_saved_graphs_are_used_by_name(save, runtime):
    save("twice", TWICE)
    path = save("user", doc({"a": ("graph:twice", {"x": 1}), "b": ("graph:twice", {"x": wire("a.out")})}, {"out": "b.out"}))
    assert load(path).run(runtime=runtime).out == 5
    assert load("user").run(runtime=runtime).out == 5


def test_a_definition_hides_a_saved_graph_and_definitions_see_their_own_first(save):
    save("twice", doc({"n": ("add", {"a": 100})}, {"out": "n.value"}))
    inner = doc({"n": ("add", {"a": 1})}, {"out": "n.value"})
    user = doc({"a": ("graph:twice", {})}, {"out": "a.out"}, graphs={"twice": inner})
    outer = graph({"u": ("graph:user", {}), "t": ("graph:twice", {"x": 3})}, {"u": "u.out", "t": "t.out"}, graphs={"user": user, "twice": TWICE})
    assert dict(outer()) == {"u": 2, "t": 5}


def test_paths_of_a_graph_lead_from_its_own_folder(save, tmp_path, runtime):
    """Also where another file uses it, and what that file writes leads from there."""
    for folder, size in (("here", (3, 5)), ("there", (3, 7))):
        (tmp_path / folder).mkdir()
        Picture.new("RGB", size).save(tmp_path / folder / "p.png")
    tall = doc({"n": ("height", {"image": wire("input.image")})}, {"out": "n.value"}, {"image": "p.png"})
    path = save("tall", tall)
    path = path.rename(tmp_path / "there" / "tall.json")
    user = tmp_path / "there" / "user.json"
    user.write_text(dump(of(doc({"own": ("graph:tall", {}), "mine": ("graph:tall", {"image": "p.png"})}, {"own": "own.out", "mine": "mine.out"}))))
    assert dict(load(user).run(runtime=runtime)) == {"own": 7, "mine": 7}
    (tmp_path / "home" / "graphs" / "tall.json").write_text(path.read_text())
    Picture.new("RGB", (3, 9)).save(tmp_path / "home" / "graphs" / "p.png")
    user = user.rename(tmp_path / "here" / "user.json")
    path.unlink()
    assert dict(load(user).run(runtime=runtime)) == {"own": 9, "mine": 5}


def test_what_is_not_given_and_has_no_default_is_told_at_the_node_that_wants_it():
    made = graph({"a": ("graph:twice", {})}, {"out": "a.out"}, graphs={"twice": TWICE})
    assert problems(made) == [("missing-input", "a", "x")]
    with pytest.raises(GraphError, match="a.x: nothing is wired to `x`"):
        made()


def test_a_wrong_port_and_a_wrong_output_are_told_with_what_was_meant():
    made = graph({"a": ("graph:twice", {"x": 1, "stop": 2}), "b": ("add", {"a": wire("a.oud")})}, {"out": "b.value"}, graphs={"twice": TWICE})
    assert problems(made) == [("no-such-port", "a", "stop"), ("no-such-output", "b", "a")]
    assert "Did you mean `step`?" in str(made.check().problems[0]) and "Did you mean `a.out`?" in str(made.check().problems[1])


def test_a_wrong_wire_into_a_graph_names_the_node_inside_that_takes_it():
    made = graph({"w": ("write", {"number": 3}), "a": ("graph:twice", {"x": wire("w.value")})}, {"out": "a.out"}, graphs={"twice": TWICE})
    problem, = made.check().problems
    assert (problem.code, problem.node, problem.port) == ("type-mismatch", "a/one", "a")


def test_a_graph_that_is_not_there_is_told_and_spoils_only_what_reads_it(save, runtime):
    made = graph({"a": ("graph:twise", {}), "b": ("add", {"a": wire("a.out")}), "c": ("add", {"a": 1})}, {"b": "b.value", "c": "c.value"})
    assert problems(made) == [("no-such-graph", "a", "")]
    assert dict(made.run(only=["c"], runtime=runtime)) == {"c": 2}
    with pytest.raises(GraphError, match="`graph:twise` cannot be used as a node"):
        made.run(runtime=runtime)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_a_ring_of_graphs_is_refused_with_the_way_round(length):
    graphs = {f"g{i}": doc({f"n{i}": (f"graph:g{(i + 1) % length}", {})}, {"out": f"n{i}.out"}) for i in range(length)}
    made = graph({"top": ("graph:g0", {})}, {"out": "top.out"}, graphs=graphs)
    problem, = made.check().problems
    assert problem.code == "recursion" and "`top` holds itself, by way of " + " → ".join(f"n{i}" for i in range(length)) in problem.message


def test_a_saved_graph_that_uses_itself_is_refused(save):
    path = save("me", doc({"again": ("graph:me", {})}, {"out": "again.out"}))
    problem, = load(path).check().problems
    assert problem.code == "recursion" and problem.message == "the graph holds itself, by way of again"


def test_graphs_are_nested_a_thousand_deep(runtime):
    graphs = {f"g{i}": doc({"n": (f"graph:g{i + 1}", {"x": wire("input.x")})}, {"out": "n.out"}, {"x": 0}) for i in range(1000)}
    graphs["g1000"] = doc({"n": ("add", {"a": wire("input.x")})}, {"out": "n.value"}, {"x": 0})
    made = graph({"top": ("graph:g0", {"x": 41})}, {"out": "top.out"}, graphs=graphs)
    assert made.run(runtime=runtime).out == 42


def test_a_short_text_that_means_a_billion_nodes_is_refused_soon():
    graphs = {f"g{i}": doc({f"n{k}": (f"graph:g{i + 1}", {}) for k in range(10)}, {"out": "n0.out"}) for i in range(9)}
    graphs["g9"] = doc({"n": ("add", {"a": 1})}, {"out": "n.value"})
    started = time.process_time()
    made = graph({"top": ("graph:g0", {})}, {"out": "top.out"}, graphs=graphs)
    assert problems(made) == [("too-many-nodes", "", "")] and time.process_time() - started < 60
    lists = {f"g{i}": doc({"n": (f"graph:g{i + 1}", {"x": {"list": [wire("input.x")] * 10}})}, {"out": "n.out"}, {"x": 1}) for i in range(9)}
    lists["g9"] = doc({"n": ("total", {"items": wire("input.x")})}, {"out": "n.value"}, {"x": 1})
    made = graph({"top": ("graph:g0", {"x": 1})}, {"out": "top.out"}, graphs=lists)
    assert ("too-many-values", "top/n/n/n/n/n/n/n/n/n/n", "items") in problems(made)


def test_an_output_that_is_an_input_may_be_used_inside():
    through = doc({"n": ("add", {"a": 1})}, {"out": "input.x"}, {"x": ...})
    made = graph({"t": ("graph:through", {"x": 5}), "n": ("add", {"a": wire("t.out")})}, {"out": "n.value"}, graphs={"through": through})
    assert made().out == 6
    assert problems(graph({"t": ("graph:through", {"x": 5})}, {"out": "t.out"}, graphs={"through": through})) == [("output-is-input", "", "")]


def test_definitions_outlive_a_save_and_bad_ones_are_told():
    made = graph({"a": ("graph:twice", {"x": 5})}, {"out": "a.out"}, graphs={"twice": TWICE | {"mine": 1}})
    again = read(dump(made.document))
    assert again == made.document and dump(again) == dump(made.document) and again.graphs["twice"].mine == 1
    with pytest.raises(GraphError, match="`twice` in the graph"):
        graph({}, graphs={"twice": {"nodes": {"a": {"op": 3}}}})
    with pytest.raises(GraphError, match="the graph name 'a/b' is not made of letters"):
        graph({}, graphs={"a/b": TWICE})
    nested = TWICE
    for _ in range(20):
        nested = doc({}, graphs={"g": nested})
    with pytest.raises(GraphError, match="deeper than 16 levels"):
        of(nested)


def test_in_code_a_graph_is_called_as_a_node(save, runtime):
    save("twice", TWICE)
    twice = load("twice")
    made = Graph()
    with made:
        first = twice(x=made.input("x", 1))
        made.output(out=twice(x=first, step=5))
    assert made.run(runtime=runtime).out == 13
    assert [node.op for node in made.document.nodes.values()] == ["graph:twice", "graph:twice"]
    assert Graph(read(dump(made.document))).run(runtime=runtime).out == 13


def test_a_saved_graph_is_read_once_as_long_as_it_is_not_written(save, runtime, monkeypatch):
    from flowmm.face import find

    read, loaded = [], find.load_document
    monkeypatch.setattr(find, "load_document", lambda path: read.append(path.stem) or loaded(path))
    save("twice", TWICE)
    save("uses", doc({"a": ("graph:twice", {"x": 1}), "b": ("graph:twice", {"x": wire("a.out")})}, {"out": "b.out"}))
    first = load("uses").run(runtime=runtime).out
    assert load("uses").run(runtime=runtime).out == first and read.count("twice") == 1
    graph = load("uses")
    assert graph.check().problems == [] and not graph.outdated()
    save("twice", doc({"n": ("add", {"a": wire("input.x"), "b": 100})}, {"out": "n.value"}, {"x": 1}))
    assert graph.outdated() and load("uses").run(runtime=runtime).out == 201 and read.count("twice") == 2
    path = save("twice", TWICE)
    graph = load("uses")
    assert graph.run(runtime=runtime).out == first
    path.unlink()
    assert graph.outdated()
