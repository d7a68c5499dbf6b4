"""What of a graph is computed: outputs, nodes and edges by name, and everything up to a node."""

from __future__ import annotations

import pytest
import small_nodes
from short import doc, graph, wire

from flowmm import GraphError

CHAIN = doc(
    {"one": ("add", {"a": wire("input.x")}), "two": ("both", {"a": wire("one.value"), "b": 10}), "three": ("add", {"a": wire("two.product")}),
     "aside": ("add", {"a": 7})},
    {"first": "one.value", "last": "three.value", "aside": "aside.value"}, {"x": 1},
)  # fmt: skip


def test_a_node_stands_for_all_its_outputs(runtime):
    made = graph({"n": ("both", {"a": 3, "b": 4})}, {"out": "n.sum"})
    assert dict(made.run(only=["n"], runtime=runtime)) == {"n.sum": 7, "n.product": 12}
    assert dict(made.run(only=["n.product"], runtime=runtime)) == {"n.product": 12}


def test_an_output_comes_before_a_node_of_its_name(save, runtime):
    from flowmm import load

    assert dict(load(save("chain", CHAIN)).run(only=["aside"], runtime=runtime)) == {"aside": 8}


def test_a_piece_and_a_node_in_it_are_named_as_well(runtime, tmp_path):
    inner = doc({"n": ("both", {"a": wire("input.x"), "b": 2})}, {"out": "n.sum"}, {"x": ...})
    made = graph({"p": ("graph:inner", {"x": 5})}, {"out": "p.out"}, graphs={"inner": inner})
    assert dict(made.run(only=["p"], runtime=runtime)) == {"p.out": 7}
    result = made.run(only=["p/n"], runtime=runtime)
    assert dict(result) == {"p/n.sum": 7, "p/n.product": 10}
    assert [path.name for path in result.save(tmp_path)] == ["p-n.sum.json", "p-n.product.json"]


def test_the_command_computes_up_to_a_node_and_gives_what_comes_out_on_the_way(save, command, tmp_path):
    path = save("chain", CHAIN)
    status, out, _ = command("run", path, "--until", "two", "-o", tmp_path / "out", "--quiet")
    assert status == 0 and "first: 2" in out and "two.sum: 12" in out and "two.product: 20" in out and "last" not in out
    assert small_nodes.RAN == ["add 1 1"]
    status, out, _ = command("run", path, "--only", "three", "-o", tmp_path / "out", "--quiet")
    assert status == 0 and out.startswith("three.value: 21")


@pytest.mark.parametrize("option", ["--only", "--until"])
def test_a_name_that_is_nowhere_is_told_with_the_nearest(save, command, option):
    status, _, err = command("run", save("chain", CHAIN), option, "thre", "--quiet")
    assert status == 1 and "Did you mean `three`?" in err


def test_what_is_muted_or_unknown_says_so():
    made = graph({"n": ("add", {"a": 1}, {"mode": "mute"}), "m": ("add", {"a": wire("n.value")}), "u": ("none:such.node", {}), "k": ("add", {"a": 1})}, {"out": "m.value"})
    for name, code in (("m", "muted"), ("n", "muted"), ("u", "unknown-op"), ("k.sum", "no-such-edge"), ("n.value", "muted"), ("m.sum", "muted")):
        with pytest.raises(GraphError) as caught:
            made.run(only=[name])
        assert [one.code for one in caught.value.problems] == [code]
