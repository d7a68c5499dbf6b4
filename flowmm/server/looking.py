"""The value on a wire, where it is here already: given, or in the cache. Nothing is run for it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from typing import Any

from ..engine.forecast import forecast
from ..engine.runtime import Runtime
from ..face.graph import Graph
from ..graph.signature import check_inputs
from ..sockets import Image
from ..store.codec import Encoded, Unstorable, encode
from .refusals import Refused
from .shown import shown
from .summary import PICTURED

MOST_PICTURES, LONGEST_SIDE = 9, 512  # pixels


def look(graph: Graph, inputs: Mapping[str, Any], edge: str, item: int, runtime: Runtime) -> dict[str, Any]:
    """edge: "node.output", or "input.name" for what a graph's input is given. here: whether there is a value; else runs: how many
    nodes would run for it, None where that cannot be told. Raises GraphError, Refused."""
    node, _, port = edge.partition(".")
    if node == "input":
        found = _given(graph, inputs, port)
    else:
        run, _ = graph.prepare(inputs, only=[edge], runtime=runtime)
        plan = forecast(runtime, run.program, run.given, run.targets)
        if plan.runs or plan.undecided or plan.failed:
            return {"here": False, "runs": None if plan.undecided or plan.failed else len(plan.runs)}
        found = run.execute(decode=False)[edge]
    try:
        encoded = found if isinstance(found, Encoded) else encode(found)
        value = shown(encoded, item)
    except Unstorable as error:
        raise Refused(406, "not-shown", f"what flows there cannot be shown: {error}", "Wire it to a node that makes something of it.") from None
    except IndexError:
        raise Refused(404, "no-such-item", f"there is no slice {item} of it", "Count from 0.") from None
    pictures = list(_pictures(encoded)) if value["type"] in PICTURED else []
    return {"here": True, "value": value, "pictures": pictures}


def _given(graph: Graph, inputs: Mapping[str, Any], name: str) -> Any:
    _, values = check_inputs(graph.wiring, inputs, graph.folder, graph.inputs)
    found = next((value for wire, value in values.items() if wire.name == name), None)
    if found is None:
        raise Refused(404, "no-value", f"the input `{name[:60]}` has no value", "Give it one.")
    return found


def _pictures(encoded: Encoded) -> Iterator[str]:
    """As addresses that hold the picture itself: a value on a wire is no run's result, so it has no address."""
    value = encoded.decode()
    every = [(one, i) for one in (value if isinstance(value, list) else [value]) if isinstance(one, Image) for i in range(len(one))]
    for one, i in every[:MOST_PICTURES]:
        picture = one.to_pil(i)
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        yield f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
