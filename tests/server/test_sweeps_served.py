"""Sweeps of the server: runs that belong together, all in the one queue; as they stand, as a sheet, as a table."""

from __future__ import annotations

import csv
import io
import json
import sqlite3

import api_nodes as n
import numpy
import PIL.Image
import pytest
from running import Serving, serving
from test_api import document, refusal, sums
from test_api_runs import png, until_began, uploaded, waiting

from flowmm import Graph
from flowmm.server.journal import Journal, New
from flowmm.server.journal_file import _SCHEMA
from flowmm.server.settings import Limits
from flowmm.sockets.images import contact

AXES = {"seed": "0..2", "size": [8, 16]}


def painted() -> Graph:
    graph = Graph(title="Painted")
    seed, size = graph.input("seed", 0), graph.input("size", 8)
    with graph:
        image = n.paint(seed, size, _name="paint")
        graph.output(image=image, mean=n.mean(image))
    return graph


def refusing() -> Graph:
    """Seven is refused by what runs, eleven before."""
    graph = Graph(title="Refusing")
    a = graph.input("a", 0)
    with graph:
        graph.output(image=n.paint(n.not_seven(a, _name="checks")), scaled=n.scaled(a))
    return graph


def submitted(server: Serving, graph: Graph, **more) -> dict:
    answer = server.post("/api/sweeps", graph=document(graph), **more)
    assert answer.status_code == 202 and answer.headers["location"] == f"/api/sweeps/{answer.json()['id']}", answer.text
    return answer.json()


def ended(server: Serving, id_: str) -> dict:
    for cell in server.http.get(f"/api/sweeps/{id_}").json()["cells"]:
        server.ended(cell["run"])
    return server.http.get(f"/api/sweeps/{id_}").json()


def sheet(server: Serving, id_: str, **params) -> PIL.Image.Image:
    answer = server.http.get(f"/api/sweeps/{id_}/sheet", params=params)
    assert answer.headers["content-type"] == "image/png", answer.text
    return PIL.Image.open(io.BytesIO(answer.content))


def table(server: Serving, id_: str) -> list[dict]:
    return [json.loads(line) for line in server.http.get(f"/api/sweeps/{id_}/table", params={"as": "jsonl"}).text.splitlines()]


def test_each_cell_is_a_run_and_equals_that_run_alone(server):
    made = ended(server, submitted(server, painted(), axes=AXES)["id"])
    assert made["rows"] == ["0", "1", "2"] and made["columns"] == ["8", "16"] and (made["across"], made["down"]) == ("size", "seed")
    assert made["ended"] and made["states"] == {"done": 6}
    assert [cell["inputs"] for cell in made["cells"]] == [{"seed": seed, "size": size} for seed in range(3) for size in (8, 16)]
    for cell in made["cells"]:
        alone = server.run(document(painted()), inputs=cell["inputs"])
        assert {name: one["key"] for name, one in alone["outputs"].items()} == {name: one["key"] for name, one in cell["outputs"].items()}
        assert server.http.get(f"/api/runs/{cell['run']}").json()["inputs"] == cell["inputs"]


def test_its_sheet_and_table_are_those_of_python(server):
    id_ = submitted(server, painted(), axes=AXES)["id"]
    ended(server, id_)
    here = painted().sweep(seed=range(3), size=[8, 16])
    assert numpy.array_equal(numpy.asarray(sheet(server, id_).convert("RGB")), here.sheet().pixels[0].transpose(1, 2, 0))
    rows = table(server, id_)
    assert [{name: row[name] for name in ("seed", "size", "image", "mean")} for row in rows] == here.table
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    answer = server.http.get(f"/api/sweeps/{id_}/table")
    assert answer.headers["content-disposition"] == 'attachment; filename="sweep.csv"'
    assert [float(row["mean"]) for row in csv.DictReader(io.StringIO(answer.text))] == [row["mean"] for row in here.table]


def test_lists_batches_and_masks_have_a_sheet_as_in_python(server):
    graph = Graph(title="Kinds")
    with graph:
        made = n.kinds(graph.input("seed", 0))
        graph.output(pictures=made.pictures, batch=made.batch, mask=made.mask, numbers=made.numbers)
    id_ = submitted(server, graph, axes={"seed": [1, 2]})["id"]
    cell = ended(server, id_)["cells"][0]
    here = graph.sweep(seed=[1, 2])
    for output in ("", "pictures", "batch", "mask"):
        assert numpy.array_equal(numpy.asarray(sheet(server, id_, output=output)), here.sheet(output).pixels[0].transpose(1, 2, 0)), output
    refusal(server.http.get(f"/api/sweeps/{id_}/sheet", params={"output": "numbers"}), 404, "no-picture")
    small = server.http.get(f"/api/values/{cell['outputs']['pictures']['key']}", params={"shape": "sheet", "size": 64})
    picture, whole = PIL.Image.open(io.BytesIO(small.content)), contact(here[0].result.pictures, 64)
    assert (picture.format, picture.size) == ("JPEG", whole.size)
    assert numpy.abs(numpy.asarray(picture, "int") - numpy.asarray(whole)).mean() < 32, "but for what a JPEG loses"
    refusal(server.http.get(f"/api/values/{cell['outputs']['numbers']['key']}", params={"shape": "sheet"}), 406, "no-picture")


def test_a_cell_that_fails_leaves_the_others(server):
    id_ = submitted(server, refusing(), axes={"a": "6,7,8,11"})["id"]
    made = ended(server, id_)
    assert [cell["state"] for cell in made["cells"]] == ["done", "failed", "done", "failed"]
    assert "seven" in made["cells"][1]["error"]["message"] and "11 is out of range" in made["cells"][3]["error"]["message"]
    assert sheet(server, id_).width > 4 * 160
    rows = table(server, id_)
    assert [row.get("scaled") for row in rows] == [600, 700, 800, None] and "seven" in rows[1]["error"], "what does not need what failed is kept"


def test_what_is_wrong_with_the_axes_or_the_first_cell_is_said_before_anything_runs(server):
    graph = document(painted())

    before = server.http.get("/api/runs").json()
    error = refusal(server.post("/api/sweeps", graph=graph, axes={"seed": "5..0"}), 422, "bad-axis")
    assert [(one["node"], one["port"]) for one in error["problems"]] == [("input", "seed")]
    refusal(server.post("/api/sweeps", graph=graph, axes={"none": [1]}), 422, "no-such-input")
    refusal(server.post("/api/sweeps", graph=graph, axes={}), 422, "no-axes")
    refusal(server.post("/api/sweeps", graph=graph, axes={"seed": []}), 422, "bad-axis")
    refusal(server.post("/api/sweeps", graph=graph, axes={"seed": [1, 2], "size": [8]}, combine="zip"), 422, "unequal-lists")
    refusal(server.post("/api/sweeps", graph=graph, axes={"seed": "0..5000"}), 422, "bad-axis")
    refusal(server.post("/api/sweeps", graph=graph, axes={"seed": ["no number"]}), 422, "bad-input")
    assert server.http.get("/api/runs").json() == before


@pytest.mark.parametrize("words", ["@/etc/passwd", "/etc", "@pyproject.toml"])
def test_no_file_of_the_server_is_read_whatever_an_axis_says(server, words):
    made = submitted(server, sums(), axes={"text": words})
    assert made["axes"]["text"] == [words]


def test_pictures_are_swept_over_by_their_uploads(server):
    graph = Graph(title="Means")
    picture = graph.input("picture")
    with graph:
        graph.output(mean=n.mean(picture), image=n.mirrored(picture))
    names = [uploaded(server, png(numpy.full((6, 6, 3), value, "uint8"))) for value in (0, 255)]
    made = ended(server, submitted(server, graph, axes={"picture": [{"upload": name} for name in names]})["id"])
    assert made["columns"] == ["#1", "#2"] and [cell["outputs"]["mean"]["summary"]["value"] for cell in made["cells"]] == [0.0, 1.0]


def test_masks_are_swept_over_by_their_uploads_too(server):
    graph = Graph(title="Covered")
    with graph:
        graph.output(share=n.covered(graph.input("mask")))
    names = [uploaded(server, png(numpy.full((6, 6, 3), value, "uint8"))) for value in (0, 255)]
    made = ended(server, submitted(server, graph, axes={"mask": [{"upload": name} for name in names]})["id"])
    assert made["columns"] == ["#1", "#2"] and [cell["outputs"]["share"]["summary"]["value"] for cell in made["cells"]] == [0.0, 1.0]


def test_an_input_of_one_picture_or_several_takes_each_in_turn_or_lists_of_them(server):
    graph = Graph(title="Shown")
    with graph:
        graph.output(counts=n.shown(graph.input("image")))
    one, two = ({"upload": uploaded(server, png(numpy.full((6, 6, 3), value, "uint8")))} for value in (0, 255))
    made = ended(server, submitted(server, graph, axes={"image": [one, [one, two]]})["id"])
    assert [row["counts"] for row in table(server, made["id"])] == ["1", "2"]


def listed() -> Graph:
    graph = Graph(title="Listed")
    with graph:
        graph.output(sum=n.total(graph.input("numbers", [1])), word=n.glued(graph.input("words", ["a"])), lengths=n.lengths(graph.input("text", "abc")))
    return graph


LISTS = {"numbers": [[1, 2], [3], []], "words": [["a", "b"], ["c"]]}


@pytest.mark.parametrize(("axes", "lists"), [
    (LISTS, LISTS), ({"numbers": "1, 2\n3\n[]", "words": 'a, b\n["c"]'}, LISTS), ({"text": [["a", "bcd"], ["ef"]]}, {"text": [["a", "bcd"], ["ef"]]}),
])  # fmt: skip
def test_lists_are_swept_over_as_in_python(server, axes, lists):
    made = ended(server, submitted(server, listed(), axes=axes)["id"])
    here = listed().sweep(**lists)
    assert made["axes"] == lists and (made["rows"], made["columns"], made["across"], made["down"]) == here.labels()
    assert [{name: row[name] for name in here.table[0]} for row in table(server, made["id"])] == here.table


def test_words_are_read_for_whoever_writes_them(server):
    def read(**params) -> dict:
        return server.post("/api/axis", **params).json()

    assert read(text="0..2")["values"] == [0, 1, 2] and read(text="0..2\n7,8", lists=True)["values"] == [[0, 1, 2], [7, 8]]
    assert read(text="1, b", texts=True)["values"] == ["1", "b"] and read(text="1\n2, c", lists=True, texts=True)["values"] == [["1"], ["2", "c"]]
    assert read(text="1\n5..2", lists=True) == {"values": [], "problem": read(text="5..2")["problem"]}
    assert len(read(text=",".join(["红色的圆"] * 20_000), texts=True)["values"]) == 20_000, "longer than an address may be"
    assert "more than 100,000 values" in read(text="0..99998\n" * 50_000, lists=True)["problem"], "few letters, many numbers"
    assert "never gets" in read(text="5..2")["problem"] and read(text="", lists=True) == {"values": [], "problem": ""}


def test_asked_for_again_under_its_key_it_is_the_first(server):
    first = submitted(server, painted(), axes=AXES, key="the sweep")
    assert submitted(server, painted(), axes=AXES, key="the sweep")["id"] == first["id"]


def test_checked_it_says_how_many_runs_it_would_be_and_what_is_wrong(server):
    graph = document(painted())
    assert server.post("/api/check", graph=graph, axes=AXES).json()["cells"] == 6
    assert server.post("/api/check", graph=graph).json()["cells"] == 1
    found = server.post("/api/check", graph=graph, axes={"seed": "5..0"}).json()
    assert [(one["node"], one["port"], one["code"]) for one in found["problems"]] == [("input", "seed", "bad-axis")]
    assert server.post("/api/plan", graph=graph, axes={"seed": [901]}).json()["runs"] == 2


def test_it_is_cancelled_as_a_whole(fresh_server, tmp_path):
    graph, inputs = waiting(tmp_path)
    answer = fresh_server.post("/api/sweeps", graph=graph, inputs=inputs, axes={"number": "0..3"})
    id_ = answer.json()["id"]
    first = answer.json()["cells"][0]["run"]
    until_began(fresh_server, first)
    assert fresh_server.http.get("/api/queue").json()["waiting"][0]["sweep"] == id_
    fresh_server.post(f"/api/sweeps/{id_}/cancel")
    assert ended(fresh_server, id_)["states"] == {"cancelled": 4}
    refusal(fresh_server.post("/api/sweeps/none/cancel"), 404, "no-such-sweep")


def test_more_than_may_wait_is_refused_as_a_whole(tmp_path):
    with serving(tmp_path / "served", Limits(queued=3)) as server:
        refusal(server.post("/api/sweeps", graph=document(painted()), axes=AXES), 429, "queue-full")
        assert server.http.get("/api/runs").json() == []


def test_it_outlives_the_server(tmp_path):
    graph, inputs = waiting(tmp_path)
    with serving(tmp_path / "served") as server:
        made = server.post("/api/sweeps", graph=graph, inputs=inputs, axes={"number": "0..2"}).json()
        until_began(server, made["cells"][0]["run"])
    (tmp_path / "end").touch()
    with serving(tmp_path / "served") as server:
        again = ended(server, made["id"])
        assert [cell["outputs"]["number"]["summary"]["value"] for cell in again["cells"]] == [0, 1, 2]


def test_a_cell_that_is_forgotten_leaves_its_place_and_the_last_takes_the_sweep_along(server):
    made = ended(server, submitted(server, painted(), axes={"seed": "31..33"})["id"])
    runs = [cell["run"] for cell in made["cells"]]
    server.http.delete(f"/api/runs/{runs[1]}")
    again = server.http.get(f"/api/sweeps/{made['id']}").json()
    assert [cell["run"] for cell in again["cells"]] == [runs[0], None, runs[2]]
    assert sheet(server, made["id"]).width > 3 * 160 and len(table(server, made["id"])) == 3
    for run in (runs[0], runs[2]):
        server.http.delete(f"/api/runs/{run}")
    refusal(server.http.get(f"/api/sweeps/{made['id']}"), 404, "no-such-sweep")


def test_a_journal_from_before_there_were_sweeps_is_taken_over_with_its_runs(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    run = journal.submit(New(document=b"{}", name="old")).result()
    journal.close()
    with sqlite3.connect(path) as db:
        db.executescript("DROP INDEX cell_sweep; DROP TABLE cell; DROP TABLE sweep; PRAGMA user_version = 1")
    told: list[str] = []
    journal = Journal(path, on_problem=told.append)
    try:
        assert not told and journal.get(run.id).name == "old" and len(_SCHEMA) == 12
        id_ = journal.submit_sweep([New(document=b"{}", inputs={"a": a}) for a in (1, 2)], {"a": [1, 2]}, "product").result()
        assert [one.inputs for one in journal.sweep(id_).runs.values()] == [{"a": 1}, {"a": 2}]
    finally:
        journal.close()


def test_a_sweep_is_read_out_of_a_journal_whose_pages_are_damaged(tmp_path):
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    id_ = journal.submit_sweep([New(document=b"{}", inputs={"a": a}) for a in (1, 2)], {"a": [1, 2]}, "zip").result()
    journal.close()
    data = bytearray(path.read_bytes())
    data[100:300] = bytes(200)  # the first page says where all tables are
    path.write_bytes(data)
    told: list[str] = []
    journal = Journal(path, on_problem=told.append)
    try:
        assert told and journal.sweep(id_).combine == "zip" and len(journal.sweep(id_).runs) == 2
    finally:
        journal.close()


def test_a_run_says_which_sweep_it_is_a_cell_of(server):
    made = ended(server, submitted(server, painted(), axes={"seed": "0..1"})["id"])
    run = server.http.get(f"/api/runs/{made['cells'][0]['run']}").json()
    assert run["sweep"] == made["id"] and server.run(document(painted()))["sweep"] is None
