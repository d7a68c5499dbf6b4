"""A worker in a process of its own gives what one in this process gives, and torch stays there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy
import pytest
import stage_nodes as s

from flowmm import Graph, NodeFailed, Runtime
from flowmm.catalog import Cancelled
from flowmm.engine.workers.child import DROP, KEEP, TASK
from flowmm.store.codec import Encoded, encode, known

HERE = Path(__file__).parent


@pytest.fixture
def sent(separate, monkeypatch):
    """What is sent to the child, by kind."""
    ping(separate)
    channel, messages = separate.worker._process.channel, []
    send = channel.send
    monkeypatch.setattr(channel, "send", lambda message: (messages.append(message), send(message)))
    return lambda kind: [message for message in messages if message[0] == kind]


def ping(runtime) -> None:
    """Start the child, if none is there."""
    runtime.memory.clear()
    graph = Graph()
    with graph:
        graph.output(out=s.add(1))
    assert graph.run(runtime=runtime).out == 2


def mixed() -> Graph:
    graph = Graph()
    x, flag = graph.input("x", 47), graph.input("flag", True)
    with graph:
        divided = s.divide(x)
        chosen = s.choose(flag, s.add(divided.quotient), divided.rest)
        score = s.bigger(s.big(20_000))
        graph.output(number=s.total([chosen, 1, x]), score=score, sum=s.sum_of(score), words=s.words(graph.input("text", "a ü \ud800")),
                     texts=s.joined(s.listing(str(HERE), "conf*.py")))  # fmt: skip
    return graph


def test_results_equal_those_of_this_process(runtime, separate):
    for inputs in ({}, {"x": 2**80}, {"flag": False}):
        here, there = mixed().run(inputs, runtime=runtime), mixed().run(inputs, runtime=separate)
        assert dict(here) == dict(there)
        assert here.executed == there.executed


def test_keys_are_the_same_so_either_reads_what_the_other_stored(on_disk, ran):
    here = on_disk()
    there = on_disk(separate=True)
    first = mixed().run(runtime=there)
    assert first.executed and ran == []
    again = mixed().run(runtime=here)
    assert dict(again) == dict(first) and ran == ["listing conf*.py"]
    assert mixed().run({"x": 3}, runtime=here).number == mixed().run({"x": 3}, runtime=there).number
    assert mixed().run({"x": 3}, runtime=there).executed == 1  # the listing, which is impure


def test_a_stored_value_whose_socket_has_changed_since_is_a_miss(on_disk, monkeypatch):
    graph = Graph()
    with graph:
        graph.output(out=s.bigger(s.big(10)))
    first, second = on_disk(separate=True), on_disk(separate=True)
    graph.run(runtime=first)
    assert graph.run(runtime=second).from_disk == 1
    score = s.Score(numpy.ones((9, 9)))
    stored = [encode(value) for value in (score, [{"k": (1, score)}], [{"k": numpy.ones((9, 9))}, s.Path("x"), 2**70])]
    assert all(map(known, stored))
    monkeypatch.setattr(s.Score, "version", 2)
    assert [known(value) for value in stored] == [False, False, True]
    second.memory.clear()
    run, _ = graph.prepare({}, runtime=second)
    run.identities, run.digests = run.program.identities(run.given)
    assert run._from_disk(run.identities[1]) is None


def test_a_value_made_by_the_child_is_not_sent_back_to_it(separate, sent):
    graph = Graph()
    with graph:
        graph.output(out=s.sum_of(s.bigger(s.bigger(s.big(50_000)))))
    assert graph.run(runtime=separate).out == 150_000
    assert sent(KEEP) == [] and not any(isinstance(v, Encoded) and v.nbytes > 10_000 for m in sent(TASK) for v in m[3].values())


def test_a_value_given_from_here_is_sent_once(separate, sent):
    from flowmm.sockets import Score

    graph = Graph()
    score = graph.input("score")
    with graph:
        graph.output(a=s.sum_of(score), b=s.sum_of(s.bigger(score)))
    value = Score(numpy.ones((30_000, 1)))
    assert dict(graph.run({"score": value}, runtime=separate)) == {"a": 30_000, "b": 60_000}
    separate.memory.clear()
    graph.run({"score": value}, runtime=separate)
    assert len(sent(KEEP)) == 1


def test_the_child_holds_no_more_than_its_budget(separate, sent, monkeypatch):
    monkeypatch.setattr("flowmm.engine.workers.process.HELD_BYTES", 1_000_000)
    for size in range(50_000, 50_008):
        graph = Graph()
        with graph:
            graph.output(out=s.sum_of(s.big(size)))
        assert graph.run(runtime=separate).out == size
    assert separate.worker._process._held_bytes <= 1_500_000 and sent(DROP)


@pytest.mark.parametrize("function", [s.refuse, s.look_up, s.run_out, s.lie, s.odd_text])
def test_a_failure_reads_the_same_as_in_this_process(runtime, separate, function):
    graph = Graph()
    with graph:
        graph.output(out=function("x"))
    sentences = []
    for where in (runtime, separate):
        with pytest.raises(NodeFailed) as caught:
            graph.run(runtime=where)
        sentences.append(str(caught.value))
    assert sentences[0] == sentences[1]


def test_the_cause_of_a_failure_shows_where_in_the_child_it_happened(separate):
    graph = Graph()
    with graph:
        graph.output(out=s.look_up("x"))
    with pytest.raises(NodeFailed) as caught:
        graph.run(runtime=separate)
    assert "stage_nodes.py" in str(caught.value.__cause__.__cause__)


def test_a_value_without_a_codec_cannot_leave_the_child_and_says_so(separate):
    graph = Graph()
    with graph:
        graph.output(out=s.secretive("x"))
    with pytest.raises(NodeFailed, match="its output `text` cannot leave the worker process: Sealed is no registered socket"):
        graph.run(runtime=separate)


def test_cancel_reaches_the_node_in_the_child(separate, background, tmp_path):
    marker = tmp_path / "marker"
    graph = Graph()
    with graph:
        graph.output(out=s.steps_until_cancelled(str(marker)))
    run = background(graph, {}, separate)
    s.until(marker.exists)
    run.run.cancel()
    assert isinstance(run.join().error, Cancelled)
    s.until(lambda: marker.read_text() == "cancelled")
    ping(separate)


def test_impure_nodes_in_the_child_are_cut_off_by_content(separate, tmp_path, sent):
    graph = Graph()
    with graph:
        graph.output(out=s.joined(s.listing(str(tmp_path))))
    (tmp_path / "a").touch()
    assert graph.run(runtime=separate).executed == 2
    assert graph.run(runtime=separate).executed == 1
    (tmp_path / "b").touch()
    assert graph.run(runtime=separate).out == "a+b"


def test_a_list_that_a_switch_chose_reaches_the_child(runtime, separate):
    graph = Graph()
    with graph:
        one, two = s.add(1), s.add(2)
        graph.output(out=s.total(s.choose(False, [one], [one, two])))
    assert graph.run(runtime=separate).out == graph.run(runtime=runtime).out


def script(tmp_path, text: str) -> str:
    path = tmp_path / "script.py"
    path.write_text(f"import sys; sys.path.insert(0, {str(HERE)!r})\n{text}")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_parent_never_imports_torch(tmp_path):
    text = """
from flowmm import Graph, Runtime
import stage_nodes as s
graph = Graph()
with graph:
    latent = s.noise(7)
    graph.output(latent=s.doubled(latent), mean=s.mean_of(s.doubled(latent)))
runtime = Runtime("cpu", separate=True, cache=None, threads=1)
result = graph.run(only=["mean"], runtime=runtime)
print(result.mean, "torch" in sys.modules)
"""
    mean, imported = script(tmp_path, text).split()
    assert imported == "False"
    runtime = Runtime("cpu", cache=None, threads=1)
    graph = Graph()
    with graph:
        graph.output(mean=s.mean_of(s.doubled(s.noise(7))))
    assert float(mean) == graph.run(runtime=runtime).mean


@pytest.mark.parametrize("function", [s.threads_inline, s.threads_of_lane])
def test_torch_has_the_promised_threads_from_its_first_node_on(runtime, separate, function):
    for where, number in ((separate, 1), (runtime, 1), (Runtime("cpu", cache=None, threads=2), 2)):
        graph = Graph()
        with graph:
            graph.output(out=function(0))
        assert graph.run(runtime=where).out == number


def test_a_node_of_a_script_says_why_it_cannot_run_there(tmp_path):
    text = """
from flowmm import Graph, Runtime, NodeFailed, node
@node(version=1)
def mine(a: int) -> int:
    return a
graph = Graph()
with graph:
    graph.output(out=mine(1))
try:
    graph.run(runtime=Runtime("cpu", separate=True, cache=None))
except NodeFailed as error:
    print(error)
"""
    assert "move it into a module" in script(tmp_path, text)


def test_the_child_ends_when_its_parent_does(tmp_path):
    text = """
import os
from flowmm import Graph, Runtime
import stage_nodes as s
graph = Graph()
with graph:
    graph.output(out=s.add(1))
runtime = Runtime("cpu", separate=True, cache=None)
graph.run(runtime=runtime)
print(runtime.worker.pid, flush=True)
os._exit(0)
"""
    assert not alive_soon(int(script(tmp_path, text)))


def test_closing_ends_the_child():
    runtime = Runtime("cpu", separate=True, cache=None)
    ping(runtime)
    pid = runtime.worker.pid
    runtime.close()
    assert not alive_soon(pid)


def alive_soon(pid: int) -> bool:
    """Whether the process still runs after a while; one that only waits to be collected does not."""
    try:
        s.until(lambda: not Path(f"/proc/{pid}").exists() or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    except (AssertionError, OSError):
        return Path(f"/proc/{pid}").exists()
    return False
