"""Graphs as data: the document, its wiring, its types."""

from .document import Document
from .problems import GraphError, Problem, Unreadable

__all__ = ["Document", "GraphError", "Problem", "Unreadable"]
