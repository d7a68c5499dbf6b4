"""Graphs used as nodes, frames and modes over the server: typed and wired from outside, told where they can be seen, run as any."""

from __future__ import annotations

import api_nodes  # noqa: F401 - its nodes are named below

ADD, TOTAL = "local:api_nodes.add", "local:api_nodes.total"
TWICE = {
    "inputs": {"x": {}, "step": {"default": 1, "title": {"en": "Step", "zh": "步长"}, "help": "What is added"}},
    "nodes": {"one": {"op": ADD, "in": {"a": {"from": "input.x"}, "b": {"from": "input.step"}}},
              "two": {"op": ADD, "in": {"a": {"from": "one.value"}, "b": {"from": "input.step"}}}},
    "outputs": {"out": {"from": "two.value"}},
}  # fmt: skip


def using(**nodes):
    made = {"first": {"op": "graph:twice", "in": {"x": {"from": "input.start"}}}, "all": {"op": "graph:twice", "in": {"x": {"value": [1, 2]}}, "each": ["x"]},
            "sum": {"op": TOTAL, "in": {"numbers": {"from": "all.out"}}}}  # fmt: skip
    return {"flowmm": 1, "inputs": {"start": {"default": 5}}, "nodes": made | nodes, "graphs": {"twice": TWICE},
            "outputs": {"first": {"from": "first.out"}, "sum": {"from": "sum.value"}}}  # fmt: skip


def check(server, graph):
    answer = server.post("/api/check", graph=graph)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_piece_is_a_node_type_with_its_own_ports(server):
    found = check(server, using())
    assert found["problems"] == []
    twice = found["types"]["graph:twice"]
    assert {name: port["shown"] for name, port in twice["inputs"].items()} == {"x": "int", "step": "int"}
    assert twice["inputs"]["step"]["default"] == 1 and "default" not in twice["inputs"]["x"] and twice["inputs"]["step"]["help"] == "What is added"
    assert twice["inputs"]["step"]["title"] == {"en": "Step", "zh": "步长"} and "title" not in twice["inputs"]["x"]
    assert {name: port["shown"] for name, port in twice["outputs"].items()} == {"out": "int"}
    edges = {(edge["from"], edge["to"]): edge["type"] for edge in found["edges"]}
    assert edges == {("input.start", "first.x"): "int", ("all.out", "sum.numbers"): "list[int]", ("first.out", "output.first"): "int", ("sum.value", "output.sum"): "int"}


def test_a_problem_inside_is_told_at_the_piece(server):
    wrong = using(told={"op": "graph:twice", "in": {"x": "five"}})
    problem, = check(server, wrong)["problems"]
    assert (problem["node"], problem["inside"], problem["port"], problem["code"]) == ("told", "one", "a", "bad-literal")


def test_what_fits_a_piece_is_known_from_outside(server):
    asked = {"graph": using(), "node": "first", "port": "out", "side": "output"}
    found = server.post("/api/compatible", **asked).json()
    fits = {(one["node"], one["port"]): one["fits"] for one in found["ports"]}
    items = {(one["node"], one["port"]) for one in found["ports"] if one.get("item")}
    assert fits["all", "step"] and not fits["first", "x"] and found["type"] == "int"
    assert items == {("sum", "numbers"), ("all", "x")}, "as one of the list that they take"
    back = server.post("/api/compatible", graph=using(), node="all", port="x", side="input").json()
    assert back["type"] == "list[int]" and {(one["node"], one["port"]): one["fits"] for one in back["ports"]}["first", "out"]


def test_a_plan_tells_of_a_piece_what_is_most_work_in_it_and_of_its_nodes(server):
    def plan(graph):
        return server.post("/api/plan", graph=graph).json()["nodes"]

    fresh = using(first={"op": "graph:twice", "in": {"x": 77}})
    assert plan(fresh) == {"first": "run", "first/one": "run", "first/two": "run", "all": "run", "sum": "run"}
    assert server.run(fresh)["state"] == "done"
    assert set(plan(fresh).values()) == {"cached"}
    assert plan(using(first={"op": "graph:twice", "in": {"x": 77, "step": 1}}, all={"op": "graph:twice", "in": {"x": {"value": [1, 3]}}, "each": ["x"]}))["all"] == "run"


def test_it_runs_and_any_wire_of_it_can_be_looked_at(server):
    run = server.run(using())
    assert run["state"] == "done" and {name: one["summary"]["value"] for name, one in run["outputs"].items()} == {"first": 7, "sum": 7}
    looked = server.post("/api/look", graph=using(), edge="all.out")
    assert looked.status_code == 200 and looked.json()["here"], looked.text


def test_a_saved_graph_is_a_piece_by_its_name(server):
    for name, graph in (("twice-saved", {"flowmm": 1} | TWICE), ("user", {"flowmm": 1, "nodes": {"n": {"op": "graph:twice-saved", "in": {"x": 3}}}, "outputs": {"out": {"from": "n.out"}}})):
        assert server.http.put(f"/api/graphs/{name}", json=graph, headers={"If-None-Match": "*"}).status_code == 200
    run = server.run("user")
    assert run["state"] == "done" and run["outputs"]["out"]["summary"]["value"] == 5
    found = check(server, "user")
    assert found["problems"] == [] and list(found["types"]) == ["graph:twice-saved"]


def test_repairs_and_fitting_models_do_not_stumble_over_pieces(server):
    graph = using(bad={"op": TOTAL, "in": {"numbers": {"from": "first.out"}}}, words={"op": "graph:twice", "in": {"x": {"from": "bad.value"}, "stop": 3}})
    found = check(server, graph)
    assert {problem["code"] for problem in found["problems"]} == {"type-mismatch", "no-such-port"}
    paint = {"flowmm": 1, "nodes": {"p": {"op": "graph:text-to-image", "in": {"model": "zoo:clip"}}}, "outputs": {"image": {"from": "p.image"}}}
    assert check(server, paint)["problems"]
    fitting = server.post("/api/fitting", graph=paint, node="p", port="model")
    assert fitting.status_code == 200, fitting.text
    assert {one["name"] for one in fitting.json()["models"] if one["fits"]} == {"zoo:sd"}


def save(server, name, raw):
    before = server.http.get(f"/api/graphs/{name}")
    headers = {"If-Match": before.headers["etag"]} if before.status_code == 200 else {"If-None-Match": "*"}
    answer = server.http.put(f"/api/graphs/{name}", json={"flowmm": 1} | raw, headers=headers)
    assert answer.status_code == 200, answer.text


def test_a_piece_that_is_saved_anew_counts_at_once(server):
    """Also one that was not there before, or that now hides another; the graph that uses it is as it was."""
    outer = {"nodes": {"n": {"op": "graph:saved_piece", "in": {"x": 5}}}, "outputs": {"out": {"from": "n.out"}}}
    save(server, "outer", outer)
    assert [one["code"] for one in check(server, "outer")["problems"]] == ["no-such-graph"]
    save(server, "saved_piece", TWICE)
    assert check(server, "outer")["problems"] == []
    assert server.run("outer")["outputs"]["out"]["summary"]["value"] == 7
    changed = TWICE | {"outputs": {"out": {"from": "one.value"}}}
    save(server, "saved_piece", changed)
    assert server.run("outer")["outputs"]["out"]["summary"]["value"] == 6
    assert server.run({"flowmm": 1} | outer)["outputs"]["out"]["summary"]["value"] == 6, "a draft as well"
