"""A worker process that dies or hangs costs the nodes it was running, and nothing else."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import fault_nodes as f
import pytest

from flowmm import Graph, NodeFailed, Runtime
from flowmm.engine.workers import process
from flowmm.engine.workers.base import WorkerLost


@pytest.fixture
def runtime():
    made = Runtime("cpu", separate=True, cache=None, threads=1)
    yield made
    made.close()


def one(function, *args, **kwargs) -> Graph:
    graph = Graph()
    with graph:
        graph.output(out=function(*args, **kwargs))
    return graph


def start(graph: Graph, runtime: Runtime, listener=None) -> dict:
    """Run in the background; `out` or `error` appear in the answer, which `thread` ends."""
    answer: dict = {}

    def work():
        try:
            answer["out"] = graph.run(runtime=runtime, listener=listener).out
        except Exception as error:
            answer["error"] = error

    answer["thread"] = threading.Thread(target=work, daemon=True)
    answer["thread"].start()
    return answer


def until(condition) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def joined(answer: dict) -> dict:
    answer["thread"].join(20)
    assert not answer["thread"].is_alive(), "the run did not end"
    return answer


def test_a_worker_killed_in_mid_node_fails_that_node_with_a_sentence(runtime, tmp_path):
    began = tmp_path / "began"
    run = start(one(f.wait_for, str(began), str(tmp_path / "never")), runtime)
    until(lambda: began.exists() and began.read_text())
    os.kill(int(began.read_text()), signal.SIGKILL)
    error = joined(run)["error"]
    assert isinstance(error, NodeFailed) and isinstance(error.__cause__, WorkerLost) and error.node == "wait_for"
    assert "the worker process of `cpu` ended (signal 9) while running this node" in str(error)


def test_the_next_node_gets_a_fresh_process_and_a_note_says_so(runtime):
    with pytest.raises(NodeFailed):
        one(f.die, 9).run(runtime=runtime)
    events = []
    assert one(f.add, 1).run(runtime=runtime, listener=events.append).out == 2
    with pytest.raises(NodeFailed, match=r"ended \(signal 11\)"):
        one(f.die, 11).run(runtime=runtime)
    one(f.add, 2).run(runtime=runtime, listener=events.append)
    assert any("signal 11" in event.text for event in events if event.kind == "note")


def test_a_process_that_ends_itself_tells_its_exit_status(runtime):
    with pytest.raises(NodeFailed, match=r"ended \(exit status 3\) while running this node"):
        one(f.leave, 3).run(runtime=runtime)


def test_running_out_of_memory_is_named_where_the_system_tells(runtime, monkeypatch):
    counts = iter([4])
    assert one(f.add, 1).run(runtime=runtime).out == 2
    runtime.worker._process._kills = 3
    monkeypatch.setattr(process, "out_of_memory_kills", lambda: next(counts, 4))
    with pytest.raises(NodeFailed, match="was ended by the system, which ran out of memory, while running this node"):
        one(f.die, 9).run(runtime=runtime)


def test_queued_nodes_of_other_runs_go_on_in_the_next_process(runtime, tmp_path):
    lanes = max(1, (os.cpu_count() or 1) - 1)
    blocked = [start(one(f.wait_for, str(tmp_path / f"began{i}"), str(tmp_path / "never"), number=i), runtime) for i in range(lanes)]
    until(lambda: all((tmp_path / f"began{i}").exists() for i in range(lanes)))
    (tmp_path / "go").touch()
    events: list = []
    queued = start(one(f.wait_for, str(tmp_path / "queued"), str(tmp_path / "go"), number=42), runtime, events.append)
    until(lambda: len(runtime.worker._process.flights) == lanes + 1)
    os.kill(runtime.worker.pid, signal.SIGKILL)
    assert joined(queued)["out"] == 42
    assert all("ended (signal 9)" in str(joined(run)["error"]) for run in blocked)


def test_a_node_that_hangs_is_ended_by_a_restart(runtime, tmp_path):
    began = tmp_path / "began"
    run = start(one(f.hang, str(began)), runtime)
    until(began.exists)
    runtime.worker.restart()
    assert "was restarted while running this node" in str(joined(run)["error"])
    assert one(f.add, 1).run(runtime=runtime).out == 2


def test_closing_ends_what_still_runs(runtime, tmp_path):
    began = tmp_path / "began"
    run = start(one(f.hang, str(began)), runtime)
    until(began.exists)
    runtime.close()
    assert "was closed" in str(joined(run)["error"])
    with pytest.raises(NodeFailed, match="was closed"):
        one(f.add, 1).run(runtime=runtime)


def test_a_process_that_cannot_start_is_an_error_and_not_a_loop(runtime, monkeypatch):
    monkeypatch.setattr(process, "START", "raise SystemExit(7)")
    with pytest.raises(NodeFailed, match=r"ended \(exit status 7\) before it could run this node"):
        one(f.add, 1).run(runtime=runtime)


def test_code_that_changed_since_it_was_read_is_refused(runtime, tmp_path, monkeypatch):
    """Its results would be stored under the key of the old code."""
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "changing_nodes.py"
    module.write_text("from flowmm import node\n@node(version=1)\ndef same(a: int) -> int:\n    return a\n")
    import changing_nodes

    runtime.numeric  # noqa: B018
    graph = one(changing_nodes.same, 1)
    run, _ = graph.prepare({}, runtime=runtime)
    module.write_text(module.read_text().replace("return a", "return a + 1"))
    with pytest.raises(NodeFailed, match="its code changed after this program had read it"):
        run.execute()


def test_nothing_is_left_in_shared_memory(runtime, tmp_path):
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.is_dir() else set()
    with pytest.raises(NodeFailed):
        one(f.die, 9).run(runtime=runtime)
    runtime.close()
    assert not {path for path in (set(shared.iterdir()) if shared.is_dir() else set()) - before if "flowmm" in path.name}
