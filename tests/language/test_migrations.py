"""Older graphs: nodes of earlier versions become today's, files of every released format open, what is unknown stays as it was."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from short import doc, graph, problems, wire

from flowmm import GraphError, load, node
from flowmm.graph.document import dump, read
from flowmm.graph.document import load as load_document

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
FILES = sorted(path for path in CORPUS.glob("format-*/*.json"))
FROZEN = CORPUS / "SHA256SUMS"


@node(version=3)
def scaled(number: int, factor: int = 1) -> int:
    return number * factor


@scaled.migrate(1, result="product")  # version 1 took `times` and gave `result`
def _(inputs):
    return {("factor" if port == "times" else port): value for port, value in inputs.items()}


@scaled.migrate(2, product="value")  # version 2 counted factors from 0
def _(inputs):
    return inputs | {"factor": inputs.get("factor", 0) + 1} if isinstance(inputs.get("factor", 0), int) else inputs


@node(version=2)
def broken(number: int = 1) -> int:
    return number


@broken.migrate(1)
def _(inputs):
    return inputs["what is not there"]


OP = f"local:{__name__}."


def old(version, given, output="value", **more):
    made = {"flowmm": 1, "nodes": {"n": {"op": OP + "scaled", "version": version, "in": given} | more}, "outputs": {"out": {"from": f"n.{output}"}}}
    made["nodes"]["sum"] = {"op": "local:small_nodes.total", "in": {"items": {"list": [{"from": f"n.{output}"}, 1]}}}
    made["outputs"]["sum"] = {"from": "sum.value"}
    return read(__import__("json").dumps(made))


@pytest.mark.parametrize(
    ("version", "given", "output", "wanted"),
    [(1, {"number": 5, "times": 1}, "result", 10), (2, {"number": 5, "factor": 2}, "product", 15), (3, {"number": 5, "factor": 2}, "value", 10)],
)
def test_a_node_is_brought_to_todays_version_step_by_step(version, given, output, wanted, runtime):
    from flowmm import Graph

    made = Graph(old(version, given, output))
    assert problems(made) == [] and dict(made.run(runtime=runtime)) == {"out": wanted, "sum": wanted + 1}
    assert made.document.nodes["n"].version == version, "the file is left alone"


def test_nodes_inside_definitions_are_brought_too(runtime):
    inner = doc({"n": (OP + "scaled", {"number": wire("input.x"), "times": 1})}, {"out": "n.result"}, {"x": 1})
    inner["nodes"]["n"]["version"] = 1
    made = graph({"p": ("graph:inner", {"x": 4})}, {"out": "p.out"}, graphs={"inner": inner})
    assert made.run(runtime=runtime).out == 8


def test_a_node_from_the_future_is_warned_about_and_run(runtime):
    from flowmm import Graph

    made = Graph(old(4, {"number": 5, "factor": 2}))
    assert [(one.code, one.level, one.node) for one in made.check().problems] == [("newer-node", "warning", "n")]
    assert made.run(runtime=runtime).out == 10


def test_a_rule_that_fails_is_told_and_takes_nothing_down(runtime):
    made = graph({"n": (OP + "broken", {"number": 3})}, {"out": "n.value"})
    made = type(made)(made.document.model_copy(update={"nodes": {"n": made.document.nodes["n"].model_copy(update={"version": 1})}}))
    assert [one.code for one in made.check().problems] == ["migration-failed"] and made.run(runtime=runtime).out == 3


# ── the corpus ──────────────────────────────────────────────────────────────────────────────────


def test_the_corpus_only_grows():
    known = dict(reversed(line.split("  ", 1)) for line in FROZEN.read_text("utf-8").splitlines())
    found = {path.relative_to(CORPUS).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in FILES}
    assert found == known, f"files of released formats never change; a new one is added to {FROZEN.name} with `sha256sum`"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_graph_that_was_ever_saved_opens_and_checks(path):
    document, data = load_document(path)
    assert read(dump(document)) == document and dump(read(dump(document))) == dump(document)
    made = load(path)
    assert all(one.code == "unknown-op" for one in made.check().problems if one.level == "error")
    assert made.outputs


def test_a_graph_with_an_unknown_node_opens_checks_and_runs_what_does_not_need_it(runtime):
    made = load(CORPUS / "format-1" / "everything.json")
    assert [str(one) for one in made.check().problems if one.level == "error"] == [
        "foreign: `somebody:room.node` needs the pack `somebody`, which is not installed. Install the pack it comes from, or remove the node."
    ]
    told = made.run(only=["told", "longer"], runtime=runtime)
    assert [text.lines for text in told.told] == [("a!",), ("b!",)] and told.longer.lines == ("x+++",)
    with pytest.raises(GraphError, match="pack `somebody`"):
        made.run(runtime=runtime)
    again = read(dump(made.document))
    assert again.nodes["foreign"].mine == {"x": 1} and again.nodes["foreign"].version == 3 and getattr(again, "someone else's") == [1, 2]
