"""Forms: a graph for many values of an input or two, as a labelled sheet and a table."""

from __future__ import annotations

import csv

import api_nodes as n
import gradio_client
import numpy
import PIL.Image
import pytest
from test_api_runs import waiting
from test_forms import client, config, latest, publish
from test_sweeps_served import painted, refusing

from flowmm import Graph


def rows(path: str) -> list[dict]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_form_sweeps_over_two_inputs_and_gives_the_sheet_and_the_table_of_python(server):
    publish(server, "painted", painted())
    here = painted().sweep(seed=range(3), size=[8, 16])
    with client(server, "painted") as asked:
        sheet, table, file = asked.predict(each="seed", values="0..2", each_2="size", values_2="8, 16", api_name="/sweep")
    assert numpy.array_equal(numpy.asarray(PIL.Image.open(sheet).convert("RGB")), here.sheet().pixels[0].transpose(1, 2, 0))
    assert table["headers"] == ["number", "seed", "size", "image", "mean"] and len(table["data"]) == 6
    assert [float(row["mean"]) for row in rows(file)] == [row["mean"] for row in here.table]
    run = latest(server)
    assert run["sweep"] and run["source"] == "app" and run["name"] == "painted"


def test_the_pictures_of_a_list_are_on_the_sheet_of_a_form(server):
    graph = Graph(title="Kinds")
    with graph:
        graph.output(pictures=n.kinds(graph.input("seed", 0)).pictures)
    publish(server, "kinds", graph)
    with client(server, "kinds") as asked:
        sheet, _, _ = asked.predict(each="seed", values="1,2", api_name="/sweep")
    assert numpy.array_equal(numpy.asarray(PIL.Image.open(sheet).convert("RGB")), graph.sweep(seed=[1, 2]).sheet().pixels[0].transpose(1, 2, 0))


def test_the_other_inputs_are_as_the_form_has_them_and_lines_are_values(server):
    graph = Graph(title="Words")
    with graph:
        graph.output(word=n.shout(graph.input("text", "hi")), sum=n.add(graph.input("a", 1)))
    publish(server, "words", graph)
    with client(server, "words") as asked:
        sheet, table, _ = asked.predict(a=41, each="text", values="a red circle, large\na blue star", api_name="/sweep")
    assert sheet is None, "there is no picture"
    assert [row[1:] for row in table["data"]] == [["a red circle, large", "A RED CIRCLE, LARGE", 42], ["a blue star", "A BLUE STAR", 42]]


def test_two_inputs_go_side_by_side(server):
    publish(server, "painted", painted())
    with client(server, "painted") as asked:
        _, table, _ = asked.predict(each="seed", values="4,5", each_2="size", values_2="8,16", combine="zip", api_name="/sweep")
    assert [row[1:4] for row in table["data"]] == [[4, 8, "8×8"], [5, 16, "16×16"]]


def test_one_that_fails_leaves_the_others(server):
    publish(server, "refusing", refusing())
    with client(server, "refusing") as asked:
        sheet, table, _ = asked.predict(each="a", values="6..8", api_name="/sweep")
        assert sheet and "seven" in dict(zip(table["headers"], table["data"][1]))["error"]
        with pytest.raises(gradio_client.exceptions.AppError, match="it is seven"):
            asked.predict(each="a", values="7,7", api_name="/sweep")


@pytest.mark.parametrize(("asking", "said"), [
    ({}, "Choose an input"),
    ({"each": "seed", "values": ""}, "no value"),
    ({"each": "seed", "values": "1,2", "each_2": "seed", "values_2": "3"}, "two inputs that differ"),
    ({"each": "seed", "values": "0..9999"}, "more than 1,000 runs"),
    ({"each": "seed", "values": "1,2", "each_2": "size", "values_2": "8", "combine": "zip"}, "differ in number"),
    ({"each": "seed", "values": "@/etc/passwd"}, "seed"),
    ({"each": "none", "values": "1"}, "no input `none`"),
    ({"each": "seed", "values": "1,2", "combine": "sum"}, "combine"),
])  # fmt: skip
def test_what_cannot_be_done_is_said_in_a_sentence(server, asking, said):
    publish(server, "painted", painted())
    with client(server, "painted") as asked, pytest.raises(gradio_client.exceptions.AppError, match=said):
        asked.predict(**asking, api_name="/sweep")


def test_it_is_folded_away_and_offers_what_can_be_written(server):
    graph = Graph(title="Both")
    picture = graph.input("picture")
    with graph:
        graph.output(image=n.mirrored(picture), sum=n.add(graph.input("a", 1)))
    publish(server, "both", graph)
    found = config(server, "both")
    fold = next(one for one in found["components"] if one["props"].get("label") == "Try several")
    assert fold["type"] == "accordion" and fold["props"]["open"] is False
    chooser = next(one for one in found["components"] if one["props"].get("label") == "Run it for each of")
    assert [value for _, value in chooser["props"]["choices"]] == ["", "a"]


def test_whoever_leaves_takes_the_whole_sweep_along(fresh_server, tmp_path):
    graph, inputs = waiting(tmp_path)
    fresh_server.http.put("/api/graphs/slow", json=graph, headers={"If-None-Match": "*"})
    with client(fresh_server, "slow") as asked:
        job = asked.submit(began=inputs["began"], end=inputs["end"], number="0", each="number", values="0..3", api_name="/sweep")
        while latest(fresh_server)["name"] is None or not fresh_server.http.get("/api/queue").json()["running"]:
            pass
        job.cancel()
    for run in fresh_server.http.get("/api/runs").json():
        assert fresh_server.ended(run["id"])["state"] == "cancelled"


def test_files_of_sweeps_are_found_by_name_alone(server):
    at = f"{server.parts.uploads.folder.absolute()}/sweeps"
    publish(server, "painted", painted())
    for path in (f"{at}/abc/sheet.png", f"{at}/abc/../../journal.sqlite", f"{at}/abc/sheet.png/x", f"{at}/abc/journal.sqlite"):
        assert server.http.get(f"/app/painted/gradio_api/file={path}").status_code == 404
