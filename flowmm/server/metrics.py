"""What a server counts about itself, in Prometheus' format."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from .desk import Desk

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)  # the bounds of the histogram


class Metrics:
    """Counters that grow as runs end; gauges are read when somebody asks."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._runs = Counter("flowmm_runs", "Runs that ended, by how.", ["state"], registry=self.registry)
        self._seconds = Histogram("flowmm_run_seconds", "How long runs took.", buckets=SECONDS, registry=self.registry)
        self._nodes = Counter("flowmm_nodes", "Nodes that got their values, by where from.", ["from"], registry=self.registry)
        self._node_seconds = Counter("flowmm_node_seconds", "Seconds of nodes' work, by node type.", ["op"], registry=self.registry)
        self._refused = Counter("flowmm_refused", "Requests that were refused, by status.", ["status"], registry=self.registry)

    def ended(self, state: str, seconds: float, executed: int, cached: int, from_disk: int) -> None:
        self._runs.labels(state).inc()
        self._seconds.observe(seconds)
        for source, count in (("computed", executed), ("memory", max(cached - from_disk, 0)), ("disk", from_disk)):
            self._nodes.labels(source).inc(count)

    def worked(self, op: str, seconds: float) -> None:
        self._node_seconds.labels(op).inc(seconds)

    def refused(self, status: int) -> None:
        self._refused.labels(str(status)).inc()

    def watch(self, desk: Desk) -> None:
        """Read queue, cache and memory of this desk whenever the metrics are asked for."""
        self.registry.register(_Gauges(desk))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Gauges:
    def __init__(self, desk: Desk):
        self.desk = desk

    def collect(self):
        counts = self.desk.journal.counts()
        yield GaugeMetricFamily("flowmm_queue_length", "Runs that wait.", value=counts["queued"])
        yield GaugeMetricFamily("flowmm_running", "Runs being executed.", value=counts["running"])
        yield GaugeMetricFamily("flowmm_listeners", "Sockets that listen to events.", value=self.desk.hub.listening)
        memory = GaugeMetricFamily("flowmm_memory_bytes", "Resident memory of the server and of each device's worker process.", labels=["process"])
        memory.add_metric(["server"], resident(os.getpid()))
        kept = GaugeMetricFamily("flowmm_cache_memory_bytes", "Values kept in memory, by device.", labels=["device"])
        for device, runtime in self.desk.runtimes.items():
            kept.add_metric([device], runtime.memory.stats()["bytes"])
            if runtime.worker.pid:
                memory.add_metric([device], resident(runtime.worker.pid))
        yield memory
        yield kept


def resident(pid: int) -> int:
    """Bytes of memory a process holds; 0 where that cannot be known."""
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
