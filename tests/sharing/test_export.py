"""An exported script runs by itself and gives what the graph gives, to the last bit; and it reads well."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image as Picture
from short import doc, graph, wire

from flowmm import Graph, GraphError, load
from flowmm.face.export import export
from flowmm.face.find import shipped
from flowmm.graph.document import of

NAMES = sorted(path.stem for path in shipped().glob("*.json"))
QUICK = {"steps": 2, "prior_steps": 2, "candidates": 2, "most": 4}  # where a graph has such an input

ALL = """
import runpy, sys
for script, *arguments in eval(sys.stdin.read()):
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
"""


def python(*arguments, given="", **more):
    """What a Python of its own printed."""
    roots = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    found = subprocess.run([sys.executable, *map(str, arguments)], input=given, capture_output=True, text=True, timeout=600,
                           env=os.environ | {"PYTHONPATH": roots, "OMP_NUM_THREADS": "1"}, **more)  # fmt: skip
    assert found.returncode == 0, found.stderr
    return found.stdout


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def called(made, **inputs):
    """What the script's function gives."""
    text = export(made)
    space: dict = {"__name__": "script"}
    exec(compile(text, "script.py", "exec"), space)
    function = [one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)][-1]
    return space[function.name](**inputs), text


@pytest.mark.timeout(1800)
def test_every_shipped_graph_gives_the_same_files_as_its_script(tmp_path, runtime):
    jobs = []
    for name in NAMES:
        made = load(name)
        text = export(made)
        assert all(len(line) <= 120 for line in text.splitlines()), name
        (tmp_path / f"{name}.py").write_text(text)
        given = {key: value for key, value in QUICK.items() if key in made.inputs}
        made.run(given, runtime=runtime).save(tmp_path / "graph" / name, embed=False)
        jobs.append([str(tmp_path / f"{name}.py"), "-o", str(tmp_path / "script" / name),
                     *(word for key, value in given.items() for word in (f"--{key.replace('_', '-')}", str(value)))])  # fmt: skip
    python("-c", ALL, given=repr(jobs))
    for name in NAMES:
        assert files(tmp_path / "script" / name) == files(tmp_path / "graph" / name), name


def test_the_command_writes_a_script_that_runs_with_options_of_its_own(tmp_path, command, runtime):
    status, out, _ = command("export", "clip-match", "--python", "-o", tmp_path / "match.py")
    assert (status, out.strip()) == (0, str(tmp_path / "match.py"))
    python(tmp_path / "match.py", "--texts", "a red star", "a blue ring", "--image", shipped() / "examples/red-circle.png", "-o", tmp_path / "out")
    wanted = load("clip-match").run({"texts": ["a red star", "a blue ring"], "image": str(shipped() / "examples/red-circle.png")}, runtime=runtime)
    wanted.save(tmp_path / "wanted", embed=False)
    assert files(tmp_path / "out") == files(tmp_path / "wanted")
    assert "--texts" in python(tmp_path / "match.py", "--help")
    status, out, _ = command("export", "clip-match", "--python")
    assert status == 0 and out == export(load("clip-match"))


# ── the language ────────────────────────────────────────────────────────────────────────────────

STEP = doc({"n": ("both", {"a": wire("input.x"), "b": wire("input.by")}), "d": ("above", {"a": wire("n.sum"), "than": wire("input.limit")})},
           {"out": "n.sum", "product": "n.product", "enough": "d.value"}, {"x": ..., "by": 1, "limit": 100})  # fmt: skip


def test_pieces_are_functions_each_once(runtime):
    outer = doc({"s": ("graph:step", {"x": wire("input.x"), "by": 10}), "t": ("graph:step", {"x": wire("s.product")})}, {"out": "t.out"}, {"x": ...})
    made = graph({"a": ("graph:outer", {"x": 3}), "b": ("graph:outer", {"x": wire("a.out")}), "c": ("graph:step", {"x": wire("b.out")})},
                 {"out": "c.out", "first": "a.out"}, graphs={"step": STEP, "outer": outer})  # fmt: skip
    values, text = called(made)
    assert values == dict(made.run(runtime=runtime))
    assert [one.name for one in ast.parse(text).body if isinstance(one, ast.FunctionDef)] == ["step", "outer", "graph"]


@pytest.mark.parametrize(
    ("nodes", "outputs"),
    [
        ({"n": ("add", {"a": wire("input.xs"), "b": 10}, {"each": ["a"]})}, {"out": "n.value"}),
        ({"n": ("both", {"a": wire("input.xs"), "b": {"value": [4, 5, 6]}}, {"each": ["a", "b"]}), "t": ("total", {"items": wire("n.product")})}, {"out": "t.value", "sums": "n.sum"}),
        ({"n": ("both", {"a": wire("input.xs"), "b": {"value": [4, 5]}}, {"each": ["a", "b"], "combine": "product"})}, {"out": "n.sum"}),
        ({"n": ("graph:step", {"x": {"list": [1, wire("p.value")]}, "by": 5}, {"each": ["x"]}), "p": ("add", {"a": 1})}, {"out": "n.product"}),
        ({"n": ("graph:named", {"step": 4}), "m": ("graph:named", {"step": {"list": [1, 2]}}, {"each": ["step"]})}, {"out": "n.out", "all": "m.out"}),
        ({"n": ("shout", {"text": {"value": ["a", "b"]}, "mark": "?"}, {"each": ["text"]})}, {"out": "n.text"}),
        ({"n": ("graph:step", {"x": 1, "by": 7, "limit": 30}, {"loop": {"carry": {"x": "out"}, "until": "enough", "most": 50}})}, {"out": "n.out", "all": "n.product"}),
        ({"n": ("graph:step", {"x": 1, "by": 2}, {"loop": {"carry": {"x": "product", "by": "out"}, "most": 4}})}, {"out": "n.out"}),
        ({"n": ("add", {"a": 5}, {"loop": {"carry": {"a": "value"}, "most": 3}})}, {"out": "n.value"}),
        ({"n": ("graph:rows", {"row": {"value": [[1, 2], [], [3]]}}, {"each": ["row"]})}, {"out": "n.out"}),
        ({"a": ("add", {"a": 1}), "n": ("add", {"a": wire("a.value"), "b": 3}, {"mode": "bypass"}), "m": ("add", {"a": wire("n.value")})}, {"out": "m.value"}),
        ({"a": ("add", {"a": 1}, {"mode": "mute"}), "b": ("add", {"a": wire("a.value")}), "c": ("add", {"a": 4})}, {"out": "b.value", "kept": "c.value"}),
        ({"p": ("graph:half", {"x": {"list": [1, 2]}}, {"each": ["x"]}), "q": ("total", {"items": wire("p.out")}), "r": ("total", {"items": wire("p.gone")}), "s": ("add", {"a": 1})},
         {"q": "q.value", "r": "r.value", "s": "s.value", "all": "p.out"}),
        ({"p": ("graph:half", {"x": 3}, {"loop": {"carry": {"x": "out"}, "most": 3}}), "q": ("graph:half", {"x": 3}, {"loop": {"carry": {"x": "gone"}, "most": 3}}), "s": ("add", {"a": 1})},
         {"p": "p.out", "gone": "p.gone", "q": "q.out", "s": "s.value"}),
        ({"p": ("graph:half", {"x": 3}), "q": ("add", {"a": wire("p.out")}), "r": ("add", {"a": wire("p.gone")})}, {"out": "q.value", "gone": "r.value"}),
        ({"r": ("logic.reroute", {"value": wire("c.value")}), "c": ("logic.constant", {"value": 7}), "n": ("add", {"a": wire("r.value")})}, {"out": "n.value", "seven": "r.value"}),
        ({"text": ("shout", {"text": "a"}), "clip": ("shout", {"text": wire("text.text")}), "list": ("shout", {"text": wire("clip.text")})}, {"out": "list.text"}),
        ({"n": ("noise", {"seed": 3, "size": 4}), "i": ("invert", {"image": wire("n.image")})}, {"out": "i.image"}),
        ({"n": ("shout", {"text": 'a long text with "quotes", a \\ and 引号 ' * 9})}, {"out": "n.text"}),
    ],
)  # fmt: skip
def test_frames_modes_and_names_give_what_the_graph_gives(nodes, outputs, runtime):
    rows = doc({"n": ("add", {"a": wire("input.row")}, {"each": ["a"]})}, {"out": "n.value"}, {"row": ...})
    half = doc({"n": ("add", {"a": wire("input.x")}), "m": ("add", {"a": wire("n.value")}, {"mode": "mute"})}, {"out": "n.value", "gone": "m.value"}, {"x": ...})
    named = doc({"n": ("graph:step", {"x": wire("input.step")})}, {"out": "n.out"}, {"step": ...})  # an input called like the function of a piece
    made = graph(nodes, outputs, {"xs": [1, 2, 3]}, graphs={"step": STEP, "rows": rows, "half": half, "named": named})
    values, text = called(made)
    assert values == dict(made.run(runtime=runtime)) and values
    assert all(len(line) <= 120 for line in text.splitlines()), text


def test_a_switch_is_an_if_and_only_its_branch_runs(runtime):
    import small_nodes

    nodes = {"t": ("longer", {"text": wire("input.text"), "than": 3}), "shared": ("add", {"a": 0}),
             "left": ("add", {"a": wire("shared.value"), "b": 10}), "left2": ("add", {"a": wire("left.value"), "b": 100}),
             "right": ("add", {"a": wire("shared.value"), "b": 20}), "inner": ("logic.switch", {"condition": wire("t.value"), "then": wire("left2.value"), "otherwise": 5}),
             "s": ("logic.switch", {"condition": wire("input.on"), "then": wire("inner.value"), "otherwise": wire("right.value")})}  # fmt: skip
    made = graph(nodes, {"out": "s.value"}, {"text": "long enough", "on": True})
    for inputs in ({}, {"on": False}, {"text": "a"}):
        wanted = dict(made.run(inputs, runtime=runtime))
        small_nodes.RAN.clear()
        values, text = called(made, **inputs)
        assert values == wanted
        assert [one for one in small_nodes.RAN if one.endswith((" 10", " 100"))] == (["add 1 10", "add 11 100"] if not inputs else [])
    assert text.count("if ") >= 2 and "else:" in text and "logic" not in text


def test_files_are_named_from_where_the_script_lies(save, tmp_path, runtime, command, home):
    Picture.new("RGB", (3, 7)).save(home / "graphs" / "p.png")
    path = save("tall", doc({"n": ("height", {"image": wire("input.image")}), "m": ("height", {"image": "p.png"})}, {"out": "n.value", "mine": "m.value"}, {"image": "p.png"}))
    (tmp_path / "scripts").mkdir()
    assert command("export", path, "-o", tmp_path / "scripts" / "tall.py")[0] == 0
    text = (tmp_path / "scripts" / "tall.py").read_text()
    assert 'HERE / "../home/graphs/p.png"' in text and str(tmp_path) not in text
    python(tmp_path / "scripts" / "tall.py", "-o", tmp_path / "out", cwd=tmp_path)
    assert (tmp_path / "out" / "out.json").read_text() == "7\n" == (tmp_path / "out" / "mine.json").read_text()


def test_an_input_that_must_be_given_and_inputs_named_like_modules(tmp_path):
    made = graph({"n": ("shout", {"text": wire("input.text")}), "m": ("add", {"a": wire("input.out"), "b": wire("input.list")}), "s": ("total", {"items": wire("input.many")})},
                 {"t": "n.text", "v": "m.value", "s": "s.value"}, {"list": 1, "text": "a", "out": ..., "many": [1]})  # fmt: skip
    (tmp_path / "made.py").write_text(export(made))
    python(tmp_path / "made.py", "--out", "4", "--list", "5", "--many", "2", "3", "--save-in", tmp_path / "saved")
    assert (tmp_path / "saved" / "v.json").read_text() == "9\n" and (tmp_path / "saved" / "s.json").read_text() == "5\n" and (tmp_path / "saved" / "t.txt").read_text() == "A!\n"


def test_what_cannot_run_is_refused_with_the_reason(command, save):
    status, _, err = command("export", save("broken", doc({"n": ("add", {"a": wire("gone.value")})}, {"out": "n.value"})), "--python")
    assert status == 1 and "there is no node `gone`" in err
    with pytest.raises(GraphError, match="no outputs"):
        export(Graph(of(doc({"n": ("add", {"a": 1})}))))
