"""What is mapped, what is kept as a placeholder, what cannot be kept: told, and true of the document."""

from __future__ import annotations

import json

import pytest

from flowmm.face.graph import Graph
from flowmm.graph.document import dump, read
from flowmm.importing import opened_file
from flowmm.importing.models import Models


def line(made, node):
    return next(line for line in made.report.lines if line.node == str(node))


def test_a_placeholder_keeps_values_names_and_wires(imported):
    made = imported("custom_nodes")
    nodes = {name: json.loads(node.model_dump_json(by_alias=True)) for name, node in made.document.nodes.items()}
    assert nodes["freeu_v2"]["in"] == {"model": {"from": "parts.denoiser"}} and nodes["freeu_v2"]["comfyui"]["widgets"] == [1.3, 1.4, 0.9, 0.2]
    detailer = nodes["detailer_pack"]
    assert detailer["in"] == {"seed": 99, "control_after_generate": "randomize", "text": "fine details", "clip": {"from": "parts.text_encoder"}}
    assert detailer["comfyui"]["title"] == "My detailer"
    assert nodes["videosaver"]["in"] == {"frame_rate": 8, "format": "webm", "save": True, "images": {"from": "pixels_2.image"}}
    assert nodes["paint_2"]["in"]["denoiser"] == {"from": "freeu_v2.MODEL"}
    assert nodes["paint_2"]["in"]["schedule"] == {"from": "parts.schedule"}, "a node that changes a model leaves its schedule"
    assert nodes["paint_2"]["in"]["positive"] == {"from": "detailer_pack.CONDITIONING"}


def test_what_was_imported_survives_saving_and_loading(imported):
    for name in ("custom_nodes", "subgraph", "odds_and_ends"):
        text = dump(imported(name).document)
        assert dump(read(text)) == text


def test_a_placeholder_is_one_problem_and_no_more(imported):
    problems = Graph(imported("custom_nodes").document).check().problems
    errors = [problem for problem in problems if problem.level == "error"]
    assert {problem.code for problem in errors} == {"unknown-op"}
    assert all("keeps the place of a node of ComfyUI" in problem.message for problem in errors)


CLASSIC = ("text_to_image", "controlnet", "image_to_image", "inpaint", "inpaint_api", "odds_and_ends", "subgraph", "two_stages_api", "combined_api")


@pytest.mark.parametrize("name", CLASSIC)
def test_the_classic_nodes_leave_nothing_wrong(imported, name):
    assert [str(problem) for problem in Graph(imported(name).document).check().errors()] == []


def test_everything_is_told_of(imported, workflow):
    made = imported("odds_and_ends")
    told = {one.node for one in made.report.lines if one.node}
    assert told == {str(node["id"]) for node in workflow("odds_and_ends")["nodes"] if node["type"] not in ("Note", "MarkdownNote")}
    assert "emphasis" in line(made, 7).why and line(made, 6).state == "mapped"
    assert "karras" in line(made, 3).why and "no counterpart" in line(made, 23).why and "beta" in line(made, 23).why
    assert line(made, 25).state == "left out" and "turned off" in line(made, 25).why
    assert any("noise of the first picture" in one.why for one in made.report.of("note"))


def test_one_primitive_is_one_input(imported):
    made = imported("odds_and_ends").document
    assert made.inputs["seed"].default == 42 and "seed_2" not in made.inputs
    assert made.nodes["paint"].inputs["seed"] == made.nodes["paint_2"].inputs["seed"] == {"from": "input.seed"}
    assert made.layout["seeds"] == {"input.seed": "next"}


@pytest.mark.parametrize(
    ("values", "mode"),
    [([7, True, 13, 8.5, "euler", "simple", 1], "random"), ([7, False, 13, 8.5, "euler", "simple", 1], None), ([7, 13, 8.5, "euler", "simple", 1], None)],
)  # fmt: skip
def test_settings_are_read_by_place_whatever_the_version_said_of_the_seed(imported, workflow, values, mode):
    raw = workflow("text_to_image")
    next(node for node in raw["nodes"] if node["type"] == "KSampler")["widgets_values"] = values
    made = imported(raw).document
    assert {name: made.inputs[name].default for name in ("seed", "steps", "guidance", "scheduler")} == {
        "seed": 7, "steps": 13, "guidance": 8.5, "scheduler": "euler_trailing",
    }  # fmt: skip
    assert made.layout.get("seeds") == ({"input.seed": mode} if mode else None)


def test_the_two_texts_of_xl_become_one(imported, workflow):
    raw = workflow("text_to_image_api")
    sizes = dict.fromkeys(("width", "height", "target_width", "target_height"), 1024) | {"crop_w": 0, "crop_h": 0}
    raw["6"] = {"class_type": "CLIPTextEncodeSDXL", "inputs": {"text_g": "a ship", "text_l": "sails", "clip": ["4", 1], **sizes}}
    made = imported(raw)
    assert made.document.inputs["prompt"].default == "a ship" and "second text" in line(made, 6).why


def test_a_reroute_is_wired_through_and_layers_are_passed_over(imported):
    made = imported("odds_and_ends").document
    assert made.nodes["paint"].inputs["denoiser"] == {"from": "styled.denoiser"} and made.nodes["styled"].mode == "bypass"
    assert made.nodes["words"].inputs["clip_skip"] == made.nodes["not_words"].inputs["clip_skip"] == 1


def test_places_groups_and_notes_are_kept(imported):
    layout = imported("odds_and_ends").document.layout
    assert layout["nodes"]["words"] == [400, 0] and layout["nodes"]["styled"] == [200, 0] and layout["nodes"]["styled_words"][0] == 200
    assert layout["collapsed"] == ["paint"]
    assert layout["groups"] == {"group_1": {"title": "Words", "at": [380, -80], "size": [440, 420], "colour": "#3f789e"}}
    assert [note["text"] for note in layout["notes"].values()] == ["Try other seeds.", "# Two samplers"]
    assert {":inputs", ":outputs"} <= set(layout["nodes"])


def test_models_are_found_by_name_in_folders_that_a_person_names(tmp_path, imported, workflow):
    file = tmp_path / "controlnet.json"
    file.write_text(json.dumps(workflow("controlnet")))
    folder = tmp_path / "models"
    for path in ("checkpoints/sd/painter-v1.safetensors", "controlnet/outlines/config.json"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("{}")
    made = opened_file(file, Models([folder]))
    assert made.document.inputs["model"].default == str(folder / "checkpoints/sd/painter-v1.safetensors")
    assert made.document.inputs["control"].default == str(folder / "controlnet/outlines")
    assert list(made.report.missing) == ["image"]
    assert list(opened_file(file).report.missing) == ["model", "image", "control"]


def test_no_path_of_a_file_is_opened(tmp_path, imported, workflow):
    """Names that lead elsewhere are names, and of pictures only the last part is kept."""
    secret = tmp_path / "secret.safetensors"
    secret.write_text("x")
    raw = workflow("image_to_image")
    for node in raw["nodes"]:
        if node["type"] in ("CheckpointLoaderSimple", "LoadImage"):
            node["widgets_values"] = [str(secret) if node["type"] == "LoadImage" else f"../{secret.name}"]
    file = tmp_path / "inner" / "workflow.json"
    file.parent.mkdir()
    file.write_text(json.dumps(raw))
    made = opened_file(file, Models([tmp_path / "inner"]))
    assert made.report.missing == {"model": "../secret.safetensors", "image": "secret.safetensors"}
    assert "default" not in made.document.inputs["image"].model_fields_set


def test_seeds_steps_and_strengths_out_of_range_are_told(imported, workflow):
    raw = workflow("text_to_image_api")
    raw["3"]["inputs"] |= {"seed": 2**64 - 1, "steps": 5000, "cfg": "much"}
    made = imported(raw)
    assert made.document.inputs["seed"].default == (2**64 - 1) % 2**53 and made.document.inputs["steps"].default == 1000
    assert made.document.inputs["guidance"].default == 8.0
    assert "2⁵³" in line(made, 3).why and "5000" in line(made, 3).why
    assert Graph(made.document).check().errors() == []


def test_a_picture_that_only_an_unknown_node_keeps_becomes_an_output(imported, workflow):
    raw = workflow("text_to_image_api")
    raw["9"]["class_type"] = "SaveAsSomething"
    made = imported(raw)
    assert made.document.outputs["image"].source == "pixels.image" and made.document.nodes["saveassomething"].inputs["images"] == {"from": "pixels.image"}


def test_a_bypassed_unknown_node_is_led_around(imported, workflow):
    raw = workflow("custom_nodes")
    for node in raw["nodes"]:
        node["mode"] = 4 if node["type"] == "FreeU_V2" else 0
    made = imported(raw).document
    assert made.nodes["paint_2"].inputs["denoiser"] == {"from": "parts.denoiser"} and made.nodes["freeu_v2"].mode == "mute"


def test_boxes_in_a_ring_become_placeholders(imported):
    ring = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "x", "clip": ["2", 0]}}, "2": {"class_type": "Odd", "inputs": {"a": ["1", 0]}}}
    made = imported(ring)
    assert {node.op for node in made.document.nodes.values()} == {"comfyui:CLIPTextEncode", "comfyui:Odd"}
    assert all("ring" in one.why for one in made.report.of("placeholder"))


def test_a_subgraph_that_holds_itself_ends(imported, workflow):
    raw = workflow("subgraph")
    definition = raw["definitions"]["subgraphs"][0]
    definition["nodes"].append({"id": 9, "type": definition["id"], "inputs": [], "outputs": [], "mode": 0})
    made = imported(raw)
    assert any("holds itself" in one.why for one in made.report.of("placeholder"))


def test_a_short_file_cannot_become_a_huge_graph(imported):
    """Each of thirty definitions uses the next ten times, each time with a number of its own."""
    def host(id, of):
        return {"id": id, "type": of, "inputs": [{"name": "n", "type": "INT", "link": None}], "outputs": [], "widgets_values": [id], "mode": 0}

    names = [f"sub-{i}" for i in range(30)]
    subgraphs = [
        {"id": name, "name": name, "inputs": [{"name": "n", "type": "INT"}], "outputs": [], "links": [], "nodes": [host(i, after) for i in range(10)]}
        for name, after in zip(names, [*names[1:], "Leaf"])
    ]  # fmt: skip
    made = imported({"nodes": [host(1, "sub-0")], "links": [], "definitions": {"subgraphs": subgraphs}})
    assert made.report.of("placeholder") and len(dump(made.document)) < 20_000_000
