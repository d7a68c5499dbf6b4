"""Graphs are made of components: no node hides a whole pipeline or a model's own generate."""

import ast
from pathlib import Path

import pytest

import flowmm.nodes

ROOT = Path(flowmm.nodes.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def faults(tree):
    """Calls of `generate` and uses of pipeline classes, with their lines."""
    pipelines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("diffusers", "transformers"):
            pipelines |= {alias.asname or alias.name for alias in node.names if alias.name.lower().endswith("pipeline")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ("generate", "_generate"):
            yield node.lineno, ".generate"
        if isinstance(node, ast.Attribute) and node.attr.endswith("Pipeline"):
            yield node.lineno, node.attr
        if isinstance(node, ast.Name) and (node.id in pipelines or node.id == "pipeline"):
            yield node.lineno, node.id


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_node_calls_a_pipeline_or_generate(path):
    assert not list(faults(ast.parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize(
    "code",
    [
        "model.generate(ids)", "from diffusers import DiTPipeline\nDiTPipeline.from_pretrained(x)(y)", "import diffusers\ndiffusers.StableDiffusionPipeline",
        "from transformers import pipeline as p\np('x')",
    ],
)  # fmt: skip
def test_the_search_finds_them(code):
    assert list(faults(ast.parse(code)))


def test_there_are_nodes_to_search():
    assert len(FILES) > 15
