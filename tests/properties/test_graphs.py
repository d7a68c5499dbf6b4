"""Random graphs: running with the cache equals running without it, and both equal plain Python."""

from __future__ import annotations

import json
import random
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowmm import Graph, NodeFailed, Runtime, node
from flowmm.graph.document import read
from flowmm.sockets import T

OP = f"local:{__name__}."


class Parts(NamedTuple):
    small: int
    text: str
    digits: list[int]


@node(version=1)
def add(a: int, b: int = 3) -> int:
    return (a + b) % 1000


@node(version=1)
def scale(a: float, by: float = 0.5) -> float:
    return a * by % 1000


@node(version=1)
def write(a: int, sign: str = "#", times: int = 1) -> str:
    return sign * times + str(a)


@node(version=1)
def parts(text: str, base: int = 7) -> Parts:
    return Parts(len(text) % base, text[::-1][:20], [ord(letter) % base for letter in text[:5]])


@node(version=1)
def together(numbers: list[int], start: int = 0) -> int:
    return (start + sum(place * number for place, number in enumerate(numbers, 1))) % 1000


@node(version=1)
def rows(table: list[list[int]]) -> str:
    return "|".join(",".join(map(str, row)) for row in table)


@node(version=1)
def even(a: int) -> bool:
    return a % 2 == 0


@node(version=1)
def inverse(a: int) -> float:
    return 1 / a


@node(version=1, lane="cpu")
def slow_lane(a: int, text: str = "") -> str:
    return f"{a}{text}"[:20]


@node(version=1, pure=False)
def outside(a: int) -> int:
    """Impure in name only: its value is the same every time, but the engine cannot know."""
    return a // 10


@node(version=1, lazy=("yes", "no"))
def choose(flag: bool, yes: T, no: T) -> T:
    return yes if flag else no


# Inputs with their types and whether they may be left out, then outputs with theirs. T: one type, chosen for each node.
KINDS: dict[str, tuple[dict[str, tuple[str, bool]], dict[str, str]]] = {
    "add": ({"a": ("int", False), "b": ("int", True)}, {"value": "int"}),
    "scale": ({"a": ("float", False), "by": ("float", True)}, {"value": "float"}),
    "write": ({"a": ("int", False), "sign": ("str", True), "times": ("count", True)}, {"value": "str"}),
    "parts": ({"text": ("str", False), "base": ("base", True)}, {"small": "int", "text": "str", "digits": "ints"}),
    "together": ({"numbers": ("ints", False), "start": ("int", True)}, {"value": "int"}),
    "rows": ({"table": ("table", False)}, {"value": "str"}),
    "even": ({"a": ("int", False)}, {"value": "bool"}),
    "inverse": ({"a": ("int", False)}, {"value": "float"}),
    "slow_lane": ({"a": ("int", False), "text": ("str", True)}, {"value": "str"}),
    "outside": ({"a": ("int", False)}, {"value": "int"}),
    "choose": ({"flag": ("bool", False), "yes": ("T", False), "no": ("T", False)}, {"value": "T"}),
}
LITERALS = {
    "int": st.integers(-50, 50), "float": st.one_of(st.integers(-9, 9), st.floats(-9, 9)), "bool": st.booleans(),
    "str": st.text(st.sampled_from("ab1ü \ud800\n"), max_size=5), "count": st.integers(0, 3), "base": st.integers(2, 9),
}  # fmt: skip
FITS = {"float": ("float", "int")}  # what may be wired where, besides itself


@dataclass
class Plan:
    """A graph as data. nodes: name → (kind, inputs as the file writes them). made: type → wires that give it."""

    inputs: dict[str, tuple[str, Any]] = field(default_factory=dict)
    nodes: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    made: dict[str, list[str]] = field(default_factory=dict)

    def wires(self, type_: str) -> list[str]:
        return [wire for fit in FITS.get(type_, (type_,)) for wire in self.made.get(fit, [])]

    def document(self, wanted: list[str], order: random.Random | None = None) -> Graph:
        """order: shuffles nodes, ports and outputs, which must change nothing."""
        nodes = [(name, {"op": OP + kind, "in": dict(_shuffled(ports.items(), order))}) for name, (kind, ports) in self.nodes.items()]
        raw = {
            "flowmm": 1, "inputs": {name: {"default": value} for name, (_, value) in _shuffled(self.inputs.items(), order)},
            "nodes": dict(_shuffled(nodes, order)),
            "outputs": {wire.replace(".", "_"): {"from": wire} for wire in _shuffled(wanted, order)},
        }  # fmt: skip
        return Graph(read(json.dumps(raw)))


def _shuffled(items: Any, order: random.Random | None) -> list:
    items = list(items)
    if order is not None:
        order.shuffle(items)
    return items


@st.composite
def plans(draw) -> Plan:
    plan = Plan()
    for number, type_ in enumerate(draw(st.lists(st.sampled_from(["int", "float", "str", "bool"]), max_size=4))):
        plan.inputs[f"in{number}"] = type_, draw(LITERALS[type_])
        plan.made.setdefault(type_, []).append(f"input.in{number}")
    for number in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(list(KINDS)))
        ports, outputs = KINDS[kind]
        generic = draw(st.sampled_from(["int", "str", "ints"])) if kind == "choose" else ""
        given_ports = {}
        for port, (type_, optional) in ports.items():
            if not optional or draw(st.booleans()):
                given_ports[port] = draw(_argument(plan, generic if type_ == "T" else type_))
        plan.nodes[f"n{number}"] = kind, given_ports
        for output, type_ in outputs.items():
            plan.made.setdefault(generic if type_ == "T" else type_, []).append(f"n{number}.{output}")
    return plan


def _argument(plan: Plan, type_: str) -> st.SearchStrategy:
    """A wire of the type where there is one, or a literal; lists of both; earlier wires are shared often."""
    ways = []
    if wires := plan.wires(type_):
        ways += [st.sampled_from(wires).map(lambda wire: {"from": wire})] * 3
    if type_ in LITERALS:
        ways.append(LITERALS[type_])
    if type_ == "ints":
        ways.append(st.lists(_argument(plan, "int"), max_size=3).map(lambda items: {"list": items}))
        ways.append(st.lists(LITERALS["int"], max_size=3).map(lambda items: {"value": items}))
    if type_ == "table":
        ways.append(st.lists(_argument(plan, "ints").filter(lambda item: "value" not in item), max_size=3).map(lambda items: {"list": items}))
    return st.one_of(ways)


class Failed(Exception):
    """The plain evaluation of a node raised."""


def direct(plan: Plan, wire: str, memo: dict) -> Any:
    """The value of a wire by calling the functions, branches not taken left alone."""
    source, _, output = wire.partition(".")
    if source == "input":
        return plan.inputs[output][1]
    if source not in memo:
        memo[source] = _call(plan, source, memo)
    if isinstance(memo[source], Failed):
        raise memo[source]
    return memo[source][output]


def _call(plan: Plan, name: str, memo: dict) -> dict[str, Any] | Failed:
    kind, ports = plan.nodes[name]
    types = KINDS[kind][0]

    def value(argument: Any, type_: str) -> Any:
        if isinstance(argument, dict):
            (key, inner), = argument.items()
            found = direct(plan, inner, memo) if key == "from" else inner if key == "value" else [value(item, "") for item in inner]
        else:
            found = argument
        literal = not isinstance(argument, dict) or str(argument.get("from")).startswith("input.")
        return float(found) if type_ == "float" and literal else found

    try:
        if kind == "choose":
            return {"value": value(ports["yes" if value(ports["flag"], "bool") else "no"], "")}
        function = globals()[kind].function
        result = function(**{port: value(argument, types[port][0]) for port, argument in ports.items()})
    except Failed as error:
        return error
    except ZeroDivisionError:
        return Failed(name)
    return result._asdict() if isinstance(result, tuple) else {"value": result}


def expected(plan: Plan, wanted: list[str]) -> dict[str, Any] | None:
    """The outputs by name; None where a node fails."""
    memo: dict = {}
    try:
        return {wire.replace(".", "_"): direct(plan, wire, memo) for wire in wanted}
    except Failed:
        return None


def outcome(graph: Graph, runtime: Runtime) -> dict[str, Any] | None:
    try:
        return dict(graph.run(runtime=runtime))
    except NodeFailed as error:
        assert "ZeroDivisionError" in str(error)
        return None


def same(left: Any, right: Any) -> bool:
    """Equal values of equal types, down to the sign of zero."""
    return repr(left) == repr(right)


def outputs_of(plan: Plan, data) -> list[str]:
    every = [f"{name}.{output}" for name, (kind, _) in plan.nodes.items() for output in KINDS[kind][1]]
    return data.draw(st.lists(st.sampled_from(every), min_size=1, max_size=4, unique=True), "outputs")


def edited(plan: Plan, data) -> Plan:
    """The same graph with other input defaults and literals, and some optional inputs left out."""
    inputs = {name: (type_, data.draw(st.one_of(st.just(value), LITERALS[type_]))) for name, (type_, value) in plan.inputs.items()}
    nodes = {}
    for name, (kind, ports) in plan.nodes.items():
        changed = {}
        for port, argument in ports.items():
            type_, optional = KINDS[kind][0][port]
            if optional and data.draw(st.integers(0, 9)) == 0:
                continue
            changed[port] = data.draw(LITERALS[type_]) if type_ in LITERALS and not isinstance(argument, dict) else argument
        nodes[name] = kind, changed
    return Plan(inputs, nodes, plan.made)


@pytest.fixture(scope="module")
def cached():
    """One runtime for every example: what one leaves in the cache, the next may hit."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime("cpu", cache=Path(folder), threads=1)
        yield runtime
        runtime.close()


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_cached_equals_uncached_equals_plain_python(cached, data):
    plan = data.draw(plans())
    wanted = outputs_of(plan, data)
    for _ in range(3):
        right = expected(plan, wanted)
        graph = plan.document(wanted)
        fresh = Runtime("cpu", cache=None, threads=1)
        assert same(outcome(graph, fresh), right)
        assert same(outcome(graph, cached), right)
        assert same(outcome(graph, cached), right)
        fresh.close()
        plan = edited(plan, data)


@given(st.data(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_nodes_ports_and_outputs_changes_neither_keys_nor_values(cached, data, order):
    plan = data.draw(plans())
    wanted = outputs_of(plan, data)
    graphs = plan.document(wanted), plan.document(wanted, order)
    first, second = (_keys(graph, cached) for graph in graphs)
    assert first == second
    results = [outcome(graph, cached) for graph in graphs]
    assert (results[0] is None) == (results[1] is None)
    if results[0] is not None:
        assert same(sorted(results[0].items()), sorted(results[1].items()))


def _keys(graph: Graph, runtime: Runtime) -> dict:
    run, _ = graph.prepare({}, runtime=runtime)
    identities, _ = run.program.identities(run.given)
    return dict(zip(run.program.names, identities))


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_a_fresh_runtime_on_the_same_folder_gives_the_same(data):
    plan = data.draw(plans())
    wanted = outputs_of(plan, data)
    right = expected(plan, wanted)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            runtime = Runtime("cpu", cache=Path(folder), threads=1)
            assert same(outcome(plan.document(wanted), runtime), right)
            runtime.close()


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_a_worker_process_gives_the_same(separate, data):
    plan = data.draw(plans())
    wanted = outputs_of(plan, data)
    assert same(outcome(plan.document(wanted), separate), expected(plan, wanted))


@pytest.fixture(scope="module")
def separate():
    runtime = Runtime("cpu", separate=True, cache=None, threads=1)
    yield runtime
    runtime.close()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_equal_keys_mean_equal_values(cached, data):
    """Over two variants of a graph: nodes that share a key have the same value in plain Python."""
    plan = data.draw(plans())
    seen: dict[bytes, str] = {}
    for variant in (plan, edited(plan, data)):
        wanted = [f"{name}.{output}" for name, (kind, _) in variant.nodes.items() for output in KINDS[kind][1]]
        memo: dict = {}
        for name, key in _keys(variant.document(wanted), cached).items():
            if isinstance(key, bytes):
                value = repr([_or_failed(variant, f"{name}.{output}", memo) for output in KINDS[variant.nodes[name][0]][1]])
                assert seen.setdefault(key, value) == value


def _or_failed(plan: Plan, wire: str, memo: dict) -> Any:
    try:
        return direct(plan, wire, memo)
    except Failed:
        return "failed"
