"""A run's times as a trace in Chrome's format, which Perfetto opens (ui.perfetto.dev, or without a network in chrome://tracing)."""

from __future__ import annotations

from typing import Any

from .journal import Run


def trace(run: Run) -> dict[str, Any]:
    """Slices in microseconds from the run's start; nodes that overlap lie on rows of their own."""
    events: list[dict[str, Any]] = [
        {"ph": "M", "pid": 1, "tid": 0, "name": "process_name", "args": {"name": run.title or run.name or run.id}},
        {"ph": "M", "pid": 1, "tid": 0, "name": "thread_name", "args": {"name": "run"}},
    ]
    if run.seconds is not None:
        events.append({"ph": "X", "pid": 1, "tid": 0, "name": run.state, "ts": 0, "dur": round(run.seconds * 1e6),
                       "args": {"executed": run.executed, "cached": run.cached, "device": run.device}})  # fmt: skip
    free: list[float] = []  # when each row is free again
    for node, ended, seconds in sorted(run.timings or (), key=lambda span: span[1] - span[2]):
        begun = max(ended - seconds, 0.0)
        row = next((i for i, until in enumerate(free) if until <= begun + 1e-6), len(free))
        if row == len(free):
            free.append(0.0)
            events.append({"ph": "M", "pid": 1, "tid": row + 1, "name": "thread_name", "args": {"name": f"nodes {row + 1}"}})
        free[row] = ended
        events.append({"ph": "X", "pid": 1, "tid": row + 1, "name": node, "ts": round(begun * 1e6), "dur": round(seconds * 1e6)})
    return {"traceEvents": events, "displayTimeUnit": "ms"}
