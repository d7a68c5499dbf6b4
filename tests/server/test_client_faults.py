"""flowmm.connect when something is wrong: errors are those of this machine, and a server may go and come back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import api_nodes as n
import pytest
from running import TOKEN, Serving
from test_api import sums
from test_client import pictures

import flowmm
from flowmm import Graph, GraphError, NodeFailed, ServerError
from flowmm.catalog import Cancelled
from flowmm.graph.document import dump
from flowmm.graph.problems import Unreadable
from flowmm.server.serve import bind


def waiting() -> Graph:
    graph = Graph()
    with graph:
        graph.output(number=n.wait_for(*[graph.input(name) for name in ("began", "end", "number")], _name="wait"))
    return graph


# ── errors ──────────────────────────────────────────────────────────────────────────────────────


def both(remote, graph: Graph, kind: type, **inputs):
    """The errors of a run here and there."""
    errors = []
    for run in (graph, remote.open(graph)):
        with pytest.raises(kind) as caught:
            run(**inputs)
        errors.append(caught.value)
    return errors


def test_a_bad_input_a_missing_one_and_one_too_many_are_the_same_problems(remote):
    for graph, inputs in ((sums(), {"a": "many"}), (sums(), {"b": 1, "a": 1.5}), (pictures(), {}), (sums(), {"a": float("inf")})):
        here, there = both(remote, graph, GraphError, **inputs)
        if inputs.get("a") != float("inf"):  # JSON has no such number, so it is refused before it is sent
            assert here.problems == there.problems and type(here) is type(there)
    here, there = both(remote, pictures(), GraphError, image="no-such-cat.png")
    assert "there is no file `no-such-cat.png`" in str(here) and "there is no file `no-such-cat.png`" in str(there)
    with pytest.raises(Unreadable, match="no graph named `clip-mach`.*Did you mean `clip-match`"):
        remote.load("clip-mach")
    with pytest.raises(GraphError, match="no output `none`"):
        remote.open(sums()).run(only=["none"])


def test_a_node_that_fails_is_named_as_here(remote):
    graph = Graph()
    with graph:
        graph.output(out=n.picky(graph.input("a"), _name="picky"))
    here, there = both(remote, graph, NodeFailed, a=3)
    assert (there.node, there.op, there.message, str(there)) == (here.node, here.op, here.message, str(here))
    last = list(remote.open(graph).stream(a=3))[-1]
    assert last.kind == "failed" and last.node == "picky" and isinstance(last.error, NodeFailed)


def test_what_did_not_need_it_is_here_as_there(remote):
    graph = Graph()
    with graph:
        a = graph.input("a")
        graph.output(out=n.picky(a, _name="picky"), more=n.picky(n.add(a), _name="too"), sum=n.add(a))
    here, there = both(remote, graph, NodeFailed, a=3)
    assert dict(there.result) == dict(here.result) == {"sum": here.result.sum}
    assert sorted(one.node for one in (there, *there.also)) == sorted(one.node for one in (here, *here.also)) == ["picky", "too"]
    events = list(remote.open(graph).stream(a=4))
    assert {event.node for event in events if event.kind == "broken"} == {"picky", "too"}
    assert dict(events[-1].error.result) == {"sum": here.result.sum + 1}


def test_leaving_the_stream_cancels_the_run_there(remote, server, tmp_path):
    stream = remote.open(waiting()).stream(began=str(tmp_path / "began"), end=str(tmp_path / "end"), number=1)
    next(stream)
    id_ = server.http.get("/api/runs").json()[0]["id"]
    stream.close()
    assert server.ended(id_)["state"] == "cancelled"


def test_a_run_that_someone_cancels_ends_as_cancelled_here(remote, server, tmp_path):
    events = remote.open(waiting()).stream(began=str(tmp_path / "began"), end=str(tmp_path / "end"), number=2)
    next(events)
    server.post(f"/api/runs/{server.http.get('/api/runs').json()[0]['id']}/cancel")
    assert list(events)[-1].kind == "cancelled"
    with pytest.raises(Cancelled):
        remote.open(waiting()).run({"began": str(tmp_path / "b2"), "end": str(tmp_path / "end"), "number": 3}, listener=lambda event: server.post(
            f"/api/runs/{server.http.get('/api/runs').json()[0]['id']}/cancel"))  # fmt: skip


def test_an_interrupt_while_waiting_cancels_the_run_there(server, tmp_path):
    code = ("import sys, flowmm, signal, json; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "flowmm.connect(sys.argv[1], sys.argv[2]).run(json.loads(sys.argv[3]), **json.loads(sys.argv[4]))")  # fmt: skip
    inputs = {"began": str(tmp_path / "began"), "end": str(tmp_path / "end"), "number": 4}
    child = subprocess.Popen([sys.executable, "-c", code, server.url, TOKEN, dump(waiting().document), json.dumps(inputs)], stderr=subprocess.PIPE)
    while not (tmp_path / "began").exists():
        assert child.poll() is None, child.stderr.read()
    child.send_signal(signal.SIGINT)
    assert b"KeyboardInterrupt" in child.communicate(timeout=60)[1]
    assert server.ended(server.http.get("/api/runs").json()[0]["id"])["state"] == "cancelled"


@pytest.mark.parametrize("token", ["", "wrong", "wrong" * 10])
def test_a_wrong_token_is_one_plain_sentence(server, token):
    with pytest.raises(ServerError, match=f"the server at {server.url} wants another token; give connect"):
        flowmm.connect(server.url, token)


def test_where_no_server_is_one_plain_sentence_says_so():
    with pytest.raises(ServerError, match="the server at http://127.0.0.1:9 does not answer .*refused.*flowmm serve") as caught:
        flowmm.connect("http://127.0.0.1:9", TOKEN)
    assert isinstance(caught.value, OSError) and caught.value.__cause__ is None is caught.value.__context__
    for address in ("127.0.0.1:8383", "ftp://127.0.0.1", "", "http://", "http://[", "http://127.0.0.1:99999999"):
        with pytest.raises(ServerError):
            flowmm.connect(address, TOKEN)
    with pytest.raises(ServerError, match="cannot be used"):
        flowmm.connect("http://127.0.0.1:9", "tökén")


def test_what_is_no_flowmm_server_is_said_to_be_none(tmp_path):
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    class Page(SimpleHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    other = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=other.serve_forever, daemon=True).start()
    with pytest.raises(ServerError, match="is no flowmm server"):
        flowmm.connect(f"http://127.0.0.1:{other.server_port}")
    other.shutdown()
    other.server_close()


# ── a server that goes and comes back ───────────────────────────────────────────────────────────


class Process:
    """`flowmm serve` as a process of its own, which can be killed and started again at the same address."""

    def __init__(self, home: Path):
        self.home = home
        (home / "server").mkdir(parents=True)
        (home / "server" / "token").write_text(TOKEN)
        free = bind("127.0.0.1", 0)
        self.port = free.getsockname()[1]
        free.close()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        code = "import api_nodes; from flowmm.cli import main; main()"
        environment = os.environ | {"FLOWMM_HOME": str(self.home), "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", code, "serve", "--port", str(self.port), "--device", "cpu", "--threads", "1"]
        with open(self.home / "log", "ab") as log:
            self.popen = subprocess.Popen(command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def end(self, how: int) -> None:
        self.popen.send_signal(how)
        self.popen.wait(60)


def runs_of(remote) -> list[dict]:
    return remote._line.json("GET", "/api/runs")


@pytest.fixture
def process(tmp_path):
    made = Process(tmp_path / "home")
    yield made
    made.end(signal.SIGKILL)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_waiting_outlives_a_restart_of_the_server(process, tmp_path, how):
    remote = None
    while remote is None:
        assert process.popen.poll() is None, (process.home / "log").read_text()
        try:
            remote = flowmm.connect(process.url, TOKEN, patience=120)
        except ServerError:
            time.sleep(0.05)
    found, heard = {}, []
    asked = {name: {"began": str(tmp_path / f"began {name}"), "end": str(tmp_path / "end"), "number": i} for i, name in enumerate(("run", "stream"))}
    graph = remote.open(waiting())
    threads = [
        threading.Thread(target=lambda: found.update(run=graph.run(asked["run"]).number)),
        threading.Thread(target=lambda: heard.extend(graph.stream(**asked["stream"]))),
    ]
    for thread, name in zip(threads, asked):
        thread.start()
        while len(runs_of(remote)) < 1 + list(asked).index(name):
            pass
    while not (tmp_path / "began run").exists():
        pass
    process.end(how)
    (tmp_path / "began run").unlink()
    process.start()
    while not (tmp_path / "began run").exists():
        assert process.popen.poll() is None and all(thread.is_alive() for thread in threads), (process.home / "log").read_text()
    (tmp_path / "end").touch()
    for thread in threads:
        thread.join(120)
    assert found == {"run": 0} and heard[-1].kind == "done" and heard[-1].result.number == 1
    runs = runs_of(remote)
    assert [run["state"] for run in runs] == ["done", "done"]


def test_a_submission_whose_answer_was_lost_is_one_run(server, monkeypatch):
    """The answer to the first submission never arrives; the second is asked under the same key."""
    import httpx

    remote = flowmm.connect(server.url, TOKEN)
    graph = remote.open(sums())
    request, lost = httpx.Client.request, []

    def losing(self, method, url, **more):
        answer = request(self, method, url, **more)
        if method == "POST" and url == "/api/runs" and not lost:
            lost.append(answer.json()["id"])
            raise httpx.ReadError("the connection was reset")
        return answer

    before = sum(server.http.get("/api/system").json()["runs"].values())
    monkeypatch.setattr(httpx.Client, "request", losing)
    assert graph(a=5001).more == 5012 and lost
    assert sum(server.http.get("/api/system").json()["runs"].values()) == before + 1


def test_a_server_that_stays_away_is_given_up_in_one_sentence(tmp_path):
    import running

    with running.serving(tmp_path / "served") as server:
        assert isinstance(server, Serving)
        graph = flowmm.connect(server.url, TOKEN, patience=0.2).open(sums())
    with pytest.raises(ServerError, match="does not answer"):
        graph(a=1)
