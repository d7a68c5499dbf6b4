"""Graph: a saved graph as a Python callable, and the way to build one in code."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import Node, NodeSpec, packs
from ..catalog.reload import in_development, reload
from ..catalog.spec import BUILDING
from ..collector import without_gc
from ..graph.check import UNSET, Checked, Untrusted, check, input_value
from ..graph.coerce import Folder
from ..graph.document import Document, InputDoc, NodeDoc, OutputDoc, is_name, save, words
from ..graph.lower import Lowered, lower
from ..graph.pieces import PREFIX, Piece
from ..graph.problems import GraphError, Problem, listed
from ..graph.signature import Parameter, check_inputs, missing, parameters
from ..graph.surface import piece_types, surface
from ..graph.wiring import Wiring, wire
from ..sockets.types import Var
from .build import Wired, Wires, written
from .targets import targets

if TYPE_CHECKING:
    from ..engine.events import Event
    from ..engine.program import Program
    from ..engine.run import Run
    from ..engine.runtime import Runtime
    from .find import Pieces
    from .result import Result
    from .sweep import Combine, Sweep


KEPT_PROGRAMS = 8  # a graph that is run with ever other models must not keep them all


class Graph:
    """A graph of typed nodes: call it with its inputs by name.

    document: the saved form. path: the file it came from; relative paths inside the graph resolve against its folder,
    and may not leave it, except into `roots`. A graph built in code is its author's own: its paths are trusted.
    trusting: whether paths given as inputs may lead anywhere; a server's may not.
    """

    def __init__(
        self, document: Document | None = None, *, title: str = "", path: Path | None = None, original: bytes | None = None,
        roots: tuple[Path, ...] = (), trusting: bool = True,
    ):  # fmt: skip
        self.document = document if document is not None else Document(flowmm=1, **({"title": title} if title else {}))
        self.path = path
        self.roots, self.trusting = roots, trusting
        self.pixels = 0  # of the pictures that its literals name, in memory as long as it is
        self._lock = threading.RLock()  # of what is made when first asked for: a server's threads share graphs, and wires are known by what they are
        self._own = document is None
        self._original = original
        self._finder: Pieces | None = None
        self._lowered: Lowered | None = None
        self._outside: Graph | None = None
        self._wiring: Wiring | None = None
        self._parameters: dict[str, Parameter] | None = None
        self._input_problems: list[Problem] = []
        self._programs: dict[tuple, Program] = {}
        self._generation = packs.generation()
        self._building: Any = None

    # ── what it is ──────────────────────────────────────────────────────────────────────────────

    @property
    def name(self) -> str:
        return self.path.stem if self.path else words(self.document.title) or "graph"

    @property
    def title(self) -> str:
        return words(self.document.title) or self.name

    @property
    def about(self) -> str:
        return words(self.document.about)

    @property
    def lowered(self) -> Lowered:
        """The graph as plain nodes: graphs used as nodes opened up, what is muted or bypassed left out."""
        with self._lock:
            self._renew()
            if self._lowered is None:
                self._lowered = lower(self.document, self._pieces, self.folder, self.identity)
            return self._lowered

    @property
    def _pieces(self) -> Pieces:
        """What finds the saved graphs that it uses."""
        if self._finder is None:
            from .find import Pieces

            self._finder = Pieces()
        return self._finder

    def outdated(self) -> bool:
        """Whether a saved graph that it uses is another than when it was opened: load it again then."""
        return self._finder is not None and self._finder.changed()

    @property
    def outside(self) -> Graph:
        """The graph as one draws and wires it: nodes as they are named in the file, graphs used as nodes closed. To be looked at, not run."""
        with self._lock:
            if self.lowered.document is self.document:
                return self
            if self._outside is None:
                made = Graph(self.document, path=self.path, roots=self.roots, trusting=self.trusting)
                made._own, made._lowered = self._own, surface(Piece(self.document, self.folder, self.identity, {}), self._pieces)
                self._outside = made
            return self._outside

    @property
    def piece_types(self) -> dict[str, NodeSpec]:
        """By op, the node types of the graphs that it uses as nodes."""
        if self.lowered.document is self.document:
            return {}
        return piece_types(Piece(self.document, self.folder, self.identity, {}), self._pieces)

    @property
    def identity(self) -> str:
        """What tells it from other saved graphs."""
        return str(self.path.resolve()) if self.path else f"graph {id(self)}"

    @property
    def wiring(self) -> Wiring:
        with self._lock:
            self._renew()
            if self._wiring is None:
                self._wiring = wire(self.lowered)
            return self._wiring

    @property
    def inputs(self) -> dict[str, Parameter]:
        """The named inputs with their types, ranges, help and defaults."""
        with self._lock:
            self._renew()
            if self._parameters is None:
                self._input_problems = []
                self._parameters = parameters(self.wiring, self._input_problems)
            return self._parameters

    @property
    def outputs(self) -> list[str]:
        return list(self.document.outputs)

    @property
    def folder(self) -> Folder | None:
        """Where paths inside the graph lead; None: anywhere."""
        if self.path is not None:
            return Folder(self.path.resolve().parent, self.roots)
        return None if self._own else Folder(Path.cwd())

    def check(self, /, **inputs: Any) -> Checked:
        """Type every wire, with these inputs where given; reads config files, never weights."""
        self._look()
        given = self._given(inputs)
        folder = self.folder
        checked = self._checked(given, folder)
        problems, _ = check_inputs(self.wiring, given, folder, self.inputs)
        checked.pixels = folder.pixels if folder else 0
        checked.problems += self._input_problems + problems
        if self.document.requires:
            from .requires import problems as unmet

            checked.problems += unmet(self, given)
        return checked

    # ── running ─────────────────────────────────────────────────────────────────────────────────

    def __call__(self, /, **inputs: Any) -> Result | Wired | Wires:
        """Run with inputs by name. Raises GraphError before anything runs, NodeFailed if a node fails; its `result` has the outputs that
        did not need that node.

        Inside `with Graph() as g:` it becomes a node of g instead.
        """
        building = BUILDING.get()
        if building is not None:
            return building.use(self, **inputs)
        from .progress import in_notebook, watching

        if in_notebook():
            with watching(self.title) as listener:
                return self.run(inputs, listener=listener)
        return self.run(inputs)

    def run(
        self, inputs: Mapping[str, Any] | None = None, *, only: list[str] | None = None, device: str | None = None,
        runtime: Runtime | None = None, listener: Callable[[Event], None] | None = None, priority: int = 0,
    ) -> Result:  # fmt: skip
        """As calling it, with a choice of outputs, device or runtime, and a listener for events."""
        run, finish = self.prepare(inputs or {}, only=only, device=device, runtime=runtime, listener=listener, priority=priority)
        return outcome(run, finish)

    def sweep(
        self, /, *, combine: Combine = "product", only: list[str] | None = None, device: str | None = None, runtime: Runtime | None = None,
        **inputs: Any,
    ) -> Sweep:  # fmt: skip
        """Run once for each combination of values: `paint.sweep(prompt=["a star", "a ring"], seed=range(4), guidance=2)`.

        What is a list, range or other iterable is an axis, as is a Path to a file of lines or to a folder of pictures; the rest holds for
        all. combine: "product" or "zip". See face.sweep.sweep.
        """
        from .progress import in_notebook, watching
        from .sweep import apart, sweep

        axes, fixed = apart(self, inputs)
        how = {"combine": combine, "only": only, "device": device, "runtime": runtime}
        if in_notebook():
            with watching(self.title) as listener:
                return sweep(self, axes, fixed, listener=listener, **how)
        return sweep(self, axes, fixed, **how)

    def stream(self, /, **inputs: Any) -> Iterator[Event]:
        """Run in the background and yield its events; the last is done (with `result`), failed or cancelled.

        Leaving the loop early cancels the run.
        """
        events: queue.SimpleQueue = queue.SimpleQueue()
        run, thread = self._spawn(inputs, events.put)
        try:
            while True:
                event = events.get()
                yield event
                if event.kind in ("done", "failed", "cancelled"):
                    return
        finally:
            run.cancel()
            thread.join()

    async def run_async(self, /, **inputs: Any) -> Result:
        """Run without blocking the event loop; cancelling the task cancels the run at its next step."""
        run, finish = self.prepare(inputs)
        work = asyncio.get_running_loop().run_in_executor(None, outcome, run, finish)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            run.cancel()
            work.add_done_callback(lambda done: done.exception())  # its Cancelled was asked for
            raise

    def peek(self, edge: str, /, **inputs: Any) -> Any:
        """The value on any edge, named "node.output"; runs only what it needs."""
        run, _ = self.prepare(inputs, only=[edge])
        return run.execute()[edge]

    def prepare(
        self, inputs: Mapping[str, Any], *, only: list[str] | None = None, device: str | None = None, runtime: Runtime | None = None,
        listener: Callable[[Event], None] | None = None, priority: int = 0,
    ) -> tuple[Run, Callable[[dict[str, Any]], Result]]:  # fmt: skip
        """A run that is checked and ready to execute, and what makes a Result of its values. Raises GraphError.

        only: the outputs wanted, by name; or nodes, or edges, as "node.output".
        """
        from ..engine.run import Run
        from ..engine.runtime import default_runtime
        from .result import Result

        self._look()
        runtime = runtime or default_runtime(device or "auto")
        with without_gc(), self._lock:
            chosen = targets(self, only)
            needed = self.wiring.ancestors([link.producer for link in chosen.values()])
            program, given = self._program(runtime.numeric, inputs, needed)
        run = Run(runtime, program, given, chosen, listener, priority)
        return run, lambda values: Result(self, dict(inputs), values, run)

    def explainable(self, node: str, inputs: Mapping[str, Any], runtime: Runtime) -> tuple[Program, dict, int]:
        """What engine.why needs to explain a node. Raises GraphError."""
        index = self.wiring.index.get(node)
        if index is None:
            raise GraphError([Problem("no-such-node", f"there is no node `{node}` in this graph", fix=f"There are {listed(self.wiring.names)}.")])
        with self._lock:
            return (*self._program(runtime.numeric, inputs, self.wiring.ancestors([index])), index)

    def _spawn(self, inputs: Mapping[str, Any], listener: Callable[[Event], None]) -> tuple[Run, threading.Thread]:
        from ..catalog import Cancelled
        from ..engine.events import Event
        from ..graph.problems import sentence

        run, finish = self.prepare(inputs, listener=listener)

        def work() -> None:
            try:
                result = outcome(run, finish)
            except Cancelled:
                listener(Event("cancelled"))
            except Exception as error:
                listener(Event("failed", error=error, text=sentence(error), node=getattr(error, "node", "")))
            else:
                listener(Event("done", result=result, seconds=run.seconds))

        thread = threading.Thread(target=work, name=f"flowmm-run-{self.name}", daemon=True)
        thread.start()
        return run, thread

    def _program(self, numeric: str, inputs: Mapping[str, Any], needed: set[int]) -> tuple[Program, dict]:
        """The checked program for these inputs; checked again only when an input that decides spaces changes."""
        from ..engine.program import Program

        inputs = self._given(inputs)
        problems, given = check_inputs(self.wiring, inputs, self.folder, self.inputs)
        sources = tuple(repr(input_value(self.wiring, name, inputs)[0]) for name in self._deciding())
        program = self._programs.get((numeric, sources))
        checked = program.checked if program else self._checked(inputs, self.folder)
        found = [*self._input_problems, *problems, *checked.errors(needed), *missing(self.inputs, self.wiring, needed, inputs)]
        if found:
            raise GraphError(found)
        if program is None:
            while len(self._programs) >= KEPT_PROGRAMS:
                self._programs.pop(next(iter(self._programs)))
            program = self._programs[numeric, sources] = Program(checked, numeric)
        return program, given

    def _checked(self, given: Mapping[str, Any], folder: Folder | None) -> Checked:
        checked = check(self.wiring, folder, given)
        self.pixels = max(self.pixels, checked.pixels)
        return checked

    def _given(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return inputs if self.trusting else Untrusted(inputs)

    def _deciding(self) -> list[str]:
        """The inputs whose values decide types: those of loaders' rules for spaces, and those for type variables."""
        specs = self.wiring.specs
        return [p.name for p in self.inputs.values() if any(specs[i].spaces or isinstance(port.type, Var) for i, port, _ in p.feeds)]

    # ── saving and building ─────────────────────────────────────────────────────────────────────

    def save(self, path: str | os.PathLike) -> Path:
        """Write the graph as JSON. An untouched graph writes the bytes it was read from."""
        save(self.document, path, self._original)
        return Path(path)

    def bundle(self) -> Graph:
        """The graph as one document with every graph that it uses in it; `requires` says what else it needs. Raises GraphError."""
        from .bundle import bundle

        return bundle(self)

    def with_defaults(self, /, **defaults: Any) -> Graph:
        """A copy whose inputs have other defaults (plain JSON values)."""
        inputs = dict(self.document.inputs)
        for name, value in defaults.items():
            inputs[name] = InputDoc.model_validate(inputs[name].model_dump(exclude_unset=True) | {"default": value})
        return Graph(self.document.model_copy(update={"inputs": inputs}), path=self.path, roots=self.roots, trusting=self.trusting)

    def __enter__(self) -> Graph:
        self._building = BUILDING.set(self)
        return self

    def __exit__(self, *_: Any) -> None:
        BUILDING.reset(self._building)

    def input(self, name: str, default: Any = UNSET, *, title: str = "", help: str = "") -> Wired:
        """Declare a graph input and return its wire."""
        if not is_name(name) or name in self.document.inputs:
            raise ValueError(f"{name!r} is no free name for an input")
        fields = {"default": default, "title": title, "help": help}
        made = InputDoc(**{key: value for key, value in fields.items() if value is not UNSET and value != ""})
        self._edit(inputs={**self.document.inputs, name: made})
        return Wired("input", name)

    def add(self, node: Node, *args: Any, _name: str = "", **kwargs: Any) -> Wired | Wires:
        """Add a node and return the wires of its outputs. _name: a name for it; else its function's, numbered."""
        spec = node.spec
        given = dict(zip(spec.inputs, args)) | kwargs
        unknown = [port for port in given if port not in spec.inputs]
        if unknown or len(args) > len(spec.inputs):
            raise TypeError(f"`{spec.op}` has no input {unknown[0] if unknown else len(args)!r}; its inputs are {', '.join(spec.inputs)}")
        name = self._free_name(_name or spec.op.rpartition(".")[2], fixed=bool(_name))
        made = NodeDoc(op=spec.op, version=spec.version, **{"in": {port: written(value) for port, value in given.items()}})
        self._edit(nodes={**self.document.nodes, name: made})
        return _wires(name, spec)

    def use(self, graph: Graph, _name: str = "", /, **inputs: Any) -> Wired | Wires:
        """Add a graph as a node and return the wires of its outputs. A saved graph is named, any other becomes a definition in this one."""
        from .find import names

        unknown = [name for name in inputs if name not in graph.document.inputs]
        if unknown:
            raise TypeError(f"`{graph.name}` has no input {unknown[0]!r}; its inputs are {', '.join(graph.document.inputs)}")
        called = graph.path.stem if graph.path else re.sub(r"\W+", "-", graph.name).strip("-").lower() or "graph"
        if graph.path is None or names().get(called) != graph.path:
            taken = self.document.graphs
            called = next(one for n in range(1, len(taken) + 2) if taken.get(one := f"{called}-{n}" if n > 1 else called, graph.document) == graph.document)
            self._edit(graphs={**taken, called: graph.document})
        name = self._free_name(_name or re.sub(r"\W", "_", called), fixed=bool(_name))
        made = NodeDoc(op=f"{PREFIX}{called}", **{"in": {port: written(value) for port, value in inputs.items()}})
        self._edit(nodes={**self.document.nodes, name: made})
        wires = {output: Wired(name, output) for output in graph.document.outputs}
        return next(iter(wires.values())) if len(wires) == 1 else Wires(wires)

    def output(self, /, **outputs: Wired) -> None:
        """Name outputs of the graph: g.output(image=pixels)."""
        made = {name: OutputDoc(**{"from": f"{wired.node}.{wired.output}"}) for name, wired in outputs.items()}
        self._edit(outputs={**self.document.outputs, **made})

    def _free_name(self, wanted: str, fixed: bool) -> str:
        if not is_name(wanted) or wanted == "input" or (fixed and wanted in self.document.nodes):
            raise ValueError(f"{wanted!r} is no free name for a node")
        name, count = wanted, 1
        while name in self.document.nodes:
            count += 1
            name = f"{wanted}_{count}"
        return name

    def _edit(self, **changes: Any) -> None:
        self.document = self.document.model_copy(update=changes)
        self._forget()

    def _forget(self) -> None:
        self._lowered, self._outside, self._wiring, self._parameters, self._programs = None, None, None, None, {}
        self._generation = packs.generation()

    def _look(self) -> None:
        """In development, see whether nodes were saved."""
        if in_development():
            reload()
        self._renew()

    def _renew(self) -> None:
        """Forget what was made with node types that were loaded again since."""
        if self._generation != packs.generation():
            self._forget()

    def __repr__(self) -> str:
        inputs = ", ".join(f"{p.name}: {p.type}" for p in self.inputs.values())
        return f"<graph {self.name}({inputs}) → {', '.join(self.outputs)}>"

    def _repr_html_(self) -> str:
        from .draw import page

        return page(self)


def outcome(run: Run, finish: Callable[[dict[str, Any]], Result]) -> Result:
    """Execute a run. Raises NodeFailed, whose `result` is what was made all the same, or Cancelled."""
    from ..engine.workers.base import NodeFailed

    try:
        return finish(run.execute())
    except NodeFailed as error:
        error.result = finish(error.kept)
        raise


def _wires(name: str, spec: NodeSpec) -> Wired | Wires:
    wires = {output: Wired(name, output) for output in spec.outputs}
    return Wires(wires) if spec.several else next(iter(wires.values()))
