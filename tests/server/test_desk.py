"""The run queue in this process: the order, who stops what and when, and what becomes of each run."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))  # nodes that wait, fail and die; also where the worker finds them
import fault_nodes  # noqa: F401
import server_nodes
from server_process import one, op, until

from flowmm import GraphError, Runtime
from flowmm.server.desk import MOST_FAILURES, Asked, Desk
from flowmm.server.journal import Run
from flowmm.server.parts import Parts, open_parts
from flowmm.server.refusals import Refused
from flowmm.server.settings import Limits, Settings


def opened(home: Path, limits: Limits = Limits(grace=5), **more) -> Parts:
    return open_parts(replace(Settings(home=home, token="t" * 40, threads=1, limits=limits), **more))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A desk at work, for all tests of the module; each leaves its queue empty."""
    made = opened(tmp_path_factory.mktemp("home"))
    made.desk.start()
    yield made
    made.close()


@pytest.fixture
def resting(tmp_path):
    """A desk whose threads were never started: what is submitted waits."""
    made = opened(tmp_path / "home", Limits(queued=3))
    yield made
    made.close()


class Held:
    """A run that keeps the desk busy until it is let go."""

    def __init__(self, parts: Parts, folder: Path, name: str = "held"):
        self.began, self.end = folder / f"{name}-began", folder / f"{name}-end"
        self.run = submit(parts, one("fault_nodes.wait_for", began=str(self.began), end=str(self.end), number=2))
        until(self.began.exists)

    def let_go(self) -> None:
        self.end.touch()


def submit(parts: Parts, graph, **more) -> Run:
    return parts.desk.submit(Asked(graph, **more)).result(20)


def ended(parts: Parts, run: Run) -> Run:
    return parts.desk.when_ended(run.id).result(60)


def writer(path: Path, line: str) -> dict:
    return one("write_down", path=str(path), line=line)


def refused(code: str, action, *arguments) -> Refused:
    with pytest.raises(Refused) as caught:
        result = action(*arguments)
        if isinstance(result, Future):
            result.result(20)
    assert caught.value.code == code and caught.value.message and caught.value.fix
    return caught.value


def values(parts: Parts, run: Run) -> dict:
    return {one.name: parts.results.get(one.key) for one in parts.journal.outputs(run.id)}


# ── order ───────────────────────────────────────────────────────────────────────────────────────


def test_runs_are_executed_one_after_another_in_the_order_of_the_queue(parts, tmp_path):
    held, lines = Held(parts, tmp_path), tmp_path / "lines"
    runs = {name: submit(parts, writer(lines, name)) for name in "abcde"}
    assert [run.id for run in parts.journal.queue()] == [run.id for run in runs.values()]
    parts.desk.move(runs["d"].id, 0)
    parts.desk.move(runs["a"].id, 100)
    parts.desk.move(runs["b"].id, 2)
    assert parts.desk.cancel(runs["e"].id).state == "cancelled"
    assert not lines.exists(), "one at a time"
    held.let_go()
    assert {ended(parts, run).state for run in runs.values()} == {"done", "cancelled"}
    assert lines.read_text().split() == ["d", "c", "b", "a"]


def test_only_what_waits_can_be_moved(parts, tmp_path):
    held = Held(parts, tmp_path)
    assert "running" in refused("not-queued", parts.desk.move, held.run.id, 0).message
    held.let_go()
    ended(parts, held.run)
    assert "done" in refused("not-queued", parts.desk.move, held.run.id, 0).message
    refused("no-such-run", parts.desk.move, "nobody", 0)


def test_two_devices_work_at_the_same_queue(tmp_path):
    parts = opened(tmp_path / "home", devices=("cpu", "second"))
    parts.desk._runtimes["second"] = Runtime("cpu", separate=True, cache=tmp_path / "home" / "cache", threads=1)  # a name alone makes no device
    parts.desk.start()
    time.sleep(0.1)  # both look at an empty queue
    held = [Held(parts, tmp_path, name) for name in ("one", "two")]
    assert {run.device for run in parts.journal.page(["running"])} == {"cpu", "second"}
    third = submit(parts, one("steps", seed=1))
    assert parts.journal.position(third.id) == 0
    held[1].let_go()
    assert ended(parts, third).device == parts.journal.get(held[1].run.id).device, "the one that is free takes it"
    held[0].let_go()
    assert ended(parts, held[0].run).state == "done"
    parts.close()


def test_a_device_that_was_woken_for_nothing_wakes_the_one_it_slept_beside(tmp_path, monkeypatch):
    """Both have looked at the empty queue; two runs come; the first to look takes one and clears the news of the other."""
    parts = opened(tmp_path / "home", devices=("cpu", "second"))
    taken, parts.desk._stopping = [], False
    monkeypatch.setattr(Desk, "_execute", lambda desk, run, live: taken.append(desk._news.is_set()) or setattr(desk, "_stopping", True))
    submit(parts, one("steps", seed=1)), submit(parts, one("steps", seed=2))
    parts.desk._work("cpu")
    assert taken == [True] and len(parts.journal.queue()) == 1
    parts.close()


# ── submitting ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("graph, code", [
    ({"flowmm": 1, "nodes": {}, "outputs": {"out": {"from": "nobody.value"}}}, "dangling"),
    (one("no_such_node"), "unknown-op"), (one("steps"), "missing-input"), (one("steps", seed="x"), "bad-literal"),
])  # fmt: skip
def test_a_graph_that_cannot_run_leaves_nothing_in_the_journal(resting, graph, code):
    with pytest.raises(GraphError) as caught:
        resting.desk.submit(Asked(graph))
    assert caught.value.problems[0].code == code
    assert not resting.journal.page()


def test_nor_does_an_input_or_a_target_that_there_is_not(resting):
    graph = {"flowmm": 1, "inputs": {"seed": {}}, "nodes": {"one": {"op": op("steps"), "in": {"seed": {"from": "input.seed"}}}},
             "outputs": {"out": {"from": "one.value"}}}  # fmt: skip
    for asked in (Asked(graph), Asked(graph, {"seed": "many"}), Asked(graph, {"seed": 1, "more": 2}), Asked(graph, {"seed": 1}, ["nothing"])):
        with pytest.raises(GraphError):
            resting.desk.submit(asked)
    refused("no-upload", resting.desk.submit, Asked(graph, {"seed": {"upload": "x"}}))
    refused("no-such-value", resting.desk.submit, Asked(graph, {"seed": {"value": "x"}}))
    assert not resting.journal.page()


def test_a_full_queue_refuses_more_but_knows_what_it_has(resting):
    runs = [submit(resting, one("steps", seed=n), key=f"key {n}") for n in range(3)]
    assert refused("queue-full", resting.desk.submit, Asked(one("steps", seed=4), key="key 4")).status == 429
    assert submit(resting, one("steps", seed=1), key="key 1") == runs[1], "asked again, after its answer was lost"
    resting.desk.cancel(runs[0].id)
    assert submit(resting, one("steps", seed=4)).state == "queued"


def test_the_same_key_is_the_same_run_whatever_has_become_of_it_or_of_its_graph(parts):
    run = submit(parts, one("steps", seed=11), key="mine")
    assert ended(parts, run).state == "done"
    again = submit(parts, one("no_such_node"), key="mine")
    assert again.id == run.id and again.state == "done"
    parts.desk.delete(run.id)
    assert submit(parts, one("steps", seed=11), key="mine").id != run.id
    assert ended(parts, parts.journal.page()[0]).state == "done"


def test_a_desk_that_stops_takes_nothing_more(tmp_path):
    parts = opened(tmp_path / "home")
    parts.desk.start()
    parts.desk.stop()
    assert refused("stopping", parts.desk.submit, Asked(one("steps", seed=1))).status == 503
    parts.close()


# ── ends ────────────────────────────────────────────────────────────────────────────────────────


def test_targets_are_outputs_or_edges(parts):
    nodes = {"one": {"op": op("fault_nodes.add"), "in": {"a": 1}}, "two": {"op": op("fault_nodes.add"), "in": {"a": {"from": "one.value"}, "b": 10}},
             "bad": {"op": op("odd"), "in": {"seed": 5}}}  # fmt: skip
    graph = {"flowmm": 1, "nodes": nodes, "outputs": {"out": {"from": "two.value"}, "odd": {"from": "bad.value"}}}
    assert values(parts, ended(parts, submit(parts, graph, targets=["out", "one.value"]))) == {"out": 12, "one.value": 2}
    assert ended(parts, submit(parts, graph)).state == "failed", "without targets every output is wanted"
    assert ended(parts, submit(parts, graph, targets=["one.value"])).executed == 0, "it was there"


def test_a_node_that_fails_is_named_with_its_reason(parts):
    run = ended(parts, submit(parts, one("odd", seed=5)))
    assert run.state == "failed" and not parts.journal.outputs(run.id)
    assert run.error == {"code": "node-failed", "message": "one (local:server_nodes.odd): 5 is not a number this node likes", "node": "one",
                         "op": "local:server_nodes.odd"}  # fmt: skip


def test_a_run_whose_nodes_fail_keeps_what_did_not_need_them(parts):
    nodes = {"good": {"op": op("fault_nodes.add"), "in": {"a": 20, "b": 1}}, **{f"bad{n}": {"op": op("odd"), "in": {"seed": n}} for n in range(1, 25)}}
    outputs = {"out": {"from": "good.value"}, **{f"odd{n}": {"from": f"bad{n}.value"} for n in range(1, 25)}}
    run = ended(parts, submit(parts, {"flowmm": 1, "nodes": nodes, "outputs": outputs}))
    assert run.state == "failed" and values(parts, run) == {"out": 21}
    told = [run.error, *run.error["also"]]
    assert len(told) == 1 + MOST_FAILURES and len({one["node"] for one in told}) == len(told)
    assert all(one["code"] == "node-failed" and one["op"] == "local:server_nodes.odd" and "is not a number" in one["message"] for one in told)
    parts.desk.delete(run.id)
    assert not parts.journal.outputs(run.id)


def test_a_node_that_takes_its_process_down_costs_its_own_run(parts):
    run = ended(parts, submit(parts, one("killed", seed=1)))
    assert run.state == "failed" and run.error["code"] == "worker-lost" and "signal 9" in run.error["message"]
    assert values(parts, ended(parts, submit(parts, one("steps", seed=21)))) == {"out": 152}


def test_a_switch_that_tries_to_leave_the_process_costs_its_own_run(parts):
    run = ended(parts, submit(parts, one("leaving_switch")))
    assert (run.state, run.error["code"]) == ("failed", "internal") and "SystemExit" in run.error["message"]
    assert ended(parts, submit(parts, one("steps", seed=22))).state == "done"


def test_whatever_goes_wrong_when_an_end_is_told_the_device_goes_on(parts, monkeypatch):
    def broken(*_):
        raise RuntimeError("the metrics are broken")

    with monkeypatch.context() as patch:
        patch.setattr(parts.metrics, "ended", broken)
        assert ended(parts, submit(parts, one("steps", seed=23))).state == "done"
    assert ended(parts, submit(parts, one("steps", seed=24))).state == "done"


def test_a_run_whose_value_was_deleted_before_it_began_says_so(parts, tmp_path):
    made = ended(parts, submit(parts, one("picture", "image", seed=1, side=8)))
    key = parts.journal.outputs(made.id)[0].key
    held = Held(parts, tmp_path)
    graph = {"flowmm": 1, "inputs": {"image": {}}, "nodes": {"one": {"op": op("brightness"), "in": {"image": {"from": "input.image"}, "seed": 0}}},
             "outputs": {"out": {"from": "one.value"}}}  # fmt: skip
    run = submit(parts, graph, inputs={"image": {"value": key}})
    parts.desk.delete(made.id)
    assert parts.results.get(key), "an input of a run is kept"
    held.let_go()
    expected = int(server_nodes.picture(seed=1, side=8).pixels.sum())
    assert values(parts, ended(parts, run)) == {"out": expected}
    next(parts.results.folder.rglob(key)).unlink()
    again = ended(parts, parts.desk.retry(run.id).result(20))
    assert again.error["code"] == "no-such-value" and again.error["fix"]


# ── stopping ────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_cancelled_while_it_waits_and_never_runs(parts, tmp_path):
    held, lines = Held(parts, tmp_path), tmp_path / "lines"
    run = submit(parts, writer(lines, "never"))
    waiter = parts.desk.when_ended(run.id)
    assert parts.desk.cancel(run.id).state == "cancelled" == waiter.result(5).state
    assert parts.desk.cancel(run.id).state == "cancelled", "once more changes nothing"
    held.let_go()
    assert ended(parts, held.run).state == "done" and not lines.exists()
    assert parts.desk.cancel(held.run.id).state == "done"
    refused("no-such-run", parts.desk.cancel, "nobody")


def test_a_run_is_cancelled_while_it_starts(parts, monkeypatch):
    starting, go = threading.Event(), threading.Event()
    of_bytes = parts.library.of_bytes

    def waiting(data, name):
        if threading.current_thread().name.startswith("flowmm-desk"):
            starting.set()
            assert go.wait(20)
        return of_bytes(data, name)

    monkeypatch.setattr(parts.library, "of_bytes", waiting)
    run = submit(parts, one("steps", seed=31))
    assert starting.wait(20)
    assert parts.desk.cancel(run.id).state == "running" and parts.desk.live(run.id)["stopping"] == "cancelled"
    go.set()
    run = ended(parts, run)
    assert (run.state, run.error, run.executed) == ("cancelled", None, 0) and parts.desk.live(run.id) is None


def test_a_run_is_cancelled_at_its_next_step(parts, tmp_path):
    held = Held(parts, tmp_path)
    assert parts.desk.cancel(held.run.id).state == "running"
    run = ended(parts, held.run)
    assert run.state == "cancelled" and run.error is None and not parts.journal.outputs(run.id)


def test_a_node_that_does_not_listen_loses_its_process_and_its_run_alone(tmp_path):
    parts = opened(tmp_path / "home", Limits(grace=0.3))
    parts.desk.start()
    began = tmp_path / "began"
    run = submit(parts, one("fault_nodes.hang", began=str(began)))
    until(began.exists)
    behind = submit(parts, one("steps", seed=1))
    pid = parts.desk.runtime().worker.pid
    parts.desk.cancel(run.id)
    assert ended(parts, run).state == "cancelled"
    assert values(parts, ended(parts, behind)) == {"out": 12} and parts.desk.runtime().worker.pid != pid
    parts.close()


def test_a_node_that_gives_no_sign_is_given_up(tmp_path):
    parts = opened(tmp_path / "home", Limits(hang=600, grace=0.3))
    parts.desk.start()
    began = tmp_path / "began"
    run = submit(parts, one("fault_nodes.hang", began=str(began)))
    until(began.exists)
    parts.desk._live[run.id].sign -= 601
    run = ended(parts, run)
    assert run.state == "failed" and run.error["code"] == "hangs" and "600 seconds" in run.error["message"]
    assert ended(parts, submit(parts, one("steps", seed=2))).state == "done", "its worker process was ended"
    parts.close()


def test_stopped_while_one_runs_and_one_waits_both_are_done_after_the_next_start(tmp_path):
    parts = opened(tmp_path / "home")
    parts.desk.start()
    held = Held(parts, tmp_path)
    behind = submit(parts, writer(tmp_path / "lines", "behind"))
    parts.close()
    parts = opened(tmp_path / "home")
    assert [(run.id, run.crashes, run.attempt) for run in parts.journal.queue()] == [(held.run.id, 0, 1), (behind.id, 0, 0)], "in the same order"
    held.let_go()
    assert parts.desk.start() == []
    assert ended(parts, held.run).state == ended(parts, behind).state == "done"
    assert values(parts, held.run) == {"out": 2} and (tmp_path / "lines").read_text() == "behind\n"
    parts.close()


def test_nothing_starts_once_the_desk_stops(resting):
    submit(resting, one("steps", seed=1))
    resting.desk.stop()
    assert resting.desk._next("cpu") is None and resting.journal.counts()["queued"] == 1


# ── afterwards ──────────────────────────────────────────────────────────────────────────────────


def test_an_ended_run_can_be_run_again_as_a_new_one(parts, tmp_path):
    first = ended(parts, submit(parts, one("steps", seed=41), name="untitled", key="forty-one"))
    again = parts.desk.retry(first.id).result(20)
    assert again.id != first.id and (again.parent, again.key, again.graph, again.name) == (first.id, None, first.graph, "untitled")
    assert values(parts, ended(parts, again)) == values(parts, first)
    held = Held(parts, tmp_path)
    refused("not-ended", parts.desk.retry, held.run.id)
    held.let_go()
    ended(parts, held.run)
    refused("no-such-run", parts.desk.retry, "nobody")


def test_a_deleted_run_takes_along_what_only_it_needs(parts, tmp_path):
    first, second = (ended(parts, submit(parts, one("large", "text", seed=51))) for _ in range(2))
    (key,) = {one.key for run in (first, second) for one in parts.journal.outputs(run.id)}
    parts.desk.delete(first.id)
    assert parts.results.get(key), "the other one has the same value"
    parts.desk.delete(second.id)
    with pytest.raises(KeyError):
        parts.results.get(key)
    for gone in (first, second):
        refused("no-such-run", parts.desk.delete, gone.id)
    held = Held(parts, tmp_path)
    refused("not-ended", parts.desk.delete, held.run.id)
    held.let_go()
    ended(parts, held.run)


def test_whoever_waits_for_an_end_is_told_once_it_is_written(parts, tmp_path):
    held = Held(parts, tmp_path)
    waiters = [parts.desk.when_ended(held.run.id) for _ in range(5)]
    assert not any(waiter.done() for waiter in waiters)
    held.let_go()
    assert {waiter.result(60).state for waiter in waiters} == {"done"}
    assert parts.desk.when_ended(held.run.id).done(), "at once, when it is over already"
    refused("no-such-run", parts.desk.when_ended, "nobody")
    assert not parts.desk._waiters


def test_a_clock_that_goes_backwards_changes_no_order(tmp_path, monkeypatch):
    now = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(now)))
    parts, lines = opened(tmp_path / "home"), tmp_path / "lines"
    runs = [submit(parts, writer(lines, name)) for name in "abc"]
    assert runs[0].submitted > runs[2].submitted
    parts.desk.start()
    ends = [ended(parts, run) for run in runs]
    assert lines.read_text().split() == ["a", "b", "c"]
    assert all(run.state == "done" and run.started > run.finished and 0 < run.seconds < 600 for run in ends)
    assert [run.id for run in parts.journal.page()] == [run.id for run in reversed(runs)]
    parts.close()
