"""A key covers everything that can change a value, and nothing that cannot."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
import stage_nodes as s

from flowmm import Graph, Runtime
from flowmm.catalog import code, packs, spec
from flowmm.engine.program import Operation
from flowmm.graph.document import read
from flowmm.sockets import Text

LOCAL = "local:stage_nodes"


def keys(graph: Graph, runtime: Runtime, **inputs) -> dict[str, bytes]:
    run, _ = graph.prepare(inputs, runtime=runtime)
    identities, _ = run.program.identities(run.given)
    return dict(zip(run.program.names, identities))


def document(nodes: dict, outputs: dict, inputs: dict | None = None) -> Graph:
    return Graph(read(json.dumps({"flowmm": 1, "inputs": inputs or {}, "nodes": nodes, "outputs": outputs})))


def node(function: str, **inputs) -> dict:
    return {"op": f"{LOCAL}.{function}", "in": inputs}


BASE = {
    "one": node("add", a=1, b=2),
    "two": node("divide", a={"from": "one.value"}),
    "three": node("total", numbers={"list": [{"from": "two.rest"}, {"from": "input.x"}, 5]}),
}
OUTPUT = {"out": {"from": "three.value"}}
INPUTS = {"x": {"default": 4}}


def base(**changes) -> Graph:
    return document({**BASE, **changes}, OUTPUT, INPUTS)


def test_renaming_moving_and_reordering_keep_every_key(runtime):
    expected = keys(base(), runtime)
    renamed = json.loads(json.dumps({"uno": BASE["one"], "dos": BASE["two"], "tres": BASE["three"]})
                         .replace("one.", "uno.").replace("two.", "dos."))  # fmt: skip
    found = keys(document(renamed, {"other": {"from": "tres.value"}}, INPUTS), runtime)
    assert list(found.values()) == list(expected.values())
    backwards = {name: {**BASE[name], "in": dict(reversed(BASE[name]["in"].items()))} for name in reversed(BASE)}
    assert keys(document(backwards, OUTPUT, INPUTS), runtime) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"one": node("add", a=2, b=2)},
        {"one": node("add", a=1, b=3)},
        {"one": node("add", a=1)},
        {"two": node("divide", a={"from": "one.value"}, by=11)},
        {"three": node("total", numbers={"list": [{"from": "two.quotient"}, {"from": "input.x"}, 5]})},
        {"three": node("total", numbers={"list": [{"from": "input.x"}, {"from": "two.rest"}, 5]})},
        {"three": node("total", numbers={"list": [{"from": "two.rest"}, {"from": "input.x"}]})},
    ],
)
def test_any_change_of_a_parameter_or_wire_changes_the_key(runtime, changes):
    assert keys(base(**changes), runtime)["three"] != keys(base(), runtime)["three"]


def test_a_changed_input_changes_the_keys_below_it_only(runtime):
    before, after = keys(base(), runtime), keys(base(), runtime, x=5)
    assert [name for name in before if before[name] != after[name]] == ["three"]


def test_keys_remembered_between_runs_equal_fresh_ones(runtime):
    graph = base()
    for x in (1, 2, 1):
        assert keys(graph, runtime, x=x) == keys(base(), runtime, x=x)


def test_a_default_given_or_left_out_is_the_same(runtime):
    given = base(two=node("divide", a={"from": "one.value"}, by=10))
    assert keys(given, runtime) == keys(base(), runtime)


def test_a_number_written_as_javascript_does_is_the_same_where_a_float_is_wanted(runtime):
    graphs = [document({"n": node("half", a=number)}, {"out": {"from": "n.value"}}) for number in (1, 1.0)]
    assert keys(graphs[0], runtime) == keys(graphs[1], runtime)


def test_equal_values_of_other_types_have_other_keys(runtime):
    found = [keys(document({"n": node("shown", value=value)}, {"out": {"from": "n.value"}}), runtime)["n"] for value in (1, True, "1", 1.0)]
    assert len(set(found)) == 4


# ── numeric class, libraries ────────────────────────────────────────────────────────────────────


def test_threads_and_device_matter_only_to_what_computes_with_torch(monkeypatch):
    monkeypatch.setattr("flowmm.engine.workers.base.of_module", lambda module: code.Code(b"code", {"torch": "2.6"} if module == "with torch" else {}))
    plain, torch = (_spec(module) for module in ("without", "with torch"))
    assert Operation(plain, "cpu/1 thread").head == Operation(plain, "cpu/2 threads").head
    assert Operation(torch, "cpu/1 thread").head != Operation(torch, "cpu/2 threads").head


def test_a_new_version_of_a_library_matters_only_to_those_who_import_it(monkeypatch):
    heads = []
    for version in ("1", "2"):
        monkeypatch.setattr("flowmm.engine.workers.base.of_module", lambda module: code.Code(b"code", {"numpy": version} if module == "with numpy" else {}))  # noqa: B023
        heads.append([Operation(_spec(module), "").head for module in ("without", "with numpy")])
    assert heads[0][0] == heads[1][0] and heads[0][1] != heads[1][1]


def _spec(module: str) -> spec.NodeSpec:
    made = spec._read_spec(s.shout.function, "text.shout", dict(version=1, title="", help="", tags=(), pure=True, lane="", lazy=(), hands_on=False), None, None)
    made.module = module
    return made


def test_two_runtimes_with_other_thread_counts_differ_in_class():
    one, two = (Runtime("cpu", cache=None, threads=threads) for threads in (1, 2))
    assert one.numeric != two.numeric
    one.close(), two.close()


# ── code ────────────────────────────────────────────────────────────────────────────────────────

PACK = {
    "paint": "from flowmm import node\nfrom .helpers import tint\n@node(version=1)\ndef paint(a: int) -> int:\n    return tint(a)\n",
    "inside": "from flowmm import node\n@node(version=1)\ndef inside(a: int) -> int:\n    from .helpers import tint\n    return tint(a)\n",
    "alone": "from flowmm import node\nimport numpy\n@node(version=1)\ndef alone(a: int) -> int:\n    return a\n",
    "helpers": "from . import deeper\ndef tint(a):\n    return deeper.shade(a)\n",
    "deeper": "def shade(a):\n    return a + 1\n",
}


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """Writes a pack of five modules, some edited, and tells the code of its three nodes."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packs, "packs", lambda: {"colours": packs.Pack("colours", "tmp_colours")})

    def forget():
        for name in [name for name in sys.modules if name.startswith("tmp_colours")]:
            del sys.modules[name]
        code.of_module.cache_clear(), code._source.cache_clear(), packs._installed.cache_clear()
        importlib.invalidate_caches()

    def write(**edits):
        folder = tmp_path / "tmp_colours"
        folder.mkdir(exist_ok=True)
        for name, text in {"__init__": "", **PACK, **edits}.items():
            (folder / f"{name}.py").write_text(text)
        forget()
        return {name: code.of_module(f"tmp_colours.{name}") for name in ("paint", "inside", "alone")}

    yield write
    forget()


def test_editing_a_helper_changes_the_nodes_that_import_it_and_no_others(pack):
    before, after = pack(), pack(deeper=PACK["deeper"].replace("+ 1", "+ 2"))
    assert [name for name in before if before[name].digest != after[name].digest] == ["paint", "inside"]


def test_editing_one_module_leaves_its_neighbours_alone(pack):
    before, after = pack(), pack(alone=PACK["alone"] + "# a remark\n")
    assert [name for name in before if before[name].digest != after[name].digest] == ["alone"]


def test_only_the_libraries_a_node_imports_count(pack):
    found = pack()
    assert set(found["alone"].libraries) == {"numpy"} and found["paint"].libraries == {}


def test_an_edited_pack_computes_again(pack, runtime):
    pack()
    graph = Graph(read('{"flowmm": 1, "nodes": {"n": {"op": "colours:paint.paint", "in": {"a": 1}}}, "outputs": {"out": {"from": "n.value"}}}'))
    assert graph.run(runtime=runtime).out == 2
    pack(deeper="def shade(a):\n    return a + 41\n")
    again = Graph(graph.document)
    assert again.run(runtime=runtime).out == 42


def test_a_node_of_a_prompt_is_keyed_by_its_source_or_runs_every_time(runtime):
    known = code.of_function(s.shout.function)
    assert known.known and known.digest != code.of_function(s.trim.function).digest
    namespace = {"__name__": "nowhere"}
    exec("from flowmm import node\n@node(version=1)\ndef typed(a: int) -> int:\n    CALLS.append(a)\n    return a + 1\n", namespace)
    namespace["CALLS"] = calls = []
    graph = Graph()
    with graph:
        graph.output(out=namespace["typed"](1))
    assert [graph.run(runtime=runtime).out for _ in range(2)] == [2, 2]
    assert calls == [1, 1]  # its source cannot be read, so nothing is remembered


def test_a_value_given_as_text_or_as_a_text_is_the_same(runtime):
    graph = Graph()
    with graph:
        graph.output(out=s.words(graph.input("text")))
    assert keys(graph, runtime, text="a b") == keys(graph, runtime, text=Text(("a b",))) != keys(graph, runtime, text="a c")
