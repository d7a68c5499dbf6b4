"""What every built-in node promises: its documentation, its languages, and no torch before it runs."""

import inspect
import subprocess
import sys

import pytest

from flowmm.catalog import packs

SPECS = {spec.op: spec for spec in packs.all_specs() if spec.module.startswith("flowmm.nodes.")}


def test_all_rooms_import():
    assert packs.packs()["builtin"].errors == {}
    assert {op.partition(".")[0] for op in SPECS} >= {"clip", "diffusion", "image", "logic", "score", "text"}


@pytest.mark.parametrize("op", SPECS)
def test_every_node_is_documented_in_two_languages(op):
    spec = SPECS[op]
    assert spec.reference, "a docstring ends with Reference: …"
    assert set(spec.title) == {"en", "zh"} and all(spec.title.values())
    assert "eturns" in spec.help or spec.several or spec.makes_handles or not spec.inputs or len(spec.help) > 40


@pytest.mark.parametrize("op", SPECS)
def test_signatures_name_no_torch_type(op):
    assert "torch" not in str(inspect.signature(SPECS[op].function))


@pytest.mark.parametrize("op", [op for op in SPECS if SPECS[op].makes_handles])
def test_loaders_state_spaces_and_never_raise(op):
    spec = SPECS[op]
    for values in ({}, {"source": None}, {"source": ""}, {"source": "zoo:nothing"}, {"source": "/nowhere"}, {"source": 3}, {"source": "a\x00b"}):
        assert spec.spaces(values) == {}


def test_the_catalogue_is_built_without_torch():
    code = (
        "import sys; from flowmm.catalog import catalogue; "
        "from flowmm.catalog.catalogue import catalogue as all_nodes; all_nodes(); "
        "print([m for m in ('torch', 'transformers', 'diffusers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_what_loading_runs_is_part_of_every_models_nodes_code():
    from flowmm.catalog import code

    for op in ("clip.encode_text", "diffusion.encode_prompt", "diffusion.sample", "diffusion.decode"):
        assert {"torch", "transformers", "diffusers"} <= set(code.of_module(SPECS[op].module).libraries), op
    for op in ("text.join", "score.softmax", "image.load", "logic.switch"):
        assert "torch" not in code.of_module(SPECS[op].module).libraries, op
