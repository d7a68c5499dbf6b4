"""What fits a port that takes several wires: one more item beside the others, or a whole list in their place."""

from __future__ import annotations

import json

import api_nodes as n
import pytest
from running import serving

from flowmm import Graph
from flowmm.graph.document import dump


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("list-wires")) as made:
        yield made


def sums() -> Graph:
    """A sum of one number, and two more that could be added."""
    graph = Graph(title="Sums")
    with graph:
        one = n.add(1, _name="one")
        n.add(2, _name="two")
        n.shout("a", _name="word")
        graph.output(total=n.total([one], _name="total"))
    return graph


def fitting(server, node: str, port: str, side: str) -> dict:
    found = server.post("/api/compatible", graph=json.loads(dump(sums().document)), node=node, port=port, side=side).json()
    return {f"{one['node']}.{one['port']}": one for one in found["ports"]}


def pictures(wired: dict) -> dict:
    resize = {"op": "image.resize", "version": 1, "in": {"image": {"from": "input.image"}}}
    fit, batch = {"op": "codes.fit", "version": 1, "in": {"image": wired}}, {"op": "image.batch", "version": 1, "in": {}}
    return {"flowmm": 1, "inputs": {"image": {"default": "a.png"}}, "nodes": {"read": resize, "other": resize, "fit": fit, "all": batch}}


def output(node: str) -> str:
    graph = sums()
    return next(iter(graph.wiring.specs[graph.wiring.index[node]].outputs))


def test_an_output_fits_a_list_as_one_of_its_items(server):
    ports = fitting(server, "two", output("two"), "output")
    assert ports["total.numbers"] == {"node": "total", "port": "numbers", "fits": True, "item": True}
    assert ports["one.a"] == {"node": "one", "port": "a", "fits": True}


def test_what_is_no_item_of_the_list_says_why(server):
    ports = fitting(server, "word", output("word"), "output")
    assert not ports["total.numbers"]["fits"] and "item" not in ports["total.numbers"] and "str" in ports["total.numbers"]["why"]


def test_a_list_that_is_held_is_offered_items(server):
    ports = fitting(server, "total", "numbers", "input")
    assert ports[f"two.{output('two')}"]["item"] and not ports[f"word.{output('word')}"]["fits"]


def test_node_types_that_could_be_added_say_which_ports_take_one_item(server):
    made = server.post("/api/compatible", graph=pictures({"from": "read.image"}), node="other", port="image", side="output").json()
    batch = next(one for one in made["nodes"] if one["op"] == "image.batch")
    assert batch["ports"] == batch["items"] == ["images"]
    fit = next(one for one in made["nodes"] if one["op"] == "codes.fit")
    assert fit["ports"] == ["image"] and "items" not in fit
    taken = server.post("/api/compatible", graph=pictures({"from": "read.image"}), node="all", port="images", side="input").json()
    assert next(one for one in taken["nodes"] if one["op"] == "image.resize")["items"] == ["image"]


@pytest.mark.parametrize(("wired", "item"), [({"from": "read.image"}, False), ({"list": [{"from": "read.image"}]}, True)], ids=["a picture", "a list"])
def test_a_port_of_one_picture_or_several_takes_a_second_only_beside_a_list(server, wired, item):
    """`codes.fit` takes a picture or a list: another one takes the first one's place, as in any port, unless a list is there."""
    answer = server.post("/api/compatible", graph=pictures(wired), node="other", port="image", side="output")
    assert answer.status_code == 200, answer.text
    found = next(one for one in answer.json()["ports"] if (one["node"], one["port"]) == ("fit", "image"))
    assert found["fits"] and found.get("item", False) is item
