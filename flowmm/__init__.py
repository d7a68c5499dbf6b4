"""flowmm: a node-graph workflow engine for image-text models.

    match = flowmm.load("clip-match")
    match(image="cat.png", texts=["a cat", "a dog"]).scores
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Context", "Graph", "GraphError", "NodeFailed", "Runtime", "ServerError", "connect", "load", "node", "reload"]

if TYPE_CHECKING:
    from .catalog import Context, node
    from .catalog.reload import reload
    from .engine.runtime import Runtime
    from .engine.workers.base import NodeFailed
    from .face.find import load
    from .face.graph import Graph
    from .face.line import ServerError
    from .face.remote import connect
    from .graph.problems import GraphError

_HOMES = {
    "Context": "catalog", "node": "catalog", "Runtime": "engine.runtime", "NodeFailed": "engine.workers.base",
    "load": "face.find", "reload": "catalog.reload", "Graph": "face.graph", "GraphError": "graph.problems",
    "connect": "face.remote", "ServerError": "face.line",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """The public names, imported when first used, so that `import flowmm` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'flowmm' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
