"""What people do by accident, on every shipped graph: it works, or one sentence says what to do. Never a traceback, never a class of error."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import flowmm
from flowmm.engine.workers.base import NodeFailed
from flowmm.face.find import shipped
from flowmm.graph.problems import GraphError

NAMES = sorted(path.stem for path in shipped().glob("*.json"))
GRAPHS = {name: json.loads((shipped() / f"{name}.json").read_text())["inputs"] for name in NAMES}
TEXTS = {"prompt", "negative", "question", "beginning", "text", "texts", "label", "labels", "first", "second", "template"}
WITH_TEXT = [(name, key) for name in NAMES for key in GRAPHS[name] if key in TEXTS]
WITH_PICTURE = [name for name in NAMES if "image" in GRAPHS[name]]


@pytest.fixture(scope="module")
def runtime():
    made = flowmm.Runtime("cpu", cache=None, threads=1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Files as cameras, scanners and browsers leave them."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    colours = rng.integers(0, 256, (40, 56, 4), dtype=np.uint8)
    rgb = PIL.Image.fromarray(colours[..., :3])
    PIL.Image.new("RGB", (1, 1), "red").save(folder / "pixel.png")
    PIL.Image.new("RGB", (20_000, 3), "blue").save(folder / "thread.png")
    PIL.Image.fromarray(colours).save(folder / "rgba.png")
    PIL.Image.fromarray((colours[..., 0].astype(np.uint16) * 257)).save(folder / "sixteen.png")
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.save(folder / "animated.gif", save_all=True, append_images=[rgb.rotate(90), rgb.rotate(180)])
    rgb.save(folder / "odd.png")
    whole = (folder / "odd.png").read_bytes()
    (folder / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("this is no picture")
    return folder


def run(name, runtime, models, /, **inputs):
    """The result, or the sentence that says why there is none."""
    try:
        return flowmm.load(name).run(models[name]() | inputs, runtime=runtime)
    except (GraphError, NodeFailed) as error:
        told = error.message if isinstance(error, NodeFailed) else str(error)
        assert told and not re.match(r"\w+(Error|Exception|Interrupt)\b", told), told
        assert "Traceback" not in told and len(told) < 1000, told
        return told


@pytest.mark.parametrize(("name", "key"), WITH_TEXT)
@pytest.mark.parametrize("text", ["", "word " * 20_000], ids=["empty", "endless"])
def test_an_empty_and_an_endless_text(name, key, text, runtime, tiny_models):
    run(name, runtime, tiny_models, **{key: text})


@pytest.mark.parametrize("file", ["pixel.png", "rgba.png", "sixteen.png", "cmyk.jpg", "animated.gif", "odd.png"])
@pytest.mark.parametrize("name", WITH_PICTURE)
def test_pictures_of_every_kind_are_read(name, file, runtime, tiny_models, pictures):
    result = run(name, runtime, tiny_models, image=str(pictures / file))
    if isinstance(result, str):
        assert "multiple" in result or "patches" in result or "size" in result or "pixel" in result, result


@pytest.mark.parametrize("name", WITH_PICTURE)
def test_a_thread_of_a_picture_works_or_says_so(name, runtime, tiny_models, pictures):
    run(name, runtime, tiny_models, image=str(pictures / "thread.png"))


@pytest.mark.parametrize("file", ["truncated.png", "text.png", "missing.png"])
@pytest.mark.parametrize("name", WITH_PICTURE)
def test_what_is_no_whole_picture_is_named(name, file, runtime, tiny_models, pictures):
    told = run(name, runtime, tiny_models, image=str(pictures / file))
    assert isinstance(told, str) and file in told


@pytest.mark.parametrize("name", [name for name in NAMES if "width" in GRAPHS[name]])
@pytest.mark.parametrize("side", [33, 1, 0, -8, 10**9])
def test_sizes_that_cannot_be(name, side, runtime, tiny_models):
    result = run(name, runtime, tiny_models, width=side, height=32)
    assert isinstance(result, str) or side == 33


@pytest.mark.parametrize(("key", "value"), [("steps", 0), ("steps", -1), ("steps", 2.5), ("guidance", float("nan")), ("guidance", float("inf")),
                                            ("guidance", "much"), ("seed", -1), ("seed", 2**60), ("count", 0), ("strength", 2.0), ("scheduler", "eulr")])  # fmt: skip
def test_settings_out_of_range_are_refused_before_anything_runs(key, value, runtime, tiny_models):
    names = [name for name in NAMES if key in GRAPHS[name]]
    assert names
    for name in names:
        told = run(name, runtime, tiny_models, **{key: value})
        assert isinstance(told, str) and key in told, (name, told)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_is_no_model_and_one_that_is_missing(name, runtime, tiny_models, tmp_path):
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "beach.jpg").write_bytes(b"x")
    assert "is no model" in run(name, runtime, tiny_models, model=str(tmp_path / "holiday"))
    assert "there is no folder" in run(name, runtime, tiny_models, model=str(tmp_path / "nowhere"))
    assert "flowmm models pull" in run(name, runtime, tiny_models, model="hf:nobody/has-this")


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_another_family_says_what_it_is(name, runtime, tiny_models):
    other = tiny_models["clip-embed" if not name.startswith(("clip", "vit")) else "class-to-image"]()["model"]
    told = run(name, runtime, tiny_models, model=other)
    assert "wants" in told and ("CLIPModel" in told or "DiTPipeline" in told), told


@pytest.mark.parametrize("name", NAMES)
def test_a_half_downloaded_model_says_so(name, runtime, tiny_models, tmp_path):
    given = tiny_models[name]()
    copy = shutil.copytree(given["model"], tmp_path / "half")
    for path in Path(copy).rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-7])
    changed = {key: str(copy) for key in ("model", "prior") if given.get(key) == given["model"]}
    told = run(name, runtime, tiny_models, **changed)
    assert isinstance(told, str) and "download" in told, told
