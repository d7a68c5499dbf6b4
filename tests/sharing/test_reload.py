"""In development a saved node counts at once: what it touches has new types, keys and results, and nothing else has."""

from __future__ import annotations

import sys

import pytest
from short import doc, wire

from flowmm import Graph, GraphError, NodeFailed, Runtime
from flowmm.catalog import code, packs
from flowmm.catalog.reload import reload
from flowmm.engine.program import Program
from flowmm.graph.document import of

HELPER = "def amount():\n    return 1\n"
SUMS = """
from flowmm import node
from ._helper import amount

@node(version=1)
def more(x: int) -> int:
    return x + amount()
"""
PLAIN = """
from flowmm import node

@node(version=1)
def double(x: int, times: int = 2) -> int:
    return x * times
"""
GRAPH = doc({"d": ("devpack:plain.double", {"x": wire("input.x")}), "m": ("devpack:sums.more", {"x": wire("d.value")}), "e": ("devpack:plain.double", {"x": wire("m.value")})},
            {"out": "e.value", "first": "d.value", "middle": "m.value"}, {"x": 10})  # fmt: skip


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """An installed pack; writes a file of it."""
    folder = tmp_path / "site" / "devpack"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setitem(packs.packs(), "devpack", packs.Pack("devpack", "devpack", "flowmm-devpack", "1.0"))
    info = tmp_path / "site" / "flowmm_devpack-1.0.dist-info"  # for worker processes
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flowmm-devpack\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flowmm.packs]\ndevpack = devpack\n")

    def write(name, text):
        (folder / f"{name}.py").write_text(text)

    for name, text in (("__init__", ""), ("_helper", HELPER), ("sums", SUMS), ("plain", PLAIN)):
        write(name, text)
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "devpack"]:
        del sys.modules[name]
        packs.LOADED.pop(name, None)
        packs.forget(name)
    code.forget()
    packs.renew()


@pytest.fixture
def development(monkeypatch):
    monkeypatch.setenv("FLOWMM_DEV", "1")


def keys(made):
    program = Program(made.check(), "n")
    _, values = made._program("n", {}, set(range(len(made.wiring.names))))
    return dict(zip(made.wiring.names, program.identities(values)[0]))


def test_a_saved_node_is_taken_at_the_next_run(pack, development, runtime):
    made = Graph(of(GRAPH))
    assert made.run(runtime=runtime).out == 22 * 1 + 20
    before = keys(made)
    pack("sums", SUMS.replace("+ amount()", "- amount()"))
    result = made.run(runtime=runtime)
    assert (result.out, result.executed) == (38, 2)
    after = keys(made)
    assert {name for name in before if before[name] != after[name]} == {"m", "e"}


def test_a_helper_that_was_saved_touches_what_imports_it_and_nothing_else(pack, development, runtime):
    made = Graph(of(GRAPH))
    made.run(runtime=runtime)
    before, double = keys(made), packs.find("devpack:plain.double")
    pack("_helper", HELPER.replace("1", "5"))
    assert made.run(runtime=runtime).out == 50
    after = keys(made)
    assert {name for name in before if before[name] != after[name]} == {"m", "e"} and packs.find("devpack:plain.double") is double
    pack("_helper", HELPER.replace("1", "6"))  # as long, and within the same second
    assert made.run(runtime=runtime).out == 52


def test_other_ports_new_nodes_and_nodes_that_are_gone(pack, development, runtime):
    made = Graph(of(GRAPH))
    made.run(runtime=runtime)
    pack("plain", PLAIN.replace("times: int", "by: int").replace("times", "by") + "\n@node(version=1)\ndef triple(x: int) -> int:\n    return x * 3\n")
    assert made.run(runtime=runtime).out == 42 and list(packs.find("devpack:plain.double").inputs) == ["x", "by"]
    new = Graph(of(doc({"t": ("devpack:plain.triple", {"x": 4})}, {"out": "t.value"})))
    assert new.run(runtime=runtime).out == 12
    pack("plain", PLAIN)
    assert [one.code for one in new.check().errors()] == ["unknown-op"]
    pack("extra", PLAIN.replace("double", "quadruple"))
    assert Graph(of(doc({"q": ("devpack:extra.quadruple", {"x": 1, "times": 4})}, {"out": "q.value"}))).run(runtime=runtime).out == 4


def test_a_file_that_is_broken_disables_its_room_until_it_is_mended(pack, development, runtime):
    made = Graph(of(GRAPH))
    made.run(runtime=runtime)
    pack("sums", SUMS + "\ndef broken(:\n")
    with pytest.raises(GraphError, match="SyntaxError"):
        made.run(runtime=runtime)
    assert Graph(of(GRAPH)).run(only=["first"], runtime=runtime).first == 20
    pack("sums", SUMS)
    assert made.run(runtime=runtime).out == 42


def test_a_broken_helper_disables_what_imports_it(pack, development, runtime):
    made = Graph(of(GRAPH))
    made.run(runtime=runtime)
    pack("_helper", "def amount(:\n")
    assert [one.code for one in made.check().errors()] == ["unknown-op"] and "SyntaxError" in str(made.check().errors()[0])
    pack("plain", PLAIN.replace("x * times", "x * times + 0"))
    assert made.run(only=["first"], runtime=runtime).first == 20
    pack("_helper", HELPER)
    assert made.run(runtime=runtime).out == 42


def test_a_run_that_goes_on_keeps_the_code_that_it_began_with(pack, development, runtime):
    """Also what its functions call: its results lie under the keys of that code."""
    made = Graph(of(GRAPH))
    run, finish = made.prepare({}, runtime=runtime)
    pack("_helper", HELPER.replace("1", "5"))
    assert made.check().errors() == []  # it was seen
    assert finish(run.execute()).out == 42
    result = made.run(runtime=runtime)
    assert (result.out, result.executed) == (50, 2)


def test_the_worker_process_loads_it_again_as_well(pack, development):
    runtime = Runtime("cpu", cache=None, threads=1, separate=True)
    try:
        made = Graph(of(GRAPH))
        assert made.run(runtime=runtime).out == 42
        pid = runtime.worker.pid
        pack("_helper", HELPER.replace("1", "5"))
        result = made.run(runtime=runtime)
        assert (result.out, result.executed, runtime.worker.pid) == (50, 2, pid)
        pack("sums", SUMS + "\n")
        assert made.run(runtime=runtime).out == 50
    finally:
        runtime.close()


def test_without_development_only_reload_looks(pack, runtime):
    made = Graph(of(GRAPH))
    made.run(runtime=runtime)
    pack("sums", SUMS.replace("+ amount()", "- amount()"))
    assert made.run(runtime=runtime).out == 42
    import flowmm

    assert flowmm.reload is reload and flowmm.reload() == ["devpack.sums"]
    assert made.run(runtime=runtime).out == 38 and flowmm.reload() == []


def test_nodes_of_a_script_beside_it_are_watched_too(tmp_path, monkeypatch, development, runtime):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "reloaded_script.py").write_text(PLAIN)
    import reloaded_script  # noqa: F401

    made = Graph(of(doc({"d": ("local:reloaded_script.double", {"x": 3})}, {"out": "d.value"})))
    assert made.run(runtime=runtime).out == 6
    (tmp_path / "reloaded_script.py").write_text(PLAIN.replace("x * times", "x ** times"))
    assert made.run(runtime=runtime).out == 9 and sys.modules["reloaded_script"].double(x=2, times=3) == 8
    (tmp_path / "reloaded_script.py").write_text("def broken(:")
    assert [one.code for one in made.check().errors()] == ["unknown-op"]
    (tmp_path / "reloaded_script.py").write_text(PLAIN)
    assert made.run(runtime=runtime).out == 6


def test_a_node_that_fails_can_be_mended_and_run_again(pack, development, runtime):
    pack("sums", SUMS.replace("x + amount()", "x / 0"))
    made = Graph(of(GRAPH))
    with pytest.raises(NodeFailed):
        made.run(runtime=runtime)
    pack("sums", SUMS)
    assert made.run(runtime=runtime).out == 42
