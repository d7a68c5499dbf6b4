"""What the server costs: acknowledging, working through a queue, telling of it, memory over many runs, starting.

Figures of one process and its worker on this machine, with clients on the same cores. FLOWMM_BENCH_RUNS: of the memory's slope.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import statistics
import sys
import threading
import time
from pathlib import Path

import msgpack
import numpy
import pytest
from websockets.sync.client import connect

sys.path.insert(0, str(Path(__file__).parent.parent / "faults"))  # a server's process, and nodes for it
from server_process import BEGIN, TOKEN, ServerProcess, one, op, until

from flowmm.server.metrics import resident

RUNS, CLIENTS, MANY, MB = 1_000, 50, int(os.environ.get("FLOWMM_BENCH_RUNS", "10000")), 1 << 20
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
TELLING = "import signal, sys; signal.signal(signal.SIGUSR1, lambda *_: print('modules:', *sys.modules, flush=True)); "


@pytest.fixture
def server(tmp_path):
    made = ServerProcess(tmp_path / "home").start()
    assert made.ended(made.submit(one("fault_nodes.add", a=-1)))["state"] == "done"  # the worker has started
    yield made
    made.stop()


def submit_all(server: ServerProcess, seeds: range, clients: int) -> list[float]:
    """Submit a run for each seed, from so many clients at once; the seconds until each was acknowledged."""
    seconds, left, lock = [], iter(seeds), threading.Lock()

    def client():
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
        while True:
            with lock:
                seed = next(left, None)
            if seed is None:
                return connection.close()
            body = json.dumps({"graph": one("fault_nodes.add", a=seed)})
            started = time.perf_counter()
            connection.request("POST", "/api/runs", body, HEADERS)
            answer = connection.getresponse()
            assert answer.status == 202, answer.read()
            answer.read()
            seconds.append(time.perf_counter() - started)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def counts(server: ServerProcess) -> dict[str, int]:
    return server.http.get("/api/system").json()["runs"]


def drained(server: ServerProcess) -> bool:
    found = counts(server)
    return not found["queued"] and not found["running"]


def test_a_thousand_runs_from_fifty_clients(benchmark, server):
    benchmark.group = f"{RUNS:,} runs from {CLIENTS} clients, until the last has ended"
    seconds: list[float] = []

    def work():
        seconds.extend(submit_all(server, range(RUNS), CLIENTS))
        until(lambda: drained(server), 600)

    started = time.perf_counter()
    benchmark.pedantic(work, rounds=1)
    whole = time.perf_counter() - started
    assert counts(server)["done"] == RUNS + 1
    percentiles = statistics.quantiles(seconds, n=100)
    alone = submit_all(server, range(RUNS, RUNS + 100), 1)
    print(f"\nacknowledged: p50 {percentiles[49] * 1000:.1f} ms, p99 {percentiles[98] * 1000:.1f} ms from {CLIENTS} clients at once; "
          f"from one alone p50 {statistics.median(alone) * 1000:.1f} ms; {RUNS / whole:.0f} runs/s to the end")  # fmt: skip


def test_bytes_of_the_socket(benchmark, server):
    """One node read by 998 others and a list of all: ComfyUI sends 98 MB for such a graph (PEERS.md)."""
    benchmark.group = "events of a 1→999 fan-out"
    nodes = {"n0": {"op": op("fault_nodes.add"), "in": {"a": {"from": "input.a"}}}}
    nodes |= {f"n{i}": {"op": op("fault_nodes.add"), "in": {"a": {"from": "n0.value"}, "b": i}} for i in range(1, 999)}
    nodes["all"] = {"op": op("fault_nodes.first"), "in": {"numbers": {"list": [{"from": f"n{i}.value"} for i in range(1, 999)]}}}
    fan = {"flowmm": 1, "inputs": {"a": {}}, "nodes": nodes, "outputs": {"out": {"from": "all.value"}}}
    with connect(server.url.replace("http", "ws") + "/api/events", additional_headers={"Authorization": f"Bearer {TOKEN}"}) as socket:
        socket.recv()

        def heard(graph, **more) -> list[bytes]:
            id, frames = server.submit(graph, **more), []
            while not frames or not (last := msgpack.unpackb(frames[-1]))["type"] == "run" or last["state"] not in ("done", "failed"):
                frames.append(socket.recv(120))
            assert last["id"] == id and last["state"] == "done", last
            return frames

        frames: list[bytes] = []
        benchmark.pedantic(lambda: frames.extend(heard(fan, inputs={"a": 5})), rounds=1)
        steps = heard(one("steps", seed=1, count=200, pause=0.01))
    for name, found in (("1→999 fan-out", frames), ("200 steps in 2 s", steps)):
        size = sum(map(len, found))
        print(f"\n{name}: {len(found)} frames, {size:,} bytes, {size / len(found):.0f} a frame", end="")
    print()


@pytest.mark.parametrize("most", [None, 1 << 20], ids=["results-kept", "1-MB-for-results"])
def test_memory_over_many_runs(benchmark, tmp_path, most):
    """The second one shows what remains when the memory tier is full: with a quarter of the machine, millions of small results fit."""
    benchmark.group = f"{MANY:,} small runs one after another"
    few = "" if most is None else f"import flowmm.engine.runtime as runtime; runtime.MEMORY_SHARE = {most} / runtime.total_memory(); "
    server = ServerProcess(tmp_path / "home", begin=few + BEGIN).start()
    step, sizes = max(MANY // 10, 1), []

    def work():
        for n in range(10):
            submit_all(server, range(n * step, (n + 1) * step), 8)
            until(lambda: drained(server), 3600)
            sizes.append((resident(server.pid), resident(server.children()[0])))

    benchmark.pedantic(work, rounds=1)
    for name, found in zip(("server", "worker"), zip(*sizes)):
        # The first 7,000 runs also fill the 20,000 frames that are kept for those who reconnect.
        slopes = [numpy.polyfit(numpy.arange(first, 10) * step, found[first:], 1)[0] for first in (1, 6)]
        print(f"\n{name}: {', '.join(f'{size / MB:.0f}' for size in found)} MB resident; {slopes[0]:.0f} bytes more a run, {slopes[1]:.0f} in the end", end="")
    server.stop()
    journal = sum(path.stat().st_size for path in (server.home / "server").glob("journal.sqlite*"))
    print(f"\njournal {journal / MB:.1f} MB, {journal / (MANY + 1):.0f} bytes a run")


def test_start_until_the_catalogue_answers(benchmark, tmp_path):
    benchmark.group = "flowmm serve until the catalogue answers"
    server = ServerProcess(tmp_path / "home", begin=TELLING + "from flowmm.cli import main; main()")

    def start():
        server.start()
        assert server.http.get("/api/nodes").status_code == 200

    benchmark.pedantic(start, setup=lambda: server.url and server.stop() and None, rounds=5)
    os.kill(server.pid, signal.SIGUSR1)
    until(lambda: server.log().endswith("\n") and "modules:" in server.log())
    modules = server.log().partition("modules:")[2].split()
    heavy = [name for name in ("torch", "transformers", "diffusers", "gradio", "mcp", "numpy", "PIL") if name in modules]
    print(f"\n{benchmark.stats.stats.median:.2f} s, {resident(server.pid) / MB:.0f} MB resident, {len(modules)} modules, of the heavy ones {', '.join(heavy)}")
    server.stop()
