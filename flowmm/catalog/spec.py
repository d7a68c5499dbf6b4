"""@node: a plain typed function becomes a NodeSpec."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from ..sockets.handles import Handle
from ..sockets.types import Choice, ListOf, Socket, Type, Union, Var, has_variables, of_literal, read
from ..sockets.unify import Bindings
from ..sockets.widgets import Between, Help, ModelSource, Multiline
from .context import Context

REQUIRED = inspect.Parameter.empty
LANES = ("inline", "cpu", "files", "device")

# The graph being built by `with Graph() as g:`, if any: it takes node calls instead of running them.
BUILDING: ContextVar[Any] = ContextVar("flowmm graph being built", default=None)


@dataclass(frozen=True, slots=True)
class Port:
    """One input. between, multiline, source (a model's name): hints and bounds for plain values. title: of an input of a graph, its own."""

    name: str
    type: Type
    default: Any = REQUIRED
    help: str = ""
    between: Between | None = None
    multiline: bool = False
    lazy: bool = False
    source: bool = False
    title: str | dict[str, str] = ""

    @property
    def required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Output:
    name: str
    type: Type
    help: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """What a node gets for a lazy input: a token it may only return, meaning "I am that input"."""

    port: str


@dataclass(frozen=True, slots=True)
class Migration:
    """What a node of one version becomes in the next. inputs: a function of its inputs as a graph writes them. outputs: new names by old."""

    inputs: Callable[[dict[str, Any]], dict[str, Any]]
    outputs: Mapping[str, str]


@dataclass(slots=True, eq=False)
class NodeSpec:
    """Everything the engine, the catalogue and the editor know of a node type.

    late: its outputs are keyed by their content when they arrive (impure nodes, makers of handles, switches);
    everything else is keyed before anything runs.
    """

    op: str
    version: int
    title: Any
    help: Any
    tags: tuple
    inputs: dict[str, Port]
    outputs: dict[str, Output]
    function: Callable
    context: str | None
    pure: bool
    lane: str
    several: bool  # returns a NamedTuple
    describe: Callable | None
    spaces: Callable | None
    reference: str
    module: str
    classes: tuple[type | None, ...] = ()  # what each output must be an instance of; empty if nothing is to be checked
    lazy: bool = False  # some inputs are fetched only if the node chooses them
    makes_handles: bool = False
    late: bool = False
    generic: bool = False  # some port has a type variable
    hands_on: bool = False  # only hands on its one input, as a reroute does: graphs are run without it
    migrations: Mapping[int, Migration] = field(default_factory=dict)  # by the version that they lead away from

    def __post_init__(self) -> None:
        """Worked out once: graphs of 100,000 nodes ask for each of these 100,000 times."""
        sockets = [o.type.cls if isinstance(o.type, Socket) else None for o in self.outputs.values()]
        self.classes = tuple(sockets) if any(sockets) else ()
        self.lazy = any(port.lazy for port in self.inputs.values())
        self.makes_handles = all(cls is not None and issubclass(cls, Handle) for cls in sockets)
        self.late = not self.pure or self.makes_handles or self.lazy
        self.generic = any(has_variables(p.type) for p in (*self.inputs.values(), *self.outputs.values()))


class Node:
    """A decorated function. Called outside a graph it just runs; inside `with Graph()` it adds itself to the graph."""

    def __init__(self, function: Callable, options: dict[str, Any]):
        functools.update_wrapper(self, function)
        self.function = function
        self._options = options
        self._spec: NodeSpec | None = None
        self._describe: Callable | None = None
        self._spaces: Callable | None = None
        self._migrations: dict[int, Migration] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        graph = BUILDING.get()
        if graph is not None:
            return graph.add(self, *args, **kwargs)
        name = self.spec.context
        if name and name not in kwargs:
            kwargs[name] = Context(self.spec.op)
        return self.function(*args, **kwargs)

    def describe(self, rule: Callable) -> Callable:
        """Decorator: a rule from Known input facts to output Facts, without weights."""
        self._describe = rule
        return rule

    def spaces(self, rule: Callable) -> Callable:
        """Decorator for loaders: plain input values to known spaces by variable name, reading config files only."""
        self._spaces = rule
        return rule

    def migrate(self, version: int, **outputs: str) -> Callable[[Callable], Callable]:
        """Decorator: from the inputs of a node that was made with this version, as the graph writes them, to those of the next version.

        outputs: new names of its outputs by their old ones, where they changed.
        """

        def declare(rule: Callable) -> Callable:
            self._migrations[version] = Migration(rule, outputs)
            return rule

        return declare

    @property
    def spec(self) -> NodeSpec:
        if self._spec is None:
            from .packs import op_of

            self._spec = _read_spec(self.function, op_of(self.function), self._options, self._describe, self._spaces)
            self._spec.migrations = self._migrations
        return self._spec

    def __repr__(self) -> str:
        return f"<node {self.spec.op} v{self.spec.version}>"


def node(
    *,
    version: int,
    title: str | dict[str, str] = "",
    help: str | dict[str, str] = "",
    tags: tuple[str, ...] = (),
    pure: bool = True,
    lane: str = "",
    lazy: tuple[str, ...] = (),
    hands_on: bool = False,
) -> Callable[[Callable], Node]:
    """Declare a function a node type.

    version: raise it when results change. pure=False: for clocks, listings and the like; it runs in every run
    and is keyed by what it returned. lane: "inline" (cheap, the default), "cpu", "files" or "device" (the default
    where an input is a handle). lazy: inputs of which the node returns one, so that only that branch runs.
    hands_on: it returns its one input and nothing else, so that graphs are run without it.
    """
    if lane and lane not in LANES:
        raise ValueError(f"lane is one of {', '.join(LANES)}, not {lane!r}")
    options = dict(version=version, title=title, help=help, tags=tags, pure=pure, lane=lane, lazy=lazy, hands_on=hands_on)

    def declare(function: Callable) -> Node:
        from .packs import declare as register

        return register(Node(function, options))

    return declare


def _read_spec(function: Callable, op: str, options: dict, describe: Callable | None, spaces: Callable | None) -> NodeSpec:
    where = f"{function.__module__}.{function.__qualname__}"
    hints = typing.get_type_hints(function, include_extras=True)
    help_text, port_help, reference = _docstring(function.__doc__ or "")
    variables: dict[Any, Var] = {}
    inputs: dict[str, Port] = {}
    context = None
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints:
            raise TypeError(f"{where}: parameter {name!r} needs a type")
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"{where}: parameter {name!r} must be an ordinary named parameter")
        if hints[name] is Context:
            context = name
            continue
        inputs[name] = _port(where, name, hints[name], parameter.default, port_help, name in options["lazy"], variables)
    if "return" not in hints:
        raise TypeError(f"{where}: a node needs a return type")
    several, outputs = _outputs(where, hints["return"], variables, port_help)
    takes_handle = any(isinstance(p.type, Socket) and issubclass(p.type.cls, Handle) for p in inputs.values())
    spec = NodeSpec(
        op=op, version=options["version"], title=options["title"] or _title(function.__name__),
        help=options["help"] or help_text, tags=tuple(options["tags"]), inputs=inputs, outputs=outputs,
        function=function, context=context, pure=options["pure"],
        lane=options["lane"] or ("device" if takes_handle else "inline"), several=several,
        describe=describe, spaces=spaces, reference=reference, module=function.__module__, hands_on=options["hands_on"],
    )  # fmt: skip
    if spec.hands_on and (len(inputs), len(outputs)) != (1, 1):
        raise TypeError(f"{where}: a node that hands on its input has one input and one output")
    if spec.makes_handles and not options["lane"]:
        spec.lane = "inline"
    return spec


def _port(where: str, name: str, hint: Any, default: Any, port_help: dict, lazy: bool, variables: dict) -> Port:
    notes = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
    try:
        type_ = read(hint, variables)
    except TypeError as error:
        raise TypeError(f"{where}: parameter {name!r}: {error}") from None
    if default is not REQUIRED:
        if Bindings().fit(of_literal(default), type_):
            raise TypeError(f"{where}: the default {default!r} of {name!r} is no {type_}")
    help_ = next((n.text for n in notes if isinstance(n, Help)), port_help.get(name, ""))
    between = next((n for n in notes if isinstance(n, Between)), None)
    multiline, source = (any(isinstance(n, mark) for n in notes) for mark in (Multiline, ModelSource))
    return Port(name, type_, default, help_, between, multiline, lazy, source)


def _outputs(where: str, hint: Any, variables: dict, port_help: dict) -> tuple[bool, dict[str, Output]]:
    """Whether the node returns a NamedTuple, and its outputs. One output is named after its type."""
    cls = typing.get_origin(hint) or hint
    if not (isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")):
        type_ = read(hint, variables)
        return False, {_output_name(type_): Output(_output_name(type_), type_, port_help.get("returns", ""))}
    # get_type_hints of a parameterised NamedTuple raises, so its own parameters are substituted by hand.
    given = dict(zip(getattr(cls, "__parameters__", ()), typing.get_args(hint)))
    own = {parameter: read(given.get(parameter, parameter), variables) for parameter in getattr(cls, "__parameters__", ())}
    hints = typing.get_type_hints(cls, include_extras=True)
    _, helps, _ = _docstring(cls.__doc__ or "")
    return True, {name: Output(name, read(hints[name], dict(own)), helps.get(name, "")) for name in cls._fields}


def _output_name(type_: Type) -> str:
    if isinstance(type_, Socket):
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type_.cls.__name__).lower()
    if isinstance(type_, ListOf) and isinstance(type_.item, Socket):
        return _output_name(type_.item) + "s"
    if isinstance(type_, (Union, Choice, Var, ListOf)):
        return "value"
    return "value"


def _title(name: str) -> str:
    return name.replace("_", " ").strip().capitalize()


def _docstring(text: str) -> tuple[str, dict[str, str], str]:
    """Help (the text before "Reference:"), port help from `name: …` phrases, and the reference."""
    text = inspect.cleandoc(text)
    body, _, reference = text.partition("Reference:")
    ports = {}
    # A port's help is the first sentence after `name:`; a semicolon before the next `name:` ends it too.
    phrase = r"(?:^|(?<=[.;]\s))([a-z_][a-z0-9_]*): (.+?)(?=;\s+[a-z_][a-z0-9_]*: |\.(?:\s|\Z)|\n\s*\n|\n[a-z_]\w*: |\Z)"
    for match in re.finditer(phrase, body, re.S | re.M):
        ports[match[1]] = " ".join(match[2].split())
    return body.strip(), ports, " ".join(reference.split()).rstrip(".")
