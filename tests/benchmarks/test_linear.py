"""CPU a node of pass-through graphs, as they grow: a straight line, with no recursion limit.

Figures are µs a node (divide the printed time by n). `make bench` runs them; the test suite never looks at a clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

import flowmm
from flowmm.catalog import node
from flowmm.face.graph import Graph
from flowmm.graph.document import read

SIZES = [10, 100, 1_000, 10_000, 100_000]


@node(version=1)
def same(x: int) -> int:
    """x, as it is."""
    return x


OP = same.spec.op


def chain(n: int) -> str:
    nodes = {"n0": {"op": OP, "version": 1, "in": {"x": {"from": "input.x"}}}}
    nodes |= {f"n{i}": {"op": OP, "version": 1, "in": {"x": {"from": f"n{i - 1}.value"}}} for i in range(1, n)}
    return json.dumps({"flowmm": 1, "inputs": {"x": {"default": 1}}, "nodes": nodes, "outputs": {"y": {"from": f"n{n - 1}.value"}}})


def fan(n: int) -> str:
    """One node read by n − 1 others, each of which has a literal of its own; all are outputs' ancestors through one list."""
    nodes = {"n0": {"op": OP, "version": 1, "in": {"x": {"from": "input.x"}}}}
    nodes |= {f"n{i}": {"op": add.spec.op, "version": 1, "in": {"x": {"from": "n0.value"}, "y": i}} for i in range(1, n)}
    nodes["total"] = {"op": total.spec.op, "version": 1, "in": {"items": {"list": [{"from": f"n{i}.value"} for i in range(1, n)]}}}
    return json.dumps({"flowmm": 1, "inputs": {"x": {"default": 1}}, "nodes": nodes, "outputs": {"y": {"from": "total.value"}}})


@node(version=1)
def add(x: int, y: int) -> int:
    """x + y."""
    return x + y


@node(version=1)
def total(items: list[int]) -> int:
    """The sum."""
    return sum(items)


SHAPES = {"chain": chain, "fan-out": fan}


def cpu(benchmark, group: str, n: int, work, setup=None, rounds: int = 3) -> None:
    """Measure the CPU time of this thread: other processes of the machine do not count."""
    benchmark.group, benchmark.extra_info["nodes"] = group, n
    benchmark._timer = time.thread_time
    benchmark.pedantic(work, setup=setup, rounds=max(rounds, 20_000 // n) if n < 10_000 else rounds, iterations=1)
    benchmark.extra_info["µs a node"] = round(benchmark.stats.stats.min / n * 1e6, 2)
    print(f"\n{group:<42} {n:>7} nodes {benchmark.extra_info['µs a node']:>8.2f} µs a node")


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
class TestNodes:
    def test_cold_from_text(self, benchmark, shape, n):
        text = SHAPES[shape](n)

        def cold():
            Graph(read(text)).run({}, runtime=flowmm.Runtime("cpu", cache=None))

        cpu(benchmark, f"{shape}, cold from text", n, cold)

    def test_from_text_fully_cached(self, benchmark, shape, n):
        text, runtime = SHAPES[shape](n), flowmm.Runtime("cpu", cache=None)
        Graph(read(text)).run({}, runtime=runtime)
        cpu(benchmark, f"{shape}, from text, cached in memory", n, lambda: Graph(read(text)).run({}, runtime=runtime))

    def test_loaded_and_fully_cached(self, benchmark, shape, n):
        graph, runtime = Graph(read(SHAPES[shape](n))), flowmm.Runtime("cpu", cache=None)
        graph.run({}, runtime=runtime)
        cpu(benchmark, f"{shape}, loaded, cached in memory", n, lambda: graph.run({}, runtime=runtime))

    def test_one_input_changed_that_affects_every_node(self, benchmark, shape, n):
        graph, runtime = Graph(read(SHAPES[shape](n))), flowmm.Runtime("cpu", cache=None)
        graph.run({}, runtime=runtime)
        values = iter(range(2, 1_000_000))
        cpu(benchmark, f"{shape}, loaded, every node affected", n, lambda: graph.run({"x": next(values)}, runtime=runtime))

    def test_from_text_cached_on_disk_by_another_process(self, benchmark, shape, n, tmp_path):
        text = SHAPES[shape](n)
        first = flowmm.Runtime("cpu", cache=tmp_path)
        Graph(read(text)).run({}, runtime=first)
        first.close()

        def fresh():
            runtime = flowmm.Runtime("cpu", cache=tmp_path)
            assert Graph(read(text)).run({}, runtime=runtime).executed == 0
            runtime.close()

        cpu(benchmark, f"{shape}, from text, cached on disk", n, fresh)


@pytest.mark.parametrize("n", [1_000, 10_000])
def test_disk_writes_a_node(benchmark, n, tmp_path):
    """Writing every intermediate, as if each had taken long: what a cached node costs on disk."""
    from flowmm.store.disk import DiskTier

    keys = iter(range(10**9))

    def write():
        tier = DiskTier(tmp_path)
        for i in range(n):
            tier.put(next(keys).to_bytes(20, "big"), (i,), 1.0, "bench.same", {})
        tier.close()

    benchmark.group = "disk writes, small values"
    benchmark.pedantic(write, rounds=3, iterations=1)


@pytest.mark.parametrize("arguments", [["-c", "import flowmm"], ["-m", "flowmm.cli", "--help"]], ids=["import flowmm", "flowmm --help"])
def test_start(benchmark, arguments):
    benchmark.group = "start of a process"
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "0"}
    benchmark.pedantic(lambda: subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, env=environment), rounds=5)
