"""Sweeps: each cell equals a run by itself; what cells share runs once; a table, a sheet and files come of them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image as Picture
from short import graph, wire

from flowmm import Graph, GraphError, load
from flowmm.face.axes import written
from flowmm.nodes.image import batch, grid, split
from flowmm.nodes.text import lines
from flowmm.sockets import Image, Text


def sums():
    return graph({"shared": ("add", {"a": 100, "b": wire("input.by")}), "n": ("add", {"a": wire("shared.value"), "b": wire("input.x")})},
                 {"out": "n.value"}, {"x": 0, "by": 1})  # fmt: skip


def test_cells_equal_single_runs_and_share_what_they_can(runtime, ran):
    made = sums().sweep(x=range(3), by=[1, 2], runtime=runtime)
    assert [cell.inputs for cell in made] == [{"x": x, "by": by} for x in range(3) for by in (1, 2)]
    assert made.values("out") == [100 + x + by for x in range(3) for by in (1, 2)] and not made.failed
    assert sorted(call for call in ran if call.startswith("add 100")) == ["add 100 1", "add 100 2"]
    for cell in made:
        alone = sums().run(cell.inputs, runtime=runtime)
        assert alone.out == cell.result.out and alone.executed == 0, "the same keys"


def test_values_go_side_by_side_when_asked(runtime):
    made = sums().sweep(x=[1, 2], by=[10, 20], combine="zip", runtime=runtime)
    assert made.values("out") == [111, 122]
    with pytest.raises(GraphError, match="`x` has 2, `by` has 1"):
        sums().sweep(x=[1, 2], by=[1], combine="zip", runtime=runtime)


def test_a_generator_and_one_value_for_all_will_do(runtime):
    assert sums().sweep(x=(i * i for i in range(3)), by=5, runtime=runtime).values("out") == [105, 106, 109]
    assert sums().sweep(x=7, runtime=runtime).values("out") == [108]


def test_a_cell_that_fails_leaves_the_others(runtime, tmp_path):
    made = graph({"n": ("reciprocal", {"of": wire("input.x")})}, {"out": "n.value"}, {"x": 1}).sweep(x=[1, 0, 2], runtime=runtime)
    assert made.values("out") == [1.0, None, 0.5] and len(made.failed) == 1 and "ZeroDivisionError" in made.table[1]["error"]
    rows = list(csv.DictReader(open(made.save(tmp_path)[0])))
    assert [row["out"] for row in rows] == ["1.0", "", "0.5"] and "division" in rows[1]["error"]
    late = graph({"n": ("add", {"a": wire("input.x")})}, {"out": "n.value"}, {"x": 1}).sweep(x=[1, "two"], runtime=runtime)
    assert late.values("out") == [2, None] and "whole number" in late.table[1]["error"]
    with pytest.raises(GraphError, match="whole number"):
        sums().sweep(x=["one", 2], runtime=runtime)


def test_files_of_lines_and_folders_of_pictures_are_axes(runtime, tmp_path):
    (tmp_path / "lines.txt").write_text("one\n\ntwo\n", "utf-8")
    words = graph({"n": ("shout", {"text": wire("input.text")})}, {"out": "n.text"}, {"text": ""})
    assert [value.lines for value in words.sweep(text=tmp_path / "lines.txt", runtime=runtime).values("out")] == [("ONE!",), ("TWO!",)]
    for name, size in (("b.png", 3), ("a.jpg", 5), (".hidden.png", 7), ("notes.txt", 0)):
        Picture.new("RGB", (2, size)).save(tmp_path / name) if size else (tmp_path / name).write_text("no picture")
    tall = graph({"n": ("height", {"image": wire("input.image")})}, {"out": "n.value"}, {"image": ""})
    made = tall.sweep(image=tmp_path, runtime=runtime)
    assert made.values("out") == [5, 3] and [row["image"].endswith(name) for row, name in zip(made.table, ("a.jpg", "b.png"))] == [True, True]
    assert tall.sweep(image=tmp_path / "b.png", runtime=runtime).values("out") == [3]
    with pytest.raises(GraphError, match="no picture in the folder"):
        tall.sweep(image=(tmp_path / "none", (tmp_path / "none").mkdir())[0], runtime=runtime)


def test_an_input_that_takes_a_list_is_swept_over_by_lists(runtime):
    total = graph({"n": ("total", {"items": wire("input.items")})}, {"out": "n.value"}, {"items": []})
    assert total.sweep(items=[1, 2], runtime=runtime).values("out") == [3]
    assert total.sweep(items=[[1, 2], [3]], runtime=runtime).values("out") == [3, 3]


def test_the_items_of_a_list_are_within_the_range_of_its_port(runtime):
    counted = graph({"n": ("counted", {"of": wire("input.of")})}, {"out": "n.value"}, {"of": [1]})
    assert counted.sweep(of=[[0, 9], [5]], runtime=runtime).values("out") == [2, 1]
    (problem,) = counted.check(of=[3, 10]).problems
    assert (problem.node, problem.port) == ("input", "of")
    assert str(problem) == "the input `of` (for `n.of`): 10 is out of range: 0 to 9. Give another value."


def parameter(name):
    made = graph({"n": ("total", {"items": wire("input.items")}), "t": ("glued", {"words": wire("input.words")}), "m": ("counted", {"of": wire("input.either")})},
                 {"out": "n.value"}, {"items": [], "words": [], "either": 1})  # fmt: skip
    return (load("text-to-image").inputs | made.inputs)[name]


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("seed", "0..3", [0, 1, 2, 3]),
        ("seed", "8..0..-4", [8, 4, 0]),
        ("seed", "3, 5, ", [3, 5]),
        ("guidance", "0..0.3..0.1", [0.0, 0.1, 0.2, 0.3]),
        ("guidance", "3,5,7.5", [3, 5, 7.5]),
        ("prompt", "a red circle, a blue star", ["a red circle", "a blue star"]),
        ("prompt", '["a, b", "c"]', ["a, b", "c"]),
        ("prompt", "left..right", ["left..right"]),
        ("prompt", "1, true", ["1", "true"]),
        ("prompt", "1..3", ["1..3"]),
        ("items", "[[1, 2], [3]]", [[1, 2], [3]]),
        ("items", "[[1, 2],\n [3]]", [[1, 2], [3]]),
        ("items", "1, 2\n0..4..2\n\n[7]\n[]", [[1, 2], [0, 2, 4], [7], []]),
        ("items", "1,2", [[1, 2]]),
        ("items", "[1]", [[1]]),
        ("words", 'a, b\n["c, d", "e"]\n1', [["a", "b"], ["c, d", "e"], ["1"]]),
        ("either", "1,2", [1, 2]),
        ("either", "[[1], 2]", [[1], 2]),
    ],
)
def test_axes_are_written_on_a_command_line(name, text, values):
    assert written(parameter(name), text) == values


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("seed", "3..0", "never gets from its first number"), ("seed", "0..9..0", "never gets"), ("seed", "0..999999999", "more than 100,000 values"),
        ("items", "1\n[2", "no JSON list"), ("items", "", "no value"), ("prompt", "@nowhere.txt", "cannot be read: no such file"), ("prompt", "[1, ", "no JSON list"),
        ("seed", "1E1000000..1E1000000", "too large"), ("seed", "1e400..1e400", "too large"), ("seed", "9" * 5000 + ".." + "9" * 5000, "too large"),
        ("seed", "[NaN]", "no JSON list"), ("seed", "[1e400]", "no JSON list"),
    ],
)  # fmt: skip
def test_bad_axes_are_told_in_a_sentence(name, text, words):
    with pytest.raises(GraphError, match=words) as found:
        written(parameter(name), text)
    assert found.value.problems[0].fix


def test_too_many_runs_are_refused_before_the_first(runtime, ran):
    with pytest.raises(GraphError, match="1,000,000 runs"):
        sums().sweep(x=range(1000), by=range(1000), runtime=runtime)
    assert ran == []


def test_a_sheet_has_the_values_at_its_rows_and_columns(runtime, tmp_path):
    made = load("text-to-image").sweep(prompt="a red circle", seed=range(2), guidance=[1.0, 3.0], steps=2, runtime=runtime)
    assert made.labels() == (["0", "1"], ["1", "3"], "guidance", "seed")
    sheet = made.sheet()
    assert (sheet.width, sheet.height) > (320, 320)
    files = made.save(tmp_path)
    assert [path.name for path in files] == ["sweep.csv", "sweep.jsonl", "image-sheet.png", *(f"image-{n}.png" for n in range(1, 5))]
    rows = [json.loads(line) for line in (tmp_path / "sweep.jsonl").read_text().splitlines()]
    assert rows[3] == {"seed": 1, "guidance": 3.0, "image": "32×32", "number": 4, "image file": "image-4.png"}
    again = load(tmp_path / "image-4.png").run(runtime=runtime)
    assert again.executed == 0 and np.array_equal(again.image.pixels, made[3].result.image.pixels)


def test_the_pictures_of_a_grid_stand_where_their_labels_say():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), None, (255, 255, 0), (0, 255, 255)]
    pictures = [None if one is None else Image.accept(Picture.new("RGB", (8, 8), one)) for one in colours]
    made = grid(pictures, Text(("top", "below")), Text(("1", "2", "3")), across="number", down="place", side=32).to_pil(0)
    places = {}
    for colour in filter(None, colours):
        where = np.argwhere((np.asarray(made) == colour).all(-1))
        assert len(where) == 32 * 32
        places[colour] = tuple(where.min(0))
    (top, left), (same, middle) = places[colours[0]], places[colours[1]]
    assert top == same and middle - left == 32 + 16 and places[colours[4]][1] == middle and places[colours[4]][0] - top == 32 + 16
    with pytest.raises(ValueError, match="their product must be as many"):
        grid(pictures[:5], Text(("a", "b")), Text(("c", "d", "e")))


def test_a_cell_with_several_pictures_shows_all_of_them(runtime, tmp_path):
    pictures = np.full((3, 3, 8, 8), 255, "u1")
    for channel in range(3):
        pictures[channel, channel] = 0
    graph = Graph()
    with graph:
        cut = split(graph.input("images"))
        graph.output(list=cut, batch=batch(cut), text=lines("a"))
    made = graph.sweep(images=[Image(pictures), Image(pictures[:1])], runtime=runtime)
    assert made.pictured() == ["list", "batch"] and made.sheet() == made.sheet("list") == made.sheet("batch")
    sheet = np.asarray(made.sheet(side=64).to_pil(0))
    found = [np.argwhere((sheet == colour).all(-1)) for colour in ((0, 255, 255), (255, 0, 255), (255, 255, 0))]
    assert [len(one) for one in found] == [24 * 24 + 64 * 64, 24 * 24, 24 * 24], "three small ones in the first cell, one alone in the second"
    assert [path.name for path in made.save(tmp_path)][:5] == ["sweep.csv", "sweep.jsonl", "list-sheet.png", "batch-sheet.png", "list-1-0.png"]
    with pytest.raises(ValueError, match="no picture to lay out"):
        made.sheet("text")


def test_the_command_line_sweeps(tmp_path, capfd, monkeypatch):
    from flowmm import cli

    monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "home"))
    path = tmp_path / "sums.json"
    sums().save(path)
    out = tmp_path / "out"

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["flowmm", "run", str(path), *arguments, "-o", str(out), "-q", "--no-cache"])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code, capfd.readouterr()

    status, said = run("--each", "x=0..2", "--each", "by=1,5")
    assert status == 0 and "6 cells" in said.err and [row["out"] for row in csv.DictReader(open(out / "sweep.csv"))] == ["101", "105", "102", "106", "103", "107"]
    status, said = run("--each", "x=0..1", "--each", "by=1,5", "--zip", "--by", "9")
    assert status == 0 and [row["out"] for row in csv.DictReader(open(out / "sweep.csv"))] == ["101", "106"]
    for wrong in ("y=1", "x", "x=3..1"):
        status, said = run("--each", wrong)
        assert status == 1 and said.err.startswith("error: ") and "Traceback" not in said.err
