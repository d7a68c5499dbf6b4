"""What a server says about itself: logs, counters, traces."""

from __future__ import annotations

import json
import logging
import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

import flowmm
from flowmm import node
from flowmm.server import logs
from flowmm.server.journal import Run
from flowmm.server.trace import trace


@node(version=1)
def watched_sum(a: int, b: int = 1) -> int:
    return a + b


@pytest.fixture
def lines(capsys):
    """Start to log, and what was logged so far; logging is as before afterwards."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield logs.set_up, lambda: capsys.readouterr().err
    root.handlers[:], root.level = before[0], before[1]


def test_a_line_of_the_log_is_a_json_object_for_programs(lines):
    set_up, logged = lines
    set_up(True)
    logging.getLogger("flowmm.server").info("run ended", extra={"run": "abc", "seconds": 1.23456, "state": "done"})
    try:
        raise ValueError("no\nway")
    except ValueError:
        logging.getLogger("flowmm.server").exception("it broke")
    first, second = map(json.loads, logged().splitlines())
    assert {key: first[key] for key in ("level", "event", "run", "seconds", "state")} == {
        "level": "info", "event": "run ended", "run": "abc", "seconds": 1.235, "state": "done"}  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*\+00:00", first["time"])
    assert "ValueError" in second["exception"] and second["level"] == "error"


def test_a_line_of_the_log_is_readable_for_people(lines):
    set_up, logged = lines
    set_up(False)
    logging.getLogger("flowmm.server").warning("disk nearly full", extra={"left": "1 GB"})
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d warning: disk nearly full  left=1 GB\n", logged())


def summing(server):
    with flowmm.Graph() as g:
        g.output(total=watched_sum(watched_sum(g.input("a", 1))))
    from flowmm.graph.document import dump

    return json.loads(dump(g.document))


def counters(server):
    text = server.http.get("/metrics").text
    return {(sample.name, *sample.labels.values()): sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def test_the_counters_count_what_happens(server):
    graph = summing(server)
    before = counters(server)
    first = server.run(graph, inputs={"a": 41})
    second = server.run(graph, inputs={"a": 41})
    after = counters(server)
    assert (first["state"], second["state"]) == ("done", "done"), (first, second)

    def grown(*name):
        return after[name] - before.get(name, 0.0)

    assert grown("flowmm_runs_total", "done") == 2
    assert (grown("flowmm_nodes_total", "computed"), grown("flowmm_nodes_total", "memory")) == (2, 1)  # the second run asks for one node, and has it
    assert after["flowmm_queue_length",] == 0
    assert after["flowmm_memory_bytes", "server"] > 1e6 and after["flowmm_memory_bytes", "cpu"] > 1e6


def test_a_refusal_is_counted(server):
    before = counters(server).get(("flowmm_refused_total", "404"), 0)
    server.http.get("/api/runs/nothing")
    assert counters(server)["flowmm_refused_total", "404"] == before + 1


def made(timings, seconds=1.0):
    fields = dict.fromkeys(Run.__slots__) | {"id": "r", "title": "T", "name": "t", "state": "done", "seconds": seconds, "timings": timings}
    return Run(**fields)


def test_a_trace_has_a_slice_for_each_node_and_rows_for_those_that_overlap():
    found = trace(made([["a", 0.4, 0.4], ["b", 0.5, 0.3], ["c", 1.0, 0.5]]))
    slices = {event["name"]: event for event in found["traceEvents"] if event["ph"] == "X"}
    assert {name: (one["ts"], one["dur"]) for name, one in slices.items()} == {
        "done": (0, 1_000_000), "a": (0, 400_000), "b": (200_000, 300_000), "c": (500_000, 500_000)}  # fmt: skip
    assert slices["a"]["tid"] != slices["b"]["tid"] and slices["c"]["tid"] == slices["a"]["tid"]
    rows = {event["tid"]: event["args"]["name"] for event in found["traceEvents"] if event["name"] == "thread_name"}
    assert rows.keys() == {0, slices["a"]["tid"], slices["b"]["tid"]}
    json.dumps(found, allow_nan=False)


def test_a_run_that_never_ran_has_a_trace_without_slices():
    assert [event["ph"] for event in trace(made(None, None))["traceEvents"]] == ["M", "M"]
