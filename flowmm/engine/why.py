"""Why a node would hit or miss the cache, in words."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..catalog import Cancelled
from ..graph.wiring import Input, Link
from ..store.memory import MISSING
from .program import Program
from .run import Run


@dataclass(slots=True)
class Reason:
    """answer: "hit", "miss", "late" or "alias". lines: the explanation, most important first."""

    node: str
    answer: str
    lines: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([f"{self.node}: {self.lines[0]}", *(f"  {line}" for line in self.lines[1:])])


def why(runtime: Any, program: Program, given: Mapping[Input, Any], index: int) -> Reason:
    """Explain one node. Runs what planning needs (makers of handles, listings), and nothing else that is not cached."""
    name, spec = program.names[index], program.specs[index]
    if spec.lazy:
        return Reason(name, "alias", [f"`{spec.op}` has no key of its own; it stands for the branch it takes, and is cached as that."])
    if program.late[index]:
        if index in program.frames:
            return Reason(name, "late", ["goes round in every run, because models are opened inside it; what it makes in a round is cached as any node's."])
        cause = "it makes handles, which is cheap" if spec.makes_handles else "its code cannot be read" if spec.pure else "it is impure"
        return Reason(name, "late", [f"runs every time, because {cause}; what reads it is keyed by the content it returns."])
    run = Planning(runtime, program, dict(given), {"": Link(index, next(iter(spec.outputs)))})
    blocked = run.plan()
    key = run.identities[index]
    if not isinstance(key, bytes):
        return Reason(name, "late", [f"has no key yet: it depends on `{blocked}`, which must run first and is not cached."])
    mine = program.ingredients(index, run.identities, run.digests, given)
    if runtime.memory.get(key) is not MISSING:
        return Reason(name, "hit", ["hit, in memory.", f"key {key.hex()}"])
    rows = runtime.disk.similar(spec.op, 200) if runtime.disk is not None else []
    for row in rows:
        if row.key == key:
            ago = _ago(time.time() - row.created)
            return Reason(name, "hit", [f"hit, on disk; computed {ago} ago in {row.seconds:.2f} s, {row.bytes:,} bytes.", f"key {key.hex()}"])
    return Reason(name, "miss", [*_compare(mine, rows), f"key {key.hex()}"])


class Planning(Run):
    """A run that stops short of computing: late nodes run if what they need is here."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.blocked = ""

    def plan(self) -> str:
        """Key everything that can be keyed; the node that stands in the way, if one does."""
        self.identities, self.digests = self.program.identities(self.given)
        try:
            self._need(self.wanted)
            self._loop()
        except Cancelled:
            pass
        if self.failed is not None:
            raise self.failed
        return self.blocked

    def _start(self, i: int) -> None:
        """Compute nothing that is not late: the target itself is never computed, an ancestor of something late blocks."""
        if self.program.late[i] or i in self.branch or i in self.twin:
            super()._start(i)
        elif i not in self.wanted:
            self.blocked = self.blocked or self.program.names[i]

    def _ask(self, nodes: list[int]) -> None:
        super()._ask([i for i in nodes if i not in self.wanted])


def _compare(mine: dict[str, Any], rows: list) -> list[str]:
    """The stored entry that differs least, and in what."""
    if not rows:
        return ["miss: nothing of this node type is stored. Nodes under 10 ms are not kept on disk unless they are a graph's output."]
    found = min(((row, _differences(mine, row.recipe)) for row in rows), key=lambda pair: len(pair[1]))
    row, differences = found
    if not differences:
        return ["miss: an equal entry was stored and has been evicted or damaged."]
    return [f"miss: the nearest stored result ({_ago(time.time() - row.created)} ago) differs in {len(differences)} thing{'s' * (len(differences) > 1)}:", *differences]


def _differences(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    lines = []
    ports, others = mine["ports"], theirs.get("ports", {})
    for name in sorted(ports.keys() | others.keys()):
        now, before = ports.get(name), others.get(name)
        if now is None or before is None or now[1] != before[1]:
            if now and before and now[0] == before[0]:
                lines.append(f"`{name}`: {now[0]}, whose content or own inputs changed")
            else:
                lines.append(f"`{name}`: {before[0] if before else 'not there'} then, {now[0] if now else 'not there'} now")
    if mine["version"] != theirs.get("version"):
        lines.append(f"the node's version: {theirs.get('version')} then, {mine['version']} now")
    if mine["code"] != theirs.get("code"):
        lines.append("the node's code, or code it imports from its pack")
    if mine["numeric"] != theirs.get("numeric"):
        lines.append(f"the numeric class: {theirs.get('numeric')} then, {mine['numeric']} now")
    libraries = theirs.get("libraries", {})
    for name in sorted(mine["libraries"].keys() | libraries.keys()):
        if mine["libraries"].get(name) != libraries.get(name):
            lines.append(f"{name}: {libraries.get(name, 'not used')} then, {mine['libraries'].get(name, 'not used')} now")
    return lines


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' * (count > 1)}"
    return f"{max(0, int(seconds))} s"
