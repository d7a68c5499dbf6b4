"""Graphs of other programs: ComfyUI's workflows (API format, saved, in a PNG) and AUTOMATIC1111's parameters become flowmm graphs.

Reading (`read`, `parameters`) makes one neutral form of a file, `sheet`; writing (`write`, with a row or small function for each type of
node in `kinds` and `sampling`) makes a document of it and says what became of what. Nothing in a file is run, and no path in it is opened.
"""

from .opening import Imported, opened, opened_file

__all__ = ["Imported", "opened", "opened_file"]
