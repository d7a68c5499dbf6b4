"""The server killed at any moment, under load: what was acknowledged ends exactly once, and nothing half-written stays."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import pytest
from server_clients import ENDED, Client, Ledger, expected
from server_process import ServerProcess, one, op, until

from flowmm.server.journal import Journal, Run
from flowmm.server.results import Results
from flowmm.server.saved import SavedGraphs
from flowmm.store import objects

KILLS = 200 if os.environ.get("FLOWMM_SOAK") else 12
CLIENTS = 4
MOST_ANSWERS = 120  # between two kills


@pytest.fixture
def server(tmp_path):
    made = ServerProcess(tmp_path / "home")
    yield made
    if made.url:
        made.stop()


def test_killed_again_and_again_under_load_every_acknowledged_run_ends_once_and_right(server):
    seed = int(os.environ.get("FLOWMM_SEED", "5"))
    dice, ledger = random.Random(seed), Ledger()
    clients = [Client(number, seed, server, ledger) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(KILLS):
        early = dice.random() < 0.15
        server.start(wait=not early)
        if not early:
            look_at_all(server, ledger)
            enough = ledger.answers + dice.randrange(MOST_ANSWERS)
            until(lambda: ledger.answers >= enough or ledger.problems)
        time.sleep(dice.random() * (1.0 if early else 0.1))
        server.kill()
        assert not ledger.problems
    server.start()
    for client in clients:
        client.leaving.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    until(lambda: (queue := server.http.get("/api/queue").json())["count"] == 0 and not queue["running"], 120)
    look_at_all(server, ledger)
    server.kill()
    server.start()
    look_at_all(server, ledger)
    server.stop()
    assert not ledger.problems
    nothing_half_written(server.home)
    told_the_truth(server.home, ledger)


def look_at_all(server: ServerProcess, ledger: Ledger) -> None:
    """Every end that the server tells of, page by page."""
    before = None
    while page := server.http.get("/api/runs", params={"limit": 500} | ({} if before is None else {"before": before})).json():
        for run in page:
            ledger.saw(run)
        before = page[-1]["number"]


def told_the_truth(home: Path, ledger: Ledger) -> None:
    """What the journal and the results hold against what the clients were told."""
    journal, results = Journal(home / "server" / "journal.sqlite"), Results(home / "server" / "results")
    runs = {run.id: run for run in journal.page(limit=10**6)}
    assert len(ledger.told) == len(ledger.asked) == len(set(ledger.told.values())), "every request gave one run of its own"
    for key, id in ledger.told.items():
        assert id in runs or id in ledger.deleted, f"{id} is lost"
        if id in runs:
            assert runs[id].key == key
            ended_well(journal, results, runs[id], *ledger.asked[key], id in ledger.cancelled)
    of_requests = [run for run in runs.values() if run.parent is None]
    assert {run.id for run in of_requests} == set(ledger.told.values()) & runs.keys(), "nothing ran that nobody asked for"
    kinds = {id: ledger.asked[key] for key, id in ledger.told.items()}
    retries = [run for run in runs.values() if run.parent is not None]
    for run in retries:
        ended_well(journal, results, run, *kinds[run.parent], False)
    assert ledger.retried.keys() <= runs.keys()
    for id, asked in ledger.retries.items():
        assert sum(run.parent == id for run in retries) <= asked
    for name, data in ledger.uploads.items():
        assert (home / "server" / "uploads" / name).read_bytes() == data
    graphs = SavedGraphs(home / "graphs", home / "none")
    for name, versions in ledger.graphs.items():
        if versions:
            assert graphs.read(name)[0] in versions
    journal.close()
    states = [run.state for run in runs.values()]
    print(f"\n{len(runs)} runs left, {len(ledger.told)} acknowledged, {len(ledger.deleted)} deleted,", {state: states.count(state) for state in set(states)},
          max(run.attempt for run in runs.values()), "attempts at most")  # fmt: skip


def ended_well(journal: Journal, results: Results, run: Run, kind: str, seed: int, cancelled: bool) -> None:
    """As its graph says, unless somebody cancelled it or the server died of it twice."""
    assert run.state in ENDED, f"{run.id} is {run.state}"
    outputs = {one.name: one.key for one in journal.outputs(run.id)}
    if run.state == "cancelled":
        assert cancelled and not outputs
    elif run.state == "interrupted":
        assert run.error["code"] == "quarantined" and run.crashes == 2 and not outputs
    elif kind == "odd":
        assert run.state == "failed" and run.error["code"] == "node-failed" and str(seed) in run.error["message"] and not outputs
    else:
        assert run.state == "done", run.error
        value = results.get(outputs["out"])
        assert (value if type(value) is int else str(value)) == expected(kind, seed)


def nothing_half_written(home: Path) -> None:
    """No scrap of a file that was being written, nothing damaged, nothing that nobody refers to."""
    scraps = [path for path in home.rglob("*") if path.name.endswith((".tmp", ".new", ".grafted")) or "damaged" in path.name]
    assert not scraps
    journal = Journal(home / "server" / "journal.sqlite")
    for path, digest, _, _ in objects.walk(home / "server" / "results"):
        assert digest is not None, f"{path} is no result"
        objects.read(path, digest)
        assert journal.referenced(digest.hex()), f"nobody needs {path}"
    journal.close()


def test_what_ran_when_the_server_was_killed_goes_on_with_what_was_finished(server, tmp_path):
    first, began, end = (str(tmp_path / name) for name in ("first", "began", "end"))
    nodes = {"one": {"op": op("slow"), "in": {"seed": 4, "began": first}},
             "two": {"op": op("fault_nodes.wait_for"), "in": {"began": began, "end": end, "number": {"from": "one.value"}}}}  # fmt: skip
    graph = {"flowmm": 1, "nodes": nodes, "outputs": {"out": {"from": "two.value"}}}
    server.start()
    id = server.submit(graph, key="once")
    until(lambda: os.path.exists(began) and server.http.get("/api/system").json()["cache"]["entries"])
    server.kill()
    os.remove(first), os.remove(began)
    server.start()
    until(lambda: os.path.exists(began))
    assert server.submit(graph, key="once") == id
    Path(end).touch()
    run = server.ended(id)
    assert (run["state"], run["executed"], run["cached"], run["attempt"]) == ("done", 1, 1, 2)
    assert run["outputs"]["out"]["summary"] == {"value": 5} and not os.path.exists(first), "the first node did not run again"


def test_a_run_that_the_server_died_of_twice_is_quarantined_and_can_be_retried(server, tmp_path):
    began, end, later = tmp_path / "began", tmp_path / "end", tmp_path / "later"
    server.start()
    id = server.submit(one("fault_nodes.wait_for", began=str(began), end=str(end), number=3))
    behind = server.submit(one("write_down", path=str(later), line="behind"))
    for _ in range(2):
        until(began.exists)
        server.kill()
        began.unlink()
        server.start()
    run = server.ended(id)
    assert run["state"] == "interrupted" and run["error"]["code"] == "quarantined" and "retry" in run["error"]["message"]
    assert server.ended(behind)["state"] == "done" and later.read_text() == "behind\n", "the others go on, once"
    end.touch()
    again = server.post(f"/api/runs/{id}/retry").json()
    assert again["parent"] == id
    run = server.ended(again["id"])
    assert run["state"] == "done" and run["outputs"]["out"]["summary"] == {"value": 3}
    assert server.run(id)["state"] == "interrupted"


def test_stopped_while_clients_wait_for_a_run_they_are_answered_and_it_is_put_back(server, tmp_path):
    began, end, answers = tmp_path / "began", tmp_path / "end", []
    server.start()
    id = server.submit(one("fault_nodes.wait_for", began=str(began), end=str(end), number=6))
    until(began.exists)
    behind = server.submit(one("steps", seed=1))
    clients = [server.client() for _ in range(4)]

    def wait(client, run):
        answers.append(client.get(f"/api/runs/{run}", params={"wait": 60}).json())

    threads = [threading.Thread(target=wait, args=(client, run)) for client, run in zip(clients, (id, id, behind, behind))]
    for thread in threads:
        thread.start()
    time.sleep(0.5)  # they wait
    server.stop()
    for thread in threads:
        thread.join(60)
    assert [answer["state"] for answer in answers] == ["queued"] * 4, "not cut off"
    assert "Traceback" not in server.log() and "exceeded" not in server.log()
    end.touch()
    server.start()
    assert [server.ended(run)["state"] for run in (id, behind)] == ["done", "done"]


def test_stopped_by_a_signal_the_running_run_waits_again_without_blame(server, tmp_path):
    began, end = tmp_path / "began", tmp_path / "end"
    server.start()
    id = server.submit(one("fault_nodes.wait_for", began=str(began), end=str(end), number=6))
    for stops in range(1, 4):
        until(began.exists)
        workers = server.children()
        server.stop()
        assert workers and "Traceback" not in server.log()
        journal = Journal(server.home / "server" / "journal.sqlite")
        run = journal.get(id)
        journal.close()
        assert (run.state, run.crashes, run.attempt) == ("queued", 0, stops)
        began.unlink()
        if stops == 3:
            end.touch()
        server.start()
    run = server.ended(id)
    assert (run["state"], run["attempt"]) == ("done", 4) and run["outputs"]["out"]["summary"] == {"value": 6}
