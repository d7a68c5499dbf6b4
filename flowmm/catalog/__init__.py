"""Node types: declaring them, finding them, and listing them as JSON."""

from .context import Cancelled, Context
from .packs import UnknownOp, find, known
from .spec import Branch, Node, NodeSpec, Output, Port, node

__all__ = ["Branch", "Cancelled", "Context", "Node", "NodeSpec", "Output", "Port", "UnknownOp", "find", "known", "node"]
