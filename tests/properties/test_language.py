"""Random programs of pieces, frames and loops: each equals plain Python, however it is cut up and in whatever order it is written."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flowmm import Graph, Runtime, node
from flowmm.graph.document import of

OP = f"local:{__name__}."
MOD = 10_007
RUNTIME = Runtime("cpu", cache=None, threads=1)


@node(version=1)
def plus(a: int, b: int = 1) -> int:
    return (a + b) % MOD


@node(version=1)
def times(a: int, b: int = 2) -> int:
    return a * b % MOD


@node(version=1)
def spread(a: int, many: int) -> list[int]:
    return [(a + i) % MOD for i in range(many)]


@node(version=1)
def total(items: list[int]) -> int:
    return sum(items) % MOD


@node(version=1)
def large(a: int, than: int) -> bool:
    return a > than


# A program is a list of steps, each from one number to one; a step may hold programs.
steps = st.recursive(
    st.one_of(st.tuples(st.just("plus"), st.integers(0, 50)), st.tuples(st.just("times"), st.integers(0, 5))),
    lambda inner: st.one_of(
        st.tuples(st.just("piece"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("each"), st.integers(0, 3), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("written"), st.lists(st.integers(0, 9), max_size=3), st.lists(inner, min_size=1, max_size=2)),
        st.tuples(st.just("loop"), st.integers(1, 3), st.integers(0, 200), st.lists(inner, min_size=1, max_size=2)),
        st.tuples(st.just("switch"), st.integers(0, 200), st.lists(inner, min_size=1, max_size=2), st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=8,
)
programs = st.lists(steps, min_size=1, max_size=3)


def plain(program: list, x: int) -> int:
    """What it gives, in Python."""
    for kind, *rest in program:
        if kind == "plus":
            x = (x + rest[0]) % MOD
        elif kind == "times":
            x = x * rest[0] % MOD
        elif kind == "piece":
            x = plain(rest[0], x)
        elif kind == "each":
            x = sum(plain(rest[1], (x + i) % MOD) for i in range(rest[0])) % MOD
        elif kind == "written":
            x = (x + sum(plain(rest[1], i) for i in rest[0])) % MOD
        elif kind == "loop":
            for _ in range(rest[0]):
                x = plain(rest[2], x)
                if x > rest[1]:
                    break
        else:
            x = plain(rest[1] if x > rest[0] else rest[2], x)
    return x


def wire(source: str) -> dict[str, str]:
    return {"from": source}


class Writer:
    """Writes a program as a document. flat: pieces are written out; shuffle: in which order names stand."""

    def __init__(self, flat: bool = False, shuffle: random.Random | None = None):
        self.flat, self.shuffle = flat, shuffle
        self.count = 0

    def document(self, program: list, x: Any = ...) -> dict[str, Any]:
        nodes: dict[str, Any] = {}
        graphs: dict[str, Any] = {}
        last = self.program(program, wire("input.x"), nodes, graphs)
        if last == wire("input.x"):
            last = self.add(nodes, "plus", a=last, b=0)
        return {"flowmm": 1, "inputs": {"x": {} if x is ... else {"default": x}}, "nodes": self.mixed(nodes), "graphs": self.mixed(graphs),
                "outputs": {"out": last}}  # fmt: skip

    def mixed(self, named: dict) -> dict:
        items = list(named.items())
        if self.shuffle:
            self.shuffle.shuffle(items)
        return dict(items)

    def add(self, nodes: dict, op: str, _more: dict | None = None, **given: Any) -> dict[str, str]:
        self.count += 1
        name = f"n{self.count}"
        op = op if ":" in op or "." in op else OP + op
        nodes[name] = {"op": op, "in": self.mixed(given)} | (_more or {})
        return wire(f"{name}.{'out' if op.startswith('graph:') else 'value'}")

    def piece(self, graphs: dict, program: list) -> str:
        self.count += 1
        name = f"g{self.count}"
        graphs[name] = self.document(program)
        return f"graph:{name}"

    def program(self, program: list, x: Any, nodes: dict, graphs: dict) -> Any:
        for kind, *rest in program:
            if kind in ("plus", "times"):
                x = self.add(nodes, kind, a=x, b=rest[0])
            elif kind == "piece" and self.flat:
                x = self.program(rest[0], x, nodes, graphs)
            elif kind == "piece":
                x = self.add(nodes, self.piece(graphs, rest[0]), x=x)
            elif kind == "each":
                items = self.add(nodes, "spread", a=x, many=rest[0])
                x = self.add(nodes, "total", items=self.add(nodes, self.piece(graphs, rest[1]), {"each": ["x"]}, x=items))
            elif kind == "written":
                made = self.add(nodes, self.piece(graphs, rest[1]), {"each": ["x"]}, x={"value": rest[0]})
                x = self.add(nodes, "plus", a=x, b=self.add(nodes, "total", items=made))
            elif kind == "loop":
                name = self.piece(graphs, rest[2])
                inner = graphs[name.removeprefix("graph:")]
                inner["nodes"]["enough"] = {"op": OP + "large", "in": {"a": inner["outputs"]["out"], "than": rest[1]}}
                inner["outputs"]["enough"] = wire("enough.value")
                x = self.add(nodes, name, {"loop": {"carry": {"x": "out"}, "until": "enough", "most": rest[0]}}, x=x)
            else:
                bigger = self.add(nodes, "large", a=x, than=rest[0])
                then, otherwise = (self.add(nodes, self.piece(graphs, branch), x=x) for branch in rest[1:])
                x = self.add(nodes, "logic.switch", condition=bigger, then=then, otherwise=otherwise)
        return x


def identity(document: dict, x: int) -> Any:
    graph = Graph(of(document))
    program, given_ = graph._program("n", {"x": x}, set(range(len(graph.wiring.names))))
    identities, _ = program.identities(given_)
    return identities[graph.wiring.outputs["out"].producer]


@settings(deadline=None, max_examples=150)
@given(programs, st.integers(0, 100))
def test_a_program_gives_what_plain_python_gives(program, x):
    graph = Graph(of(Writer().document(program)))
    assert [one for one in graph.check(x=x).problems if one.level == "error"] == []
    assert graph.run({"x": x}, runtime=RUNTIME).out == plain(program, x)
    again = graph.run({"x": x}, runtime=RUNTIME)
    assert again.out == plain(program, x)


@settings(deadline=None, max_examples=100)
@given(programs, st.integers(0, 100), st.integers(0, 2**32))
def test_neither_pieces_nor_the_order_of_names_matter_to_keys(program, x, seed):
    known = identity(Writer().document(program), x)
    assert known == identity(Writer(flat=True).document(program), x)
    assert known == identity(Writer(shuffle=random.Random(seed)).document(program), x)
    assert known is None or known != identity(Writer().document([("plus", 1), *program]), x)


