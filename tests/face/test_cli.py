"""The command line: options made from the graph, readable messages, exit statuses, nothing written on bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

GRAPH = {
    "flowmm": 1, "title": "Sentences", "about": "Fill items into a pattern.",
    "inputs": {"pattern": {"default": "a {}"}, "items": {"default": ["cat"]}, "out": {"default": ", "}},
    "nodes": {
        "filled": {"op": "text.template", "version": 1, "in": {"template": {"from": "input.pattern"}, "text": {"from": "input.items"}}},
        "joined": {"op": "text.join", "version": 1, "in": {"first": {"from": "filled.text"}, "second": {"from": "filled.text"}, "separator": {"from": "input.out"}}},
    },
    "outputs": {"text": {"from": "joined.text"}},
}  # fmt: skip


@pytest.fixture
def flowmm(tmp_path):
    """Run the command in a folder of its own; gives the finished process."""

    def run(*arguments, **environment):
        env = os.environ | {"FLOWMM_HOME": str(tmp_path / "home"), "COLUMNS": "200"} | environment
        return subprocess.run([sys.executable, "-m", "flowmm.cli", *map(str, arguments)], cwd=tmp_path, env=env, capture_output=True, text=True)

    return run


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "sentences.json"
    path.write_text(json.dumps(GRAPH))
    return path


def test_each_input_is_an_option_and_help_lists_them(flowmm, graph):
    shown = flowmm("run", graph, "--help").stdout
    assert "--pattern" in shown and "--items" in shown and "Fill items into a pattern" in shown


def test_options_reach_the_graph_and_outputs_are_saved(flowmm, graph, tmp_path):
    done = flowmm("run", graph, "--pattern", "the {}", "--items", "dog", "--items", "cow", "-o", "here", "-q")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / "text.txt").read_text() == "the dog, the dog\nthe cow, the cow\n"


def test_a_list_of_numbers_is_given_by_its_option_once_a_number(flowmm, tmp_path):
    path = tmp_path / "numbers.json"
    path.write_text(json.dumps({"flowmm": 1, "inputs": {"numbers": {"default": [1]}}, "outputs": {"text": {"from": "n.text"}},
                                "nodes": {"n": {"op": "text.numbers", "in": {"numbers": {"from": "input.numbers"}}}}}))  # fmt: skip
    for given, lines in ((["1.5", "2"], "1.5\n2\n"), (["7"], "7\n")):
        done = flowmm("run", path, *(word for number in given for word in ("--numbers", number)), "-o", "here", "-q")
        assert done.returncode == 0 and (tmp_path / "here" / "text.txt").read_text() == lines, done.stderr
    done = flowmm("run", path, "--numbers", "many", "-q")
    assert done.returncode == 2 and "valid number" in done.stderr and "Traceback" not in done.stderr


def test_an_input_named_like_an_option_is_set_with_set(flowmm, graph, tmp_path):
    done = flowmm("run", graph, "--set", "out=+", "-o", "here", "-q")
    assert done.returncode == 0 and (tmp_path / "here" / "text.txt").read_text() == "a cat+a cat\n"


def test_a_node_that_fails_leaves_what_did_not_need_it(flowmm, tmp_path):
    nodes = {
        "line": {"op": "text.pick", "version": 1, "in": {"text": "one", "index": 9}},
        "other": {"op": "text.template", "version": 1, "in": {"template": "a {}", "text": "star"}},
        "late": {"op": "text.pick", "version": 1, "in": {"text": {"from": "other.text"}, "index": 5}},
    }
    outputs = {"bad": {"from": "line.text"}, "good": {"from": "other.text"}, "worse": {"from": "late.text"}}
    (tmp_path / "half.json").write_text(json.dumps({"flowmm": 1, "nodes": nodes, "outputs": outputs}))
    done = flowmm("run", "half.json", "-o", "here", "-q")
    assert done.returncode == 1 and [path.name for path in (tmp_path / "here").iterdir()] == ["good.txt"]
    assert "good.txt" in done.stdout and "a star" in done.stdout
    assert sorted(line.split()[1] for line in done.stderr.splitlines() if line.startswith("error:")) == ["late", "line"]


def test_a_second_run_in_a_new_process_answers_from_disk_without_torch(flowmm, graph, tmp_path):
    flowmm("run", graph, "-q")
    probe = "import sys, flowmm.cli; sys.argv = ['flowmm', 'run', sys.argv[1], '-q']\ntry: flowmm.cli.main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules"
    env = os.environ | {"FLOWMM_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, "-c", probe, str(graph)], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and "from the cache" in done.stderr, done.stderr


def test_no_cache_leaves_nothing_on_disk(flowmm, graph, tmp_path):
    assert "2 nodes ran" in flowmm("run", graph, "-q", "--no-cache").stderr
    assert not (tmp_path / "home").exists()


def test_a_pipe_gets_plain_lines(flowmm, graph):
    done = flowmm("run", graph)
    assert "\x1b" not in done.stdout + done.stderr


def test_check_prints_every_edge_and_memory(flowmm, graph):
    done = flowmm("check", graph)
    assert done.returncode == 0 and "filled.text" in done.stdout and "predicted peak memory" in done.stdout
    found = json.loads(flowmm("check", graph, "--json").stdout)
    assert found["problems"] == [] and {"from": "filled.text", "to": "joined.first", "type": "Text", "shape": [1], "dtype": None, "bytes": None} in found["edges"]


def changed(**nodes):
    return json.dumps(GRAPH | {"nodes": GRAPH["nodes"] | nodes})


BAD = {
    "not-json": ("{", 2, "is not JSON"),
    "a-list": ("[]", 2, "not a graph"),
    "empty": ("", 2, "is not JSON"),
    "comfyui": ('{"1": {"class_type": "KSampler"}}', 1, "no outputs"),
    "duplicate-key": ('{"flowmm": 1, "nodes": {}, "nodes": {}}', 2, "twice"),
    "nan": ('{"flowmm": 1, "layout": {"x": NaN}}', 2, "NaN"),
    "brackets": ("[" * 100_000, 2, "nested deeper"),
    "long-string": (json.dumps({"flowmm": 1, "title": "x" * 2_000_000}), 2, "2,000,000 characters"),
    "newer-format": ('{"flowmm": 99}', 2, "format 99"),
    "unknown-op": (changed(joined={"op": "text.joyn", "in": {}}), 1, "did you mean `text.join`"),
    "dangling": (changed(joined={"op": "text.join", "in": {"first": {"from": "gone.text"}, "second": "x"}}), 1, "no node `gone`"),
    "wrong-type": (changed(joined={"op": "text.join", "in": {"first": "x", "second": {"from": "folder.skipped"}}}, folder={"op": "image.folder", "in": {"path": "."}}), 1, "is an int"),
    "cycle": (changed(joined={"op": "text.join", "in": {"first": {"from": "joined.text"}, "second": "x"}}), 1, "wait for each other"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_graph_is_one_readable_message_and_nothing_is_written(flowmm, tmp_path, name):
    text, status, message = BAD[name]
    (tmp_path / "bad.json").write_text(text)
    done = flowmm("run", "bad.json", "-o", "here")
    assert done.returncode == status and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr) < 2000
    assert not (tmp_path / "here").exists() and not (tmp_path / "home" / "cache").exists()


@pytest.mark.parametrize("arguments, status, message", [
    (["run", "nowhere.json"], 2, "cannot read `nowhere.json`"),
    (["run", "clip-mach"], 2, "Did you mean `clip-match`"),
    (["check", "nowhere.json"], 2, "cannot read"),
    (["run", "sentences.json", "--patern", "x"], 2, "No such option"),
    (["run", "sentences.json", "--pattern", "no place"], 1, "has no {} to put a text into"),
    (["run", "sentences.json", "--set", "nothing"], 1, "has no ="),
    (["run", "sentences.json", "--set", "what=1"], 1, "no input `what`"),
    (["run", "sentences.json", "--only", "zzz"], 1, "no output `zzz`"),
    (["run", "sentences.json", "--device", "tpu"], 1, "no device `tpu`"),
    (["why", "sentences.json", "zzz"], 1, "no node `zzz`"),
    (["nodes", "text.joyn"], 1, "did you mean `text.join`"),
    (["cache", "prune", "--to", "much"], 2, "is no size"),
])  # fmt: skip
def test_bad_arguments_are_one_readable_message(flowmm, graph, arguments, status, message):
    done = flowmm(*arguments)
    assert done.returncode == status and message in " ".join(done.stderr.split()), done.stderr
    assert "Traceback" not in done.stderr


def test_why_explains_a_miss_a_hit_and_what_changed(flowmm, graph):
    assert "miss" in flowmm("why", graph, "joined").stdout
    flowmm("run", graph, "-q")
    assert "hit, on disk" in flowmm("why", graph, "joined").stdout
    changed = flowmm("why", graph, "joined", "--set", "out=;").stdout
    assert "differs in 1 thing" in changed and "', ' then, ';' now" in changed


def test_a_graph_is_drawn_as_svg(flowmm, graph, tmp_path):
    import xml.etree.ElementTree as ElementTree

    assert flowmm("draw", graph, "-o", "g.svg").returncode == 0
    texts = {element.text for element in ElementTree.parse(tmp_path / "g.svg").iter() if element.text}
    assert {"filled", "joined", "pattern", "outputs"} <= texts


def test_cache_commands(flowmm, graph):
    flowmm("run", graph, "-q")
    assert "text.join" in flowmm("cache", "ls").stdout
    assert json.loads(flowmm("cache", "stats", "--json").stdout)["entries"] == 1
    assert flowmm("cache", "verify").returncode == 0
    assert flowmm("cache", "prune").returncode == 0
    assert json.loads(flowmm("cache", "stats", "--json").stdout)["entries"] == 0


def test_listings(flowmm):
    assert {"clip-match", "clip-search", "clip-zero-shot", "text-to-image"} <= {g["name"] for g in json.loads(flowmm("graphs", "--json").stdout)}
    assert "diffusion.sample" in flowmm("nodes").stdout
    shown = flowmm("nodes", "diffusion.sample").stdout
    assert "steps" in shown and "Reference:" in shown
    catalogue = json.loads(flowmm("nodes", "--json").stdout)
    assert catalogue["nodes"]["text.join"]["inputs"]["separator"]["default"] == " "
    assert "builtin" in flowmm("packs").stdout


def test_the_published_schema_is_the_one_the_code_makes(flowmm):
    from pathlib import Path

    import flowmm as package

    published = Path(package.__file__).parent / "graph" / "flowmm-1.schema.json"
    assert json.loads(flowmm("schema").stdout) == json.loads(published.read_text())


@pytest.mark.parametrize("code", ["import flowmm", "import flowmm; flowmm.load", "from flowmm.catalog.catalogue import catalogue; catalogue()"])
def test_torch_is_not_imported_before_a_node_needs_it(code):
    heavy = "('torch', 'transformers', 'diffusers', 'gradio')"
    probe = f"{code}\nimport sys\nassert not [m for m in {heavy} if m in sys.modules]"
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_import_flowmm_imports_next_to_nothing():
    probe = "import sys; before = set(sys.modules); import flowmm; new = set(sys.modules) - before\nassert len(new) < 10 and 'pydantic' not in new and 'numpy' not in new, new"
    subprocess.run([sys.executable, "-c", probe], check=True)
