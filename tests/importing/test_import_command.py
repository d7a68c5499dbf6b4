"""`flowmm import`, and a workflow given where a graph is wanted."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import flowmm
from flowmm.graph.document import load
from flowmm.graph.problems import Unreadable


@pytest.fixture
def command(tmp_path, workflow):
    """Runs the command line in a folder that holds workflow.json."""
    (tmp_path / "workflow.json").write_text(json.dumps(workflow("custom_nodes")))

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, "-m", "flowmm.cli", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300)

    return run


def test_a_table_says_what_became_of_every_node(command, tmp_path):
    done = command("import", "workflow.json")
    assert done.returncode == 0, done.stderr
    assert "placeholder" in done.stdout and "FreeU_V2 30" in done.stdout and "9 nodes mapped, 3 kept as placeholders" in done.stdout
    assert "`painter-v1.safetensors` is not here" in done.stderr and "flowmm run workflow.flowmm.json --model MODEL" in done.stdout
    assert flowmm.load(tmp_path / "workflow.flowmm.json").outputs == ["image"]


def test_models_of_a_folder_are_given_in_the_command_to_type(command, tmp_path):
    model = tmp_path / "my models" / "painter-v1.safetensors"
    model.parent.mkdir()
    model.write_bytes(b"")
    done = command("import", "workflow.json", "-o", "out.json", "--models", "my models", "--json")
    found = json.loads(done.stdout)
    assert found["missing"] == {} and found["found"] == {"model": "my models/painter-v1.safetensors"} and found["graph"] == "out.json"
    assert {line["state"] for line in found["report"]} == {"mapped", "placeholder", "note"}


def test_a_model_in_the_folder_of_models_is_reached_by_the_graph(command, tmp_path, monkeypatch):
    """What was pulled or converted is the person's own, as much as what lies beside the graph."""
    from flowmm.home import home

    (home() / "models").mkdir(parents=True)
    (home() / "models" / "painter-v1.safetensors").write_bytes(b"")
    graph = flowmm.load(tmp_path / "workflow.json")
    assert "outside" not in " ".join(map(str, graph.check().problems))


@pytest.mark.parametrize(("text", "status"), [("{", 2), ("[]", 2), ('{"flowmm": 1}', 2), ('{"1": {"class_type": "Unknown", "inputs": {}}}', 0)])
def test_its_exit_status(command, tmp_path, text, status):
    (tmp_path / "one.json").write_text(text)
    done = command("import", "one.json")
    assert done.returncode == status and "Traceback" not in done.stderr and (done.stderr or status == 0)
    assert (tmp_path / "one.flowmm.json").exists() == (status == 0)


def test_a_file_that_is_not_there(command):
    done = command("import", "nowhere.json")
    assert done.returncode == 2 and "cannot read `nowhere.json`" in done.stderr


def test_a_workflow_is_loaded_like_a_graph(tmp_path, workflow):
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(workflow("text_to_image")))
    graph = flowmm.load(path)
    assert graph.title == "flow" and graph.run({"model": "zoo:sd", "steps": 2}).image.pixels.shape == (1, 3, 32, 32)
    with pytest.raises(Unreadable, match="looks like a ComfyUI workflow.*flowmm import"):
        load(path)


def test_it_runs_without_torch(tmp_path, workflow):
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(workflow("subgraph")))
    code = f"import sys, pathlib, flowmm.importing as room\nroom.opened_file(pathlib.Path({str(path)!r}))\nassert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300).stderr == ""
