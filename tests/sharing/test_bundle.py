"""A bundle is one file: it computes the same under the same keys where nothing else is, and says what else it needs."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from PIL import Image as Picture
from short import doc, wire

from flowmm import GraphError, load
from flowmm.catalog import packs
from flowmm.engine.program import Program

STEP = doc({"n": ("add", {"a": wire("input.x"), "b": wire("input.by")})}, {"out": "n.value"}, {"x": ..., "by": 1})


def keys(graph):
    """By output, the key of what makes it."""
    program = Program(graph.check(), "n")
    _, values = graph._program("n", {}, set(range(len(graph.wiring.names))))
    found, _ = program.identities(values)
    return {name: found[link.producer] for name, link in graph.wiring.outputs.items()}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Brings a file to a machine with nothing but flowmm."""

    def bring(*paths):
        monkeypatch.setenv("FLOWMM_HOME", str(tmp_path / "other home"))
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        return [shutil.copy(path, folder) for path in paths]

    return bring


@pytest.mark.parametrize("kind", ["json", "png"])
def test_a_bundle_computes_the_same_where_nothing_else_is(save, command, elsewhere, runtime, tmp_path, kind):
    save("step", STEP)
    save("twice", doc({"a": ("graph:step", {"x": wire("input.x")}), "b": ("graph:step", {"x": wire("a.out"), "by": 10})}, {"out": "b.out"}, {"x": 5}))
    top = save("top", doc({"t": ("graph:twice", {}), "e": ("graph:step", {"x": {"value": [1, 2]}}, {"each": ["x"]}), "s": ("graph:mine", {})},
                          {"out": "t.out", "all": "e.out", "mine": "s.out"}, graphs={"mine": doc({"u": ("graph:twice", {"x": 7})}, {"out": "u.out"})}))  # fmt: skip
    before, values = keys(load(top)), dict(load(top).run(runtime=runtime))
    status, out, err = command("bundle", top, "-o", tmp_path / f"made.{kind}")
    assert status == 0 and out.strip().endswith(f"made.{kind}") and "node of a script" in err
    file, = elsewhere(tmp_path / f"made.{kind}")
    made = load(file)
    assert keys(made) == before and dict(made.run(runtime=runtime)) == values == {"out": 16, "all": [2, 3], "mine": 18}
    assert set(made.document.graphs) == {"mine", "step", "twice"}


def test_two_files_of_one_name_get_two_names_and_nothing_changes_its_meaning(save, elsewhere, tmp_path, runtime):
    """Beside each of two graphs lies another `inner`; a definition of the top has the name of a saved graph that a piece means."""
    save("step", STEP)
    save("inner", doc({"n": ("add", {"a": 100})}, {"out": "n.value"}))
    save("outer", doc({"i": ("graph:inner", {}), "s": ("graph:step", {"x": 1})}, {"out": "i.out", "s": "s.out"}))
    here = tmp_path / "here"
    save("inner", doc({"n": ("add", {"a": 200})}, {"out": "n.value"}), here)
    hidden = doc({"n": ("add", {"a": 1000})}, {"out": "n.value"})
    top = save("top", doc({"i": ("graph:inner", {}), "o": ("graph:outer", {}), "d": ("graph:step", {})},
                          {"mine": "i.out", "theirs": "o.out", "step": "o.s", "defined": "d.out"}, graphs={"step": hidden}), here)  # fmt: skip
    before, values = keys(load(top)), dict(load(top).run(runtime=runtime))
    assert values == {"mine": 201, "theirs": 101, "step": 2, "defined": 1001}
    made = load(elsewhere(load(top).bundle().save(tmp_path / "made.json"))[0])
    assert keys(made) == before and dict(made.run(runtime=runtime)) == values
    assert set(made.document.graphs) == {"step", "step-2", "inner", "inner-2", "outer"}


def test_a_bundle_of_a_bundle_is_the_same(save, tmp_path):
    save("step", STEP)
    top = save("top", doc({"s": ("graph:step", {"x": 1})}, {"out": "s.out"}))
    first = load(top).bundle().save(tmp_path / "one.json")
    assert load(first).bundle().save(tmp_path / "two.json").read_bytes() == first.read_bytes()


def test_a_piece_that_is_not_here_a_ring_and_a_wrong_name_are_refused(save, command, tmp_path):
    top = save("top", doc({"a": ("graph:gone", {})}, {"out": "a.out"}))
    status, _, err = command("bundle", top)
    assert status == 1 and "`graph:gone` cannot be bundled: there is no graph of this name" in err
    save("one", doc({"a": ("graph:two", {})}, {"out": "a.out"}))
    two = save("two", doc({"a": ("graph:one", {})}, {"out": "a.out"}))
    status, _, err = command("bundle", two)
    assert status == 1 and "holds itself" in err
    status, _, err = command("bundle", save("fine", STEP), "-o", tmp_path / "made.txt")
    assert status == 2 and "neither .json nor .png" in err
    assert command("bundle", "no-such-graph")[0] == 2


# ── requires ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pictured(save, home):
    """A graph that reads a picture beside it, an embedded model, and a folder's model."""
    from flowmm.zoo import WEIGHTS

    Picture.new("RGB", (3, 5)).save(home / "graphs" / "p.png")
    shutil.copytree(WEIGHTS / "vit", home / "graphs" / "my-vit")
    return save("pictured", doc({"v": ("vit.load", {"source": wire("input.model")}), "p": ("vision.preprocess", {"processor": wire("v.processor"), "image": wire("input.image")}),
                                 "c": ("vit.classify", {"classifier": wire("v.classifier"), "pixels": wire("p.pixels")}), "w": ("vit.load", {"source": "zoo:vit"})},
                                {"score": "c.score"}, {"model": "my-vit", "image": "p.png"}))  # fmt: skip


def told(graph, **inputs):
    return {(one.code, one.level): one for one in graph.check(**inputs).problems}


def test_requires_names_models_and_files_with_their_sha256(pictured, home):
    requires = load(pictured).bundle().document.requires
    from flowmm import __version__

    assert requires["flowmm"] == __version__ and set(requires["models"]) == {"my-vit", "zoo:vit"}
    model = requires["models"]["my-vit"]
    assert model["class"] == "ViTForImageClassification" and len(model["sha256"]["model"]) == 64
    assert requires["files"] == {"p.png": hashlib.sha256((home / "graphs" / "p.png").read_bytes()).hexdigest()}
    assert model["sha256"]["model"] == requires["models"]["zoo:vit"]["sha256"]["model"]


def test_check_says_what_is_missing_and_where_it_belongs(pictured, tmp_path, elsewhere, command, home):
    made = load(pictured).bundle().save(tmp_path / "made.json")
    assert load(made.rename(home / "graphs" / "made.json")).check().problems == []
    file, = elsewhere(home / "graphs" / "made.json")
    status, _, err = command("check", file)
    requires = json.loads((tmp_path / "elsewhere" / "made.json").read_text())["requires"]
    assert status == 1
    assert f"the model `my-vit` (ViTForImageClassification) is not here. Put it at {tmp_path / 'elsewhere' / 'my-vit'}." in err
    assert requires["models"]["my-vit"]["sha256"]["model"][:12] in err and requires["files"]["p.png"] in err
    assert f"the file `p.png` is not here. Put it at {tmp_path / 'elsewhere' / 'p.png'}." in err
    status, out, _ = command("check", file, "--json")
    assert {"missing-model", "missing-file"} <= {one["code"] for one in json.loads(out)["problems"]}


def test_another_file_or_model_is_a_warning_that_names_both(pictured, home):
    made = load(pictured).bundle().save(home / "graphs" / "made.json")
    requires = load(made).document.requires
    Picture.new("RGB", (4, 4)).save(home / "graphs" / "p.png")
    config = home / "graphs" / "my-vit" / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"extra": 1}))
    found = told(load(made))
    assert set(found) == {("other-file", "warning"), ("other-model", "warning")}
    file, model = found["other-file", "warning"], found["other-model", "warning"]
    assert file.expected == requires["files"]["p.png"] and file.got == hashlib.sha256((home / "graphs" / "p.png").read_bytes()).hexdigest()
    assert model.expected == requires["models"]["my-vit"]["sha256"]["image_processor"] and model.got[:12] in model.message and model.expected[:12] in model.message
    assert told(load(made), model="zoo:vit", image=str(home / "graphs" / "p.png")) == {}


def test_a_model_of_the_hub_names_the_pull_that_gets_it(pictured, home):
    raw = json.loads(load(pictured).bundle().save(home / "graphs" / "made.json").read_text())
    raw["requires"]["models"]["hf:org/repo"] = raw["requires"]["models"]["my-vit"]
    raw["inputs"]["model"]["default"] = "hf:org/repo"
    (home / "graphs" / "made.json").write_text(json.dumps(raw))
    problem = told(load("made"))["missing-model", "error"]
    assert "`flowmm models pull org/repo` downloads it" in problem.fix and (problem.node, problem.port) == ("v", "source")


def test_packs_missing_or_of_another_version(save, command, monkeypatch):
    top = save("top", doc({"a": ("stars:sky.draw", {})}, {"out": "a.image"}, requires={"packs": {"stars": {"distribution": "flowmm-stars", "version": "1.2"}}}))
    status, _, err = command("check", top)
    assert status == 1 and "it needs the pack `stars`, which is not installed. `pip install flowmm-stars==1.2`" in err
    monkeypatch.setitem(packs.packs(), "stars", packs.Pack("stars", "sharing_no_such_package", "flowmm-stars", "1.3"))
    problem = told(load(top))["other-version", "warning"]
    assert problem.message == "the graph was made with flowmm-stars 1.2; 1.3 is installed"
    assert load(top).bundle().document.requires["packs"] == {"stars": {"distribution": "flowmm-stars", "version": "1.3"}}
    newer = save("newer", STEP | {"requires": {"flowmm": "99.1"}})
    assert told(load(newer))["other-version", "warning"].fix.startswith("Update flowmm")


def test_a_model_that_is_not_here_is_bundled_by_name_and_keeps_what_was_told_of_it(pictured, home, command, tmp_path):
    before = json.loads(load(pictured).bundle().save(home / "graphs" / "made.json").read_text())["requires"]["models"]["my-vit"]
    shutil.rmtree(home / "graphs" / "my-vit")
    status, _, err = command("bundle", pictured, "-o", home / "graphs" / "bare.json")
    assert status == 0 and "`my-vit` is not here, so the bundle cannot say which one it is" in err
    assert load("bare").document.requires["models"]["my-vit"] == {}
    assert told(load("bare"))["missing-model", "error"].fix == f"Put it at {home / 'graphs' / 'my-vit'}."
    assert load("made").bundle().document.requires["models"]["my-vit"] == before


def test_commands_that_a_graph_names_are_made_of_names_alone(save):
    requires = {"packs": {"stars": {"distribution": "x; rm -rf ~", "version": "1"}}, "models": {"hf:org/repo; rm -rf ~": {}}}
    top = save("top", doc({"a": ("stars:sky.draw", {}), "v": ("vit.load", {"source": "hf:org/repo; rm -rf ~"})}, {"out": "a.image"}, requires=requires))
    problems = load(top).check().problems
    assert {"missing-model", "unknown-op"} <= {one.code for one in problems}
    assert not any("pip install" in one.fix or "pull org/repo;" in one.fix for one in problems)


@pytest.mark.parametrize(
    "requires", [{"flowmm": []}, {"packs": 3, "models": [], "files": "x"}, {"models": {"zoo:vit": 3, "my-vit": {"sha256": {"model": 5}}}}, {"files": {"p.png": None}}],
)
def test_requires_that_make_no_sense_are_passed_over(pictured, requires, home):
    raw = json.loads(pictured.read_text()) | {"requires": requires}
    pictured.write_text(json.dumps(raw))
    assert load(pictured).check().problems == []


def test_nothing_more_is_hashed_without_requires(pictured, monkeypatch):
    from flowmm.models import fingerprints

    hashed, real = set(), fingerprints.of_file
    monkeypatch.setattr(fingerprints, "of_file", lambda path: hashed.add(path.name) or real(path))
    assert load(pictured).check().problems == [] and "p.png" not in hashed
    made = load(pictured).bundle()
    hashed.clear()
    assert made.check().problems == [] and "p.png" in hashed


def test_pieces_that_name_two_files_by_one_path_are_refused(save, tmp_path):
    for folder, side in (("one", 3), ("two", 4)):
        (tmp_path / folder).mkdir()
        Picture.new("RGB", (side, side)).save(tmp_path / folder / "p.png")
    top = save("top", doc({"t": ("graph:tall", {}), "h": ("height", {"image": "p.png"})}, {"out": "t.out", "mine": "h.value"}), tmp_path / "one")
    tall = save("tall", doc({"n": ("height", {"image": "p.png"})}, {"out": "n.value"}), tmp_path / "two")
    (tmp_path / "one" / "tall.json").symlink_to(tall)
    with pytest.raises(GraphError, match="beside each lies another"):
        load(top).bundle()


# ── pictures of results ─────────────────────────────────────────────────────────────────────────


def test_a_result_carries_the_pieces_that_made_it(save, tmp_path, elsewhere, runtime):
    save("negative", doc({"n": ("invert", {"image": wire("input.image")})}, {"image": "n.image"}, {"image": ...}))
    top = save("top", doc({"a": ("noise", {"seed": wire("input.seed"), "size": 4}), "n": ("graph:negative", {"image": wire("a.image")})}, {"image": "n.image"}, {"seed": 1}))
    result = load(top).run({"seed": 9}, runtime=runtime)
    file, = elsewhere(*result.save(tmp_path / "out"))
    again = load(file).run(runtime=runtime)
    assert (again.image.pixels == result.image.pixels).all() and load(file).document.inputs["seed"].default == 9


def test_a_graph_is_drawn_with_frames_pieces_and_unknown_nodes(tmp_path):
    from short import graph

    from flowmm.face.draw import svg
    from flowmm.face.picture import picture

    made = graph({"e": ("graph:step", {"x": {"value": [1, 2]}}, {"each": ["x"]}), "u": ("none:such.node", {}), "p": ("graph:odd", {})}, {"out": "e.out"},
                 graphs={"step": STEP, "odd": doc({"u": ("none:such.node", {})})})  # fmt: skip
    assert "none:such.node" in svg(made) and picture(made).width > 600
    assert ">e<" in svg(made) and "e/n" not in svg(made)  # a piece is one box
