"""What the nodes of ViT say before they run and when they cannot; what is drawn over pictures."""

import json

import numpy as np
import pytest
import tiny
import tiny_vit
import torch
from test_describe_rules import agrees, fact, known

import flowmm
from flowmm.models.source import SourceError
from flowmm.nodes import heatmap, vision, vit
from flowmm.sockets import Attention, FeatureMap, HeatMap, Hidden, Image, Pixels
from flowmm.sockets.colours import MAPS, coloured


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return str(tiny_vit.save(tmp_path_factory.mktemp("vit")))


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    return str(tiny_vit.save_plain(tmp_path_factory.mktemp("dino")))


def pictures(count=2, height=40, width=60):
    return Image(np.random.default_rng(0).integers(0, 256, (count, 3, height, width), dtype=np.uint8))


def edited(folder, **changes):
    """The folder with other entries in its config; None takes one away."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))
    return str(folder)


# ── before a run ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [None, 40])
@pytest.mark.parametrize("kind", ["vit", "clip"])
def test_rules_say_what_the_run_gives(folder, clip_folder, kind, size):
    source = folder if kind == "vit" else clip_folder
    parts, spaces = vit.load(source), vit.load.spec.spaces({"source": source})
    facts = dict(vit.load.spec.describe(known(vit.load, source=source)))
    values = dict(zip(parts._fields, parts)) | {"image": pictures()}
    facts["image"] = fact(values["image"])
    steps = [
        ("pixels", vision.preprocess, {"processor": "processor", "image": "image"}, {"size": size}),
        ("hidden", vision.encode, {"encoder": "encoder", "pixels": "pixels"}, {}),
        ("map", vit.patches, {"encoder": "encoder", "hidden": "hidden"}, {}),
        ("attention", vit.attention, {"encoder": "encoder", "pixels": "pixels"}, {}),
        ("heat", vit.rollout, {"attention": "attention"}, {}),
        ("seen", vision.seen, {"processor": "processor", "image": "image"}, {}),
        ("drawn", heatmap.overlay, {"heat": "heat", "image": "seen"}, {}),
        ("parts", heatmap.pca, {"features": "map", "image": "seen"}, {}),
        ("score", vit.classify, {"classifier": "classifier", "pixels": "pixels"}, {}),
    ]
    for name, node, ports, plain_values in steps[: None if kind == "vit" else -1]:
        rule = known(node, {port: facts[made] for port, made in ports.items()}, **plain_values)
        rule.spaces.update(spaces)
        facts[name] = node.spec.describe(rule)
        values[name] = node(**{port: values[made] for port, made in ports.items()}, **plain_values)
        assert agrees(facts[name], fact(values[name])), name
    side = size or 24
    assert facts["pixels"].shape == (2, 3, side, side) and facts["hidden"].shape == (2, 1 + (side // 8) ** 2, 32)
    assert facts["classifier"].shape == (None, 7 if kind == "vit" else 0)


def test_a_size_over_a_wire_is_left_open(folder):
    facts = vit.load.spec.describe(known(vit.load, source=folder))
    rule = known(vision.preprocess, {"processor": facts["processor"], "image": fact(pictures()), "size": fact(None.__class__)})
    assert vision.preprocess.spec.describe(rule).shape == (2, 3, None, None)


def test_the_weights_predicted_are_those_that_are_loaded(folder, plain):
    from flowmm.models.residency import Residency

    for source in (folder, plain):
        told = vit.load.spec.describe(known(vit.load, source=source))
        module = Residency("cpu").load(vit.load(source).encoder)
        assert abs(sum(fact.weights for fact in told.values()) - sum(p.numel() * 4 for p in module.parameters())) <= 4096


def test_pictures_prepared_for_vit_do_not_go_into_clip(folder, clip_folder):
    from flowmm.nodes import clip

    with flowmm.Graph() as graph:
        pixels = vision.preprocess(vit.load(folder).processor, graph.input("image"))
        graph.output(embedding=clip.encode_image(clip.load(clip_folder).model, pixels))
    (error,) = graph.check().errors()
    assert "`preprocess.pixels` does not fit" in str(error) and "family vit, not clip" in str(error)


# ── classes ─────────────────────────────────────────────────────────────────────────────────────


def test_names_missing_from_the_config_are_numbered(tmp_path):
    tiny_vit.save(tmp_path, labels=("cat", "dog"))
    parts = vit.load(edited(tmp_path, id2label=None, label2id=None))
    assert vit.classify(parts.classifier, vision.preprocess(parts.processor, pictures())).rows == ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize("make", ["plain", "clip", "headless"])
def test_a_model_without_a_head_gives_features_and_says_what_it_lacks(make, plain, clip_folder, tmp_path):
    source = {"plain": plain, "clip": clip_folder}.get(make) or str(tiny_vit.save(tmp_path, labels=()))
    parts = vit.load(source)
    pixels = vision.preprocess(parts.processor, pictures())
    assert vision.encode(parts.encoder, pixels).values.shape == (2, 10, 32)
    with pytest.raises(ValueError, match="has no classification head, only features; take a ViTForImageClassification"):
        vit.classify(parts.classifier, pixels)


# ── sources ─────────────────────────────────────────────────────────────────────────────────────


def test_a_model_of_another_family_is_refused(diffusion_folder, folder):
    from flowmm.nodes import clip, vlm

    with pytest.raises(SourceError, match="`vit.load` wants a vision transformer, ViT or CLIP; .* is a StableDiffusionPipeline"):
        vit.load(diffusion_folder)
    with pytest.raises(SourceError, match="`clip.load` wants a CLIP model; .* is a ViTForImageClassification"):
        clip.load(folder)
    with pytest.raises(SourceError, match="is a ViTForImageClassification"):
        vlm.load(folder)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"num_attention_heads": 0}, "divides a width of 32 among 0 attention heads"),
        ({"num_attention_heads": 5}, "divides a width of 32 among 5 attention heads"),
        ({"patch_size": 0}, "no sensible `patch_size`"),
        ({"image_size": "24"}, "no sensible `image_size`"),
        ({"image_size": [24, 24, 24]}, "no sensible `image_size`"),
        ({"num_labels": -1, "id2label": None}, "no sensible `num_labels`"),
    ],
)
def test_a_damaged_config_is_said(tmp_path, changes, said):
    source = edited(tiny_vit.save(tmp_path), **changes)
    with pytest.raises(SourceError, match=said):
        vit.load(source)
    assert vit.load.spec.spaces({"source": source}) == {} and vit.load.spec.describe(known(vit.load, source=source)) == {}


def test_what_is_no_model_or_not_whole_is_said(tmp_path, folder):
    import shutil

    with pytest.raises(SourceError, match="is no model"):
        vit.load(str(tmp_path))
    half = shutil.copytree(folder, tmp_path / "half")
    (half / "model.safetensors").write_bytes((half / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(SourceError, match="cut short"):
        vit.load(str(half))
    (half / "preprocessor_config.json").unlink()
    with pytest.raises(SourceError, match="has no image_processor"):
        vit.load(str(half))


def test_a_processor_of_another_kind_is_refused_and_deit_is_not(tmp_path):
    tiny_vit.save(tmp_path)
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"feature_extractor_type": "ConvNextFeatureExtractor", "size": 24}))
    with pytest.raises(SourceError, match="prepares pictures with a ConvNextFeatureExtractor; `vit.load` knows those of ViT, DeiT, CLIP"):
        vit.load(str(tmp_path))
    path.write_text(json.dumps({"feature_extractor_type": "DeiTFeatureExtractor", "size": 28, "crop_size": 24, "resample": 3}))
    from transformers import DeiTImageProcessorPil

    parts, image = vit.load(str(tmp_path)), pictures(1)
    expected = DeiTImageProcessorPil.from_pretrained(tmp_path)(images=image.to_pil(), return_tensors="pt")["pixel_values"]
    assert torch.equal(vision.preprocess(parts.processor, image).values, expected)


@pytest.mark.parametrize("size", [(1, 1), (20_000, 3)])
def test_pictures_of_any_shape_are_seen_whole(folder, size):
    parts = vit.load(folder)
    image = Image.accept(np.zeros((*size, 3), np.uint8))
    assert vision.preprocess(parts.processor, image).values.shape == (1, 3, 24, 24)
    assert vision.seen(parts.processor, image) is image


# ── sizes ───────────────────────────────────────────────────────────────────────────────────────


def test_sizes_an_encoder_cannot_take_are_said(folder, tmp_path):
    parts = vit.load(folder)
    with pytest.raises(ValueError, match="pictures of 7×7 pixels are smaller than a patch of this encoder, 8 pixels"):
        vision.encode(parts.encoder, Pixels(torch.zeros(1, 3, 7, 7)))
    with pytest.raises(ValueError, match="the attention maps of 1 × 256×256 patches would take 192.0 GB"):
        vit.attention(parts.encoder, Pixels(torch.zeros(1, 3, 2048, 2048)))
    tall = vit.load(str(tiny_vit.save(tmp_path, image_size=(32, 16))))
    pixels = vision.preprocess(tall.processor, pictures())
    assert pixels.values.shape == (2, 3, 32, 16) and vit.patches(tall.encoder, vision.encode(tall.encoder, pixels)).values.shape == (2, 32, 4, 2)
    with pytest.raises(ValueError, match="takes pictures of 16×32 pixels only, not 32×64"):
        vision.encode(tall.encoder, vision.preprocess(tall.processor, pictures(), size=32))


def test_what_is_no_grid_of_patches_is_said(folder):
    with pytest.raises(ValueError, match="8 vectors are no class token and a grid of patches"):
        vit.patches(vit.load(folder).encoder, Hidden(torch.zeros(1, 8, 32)))


def test_what_the_encoder_sees_is_what_the_processor_crops(tmp_path):
    """The processor on the seen part alone, without cropping again, gives almost the pixels it gives on the whole picture."""
    from transformers import CLIPImageProcessorPil

    image = Image(np.kron(np.random.default_rng(1).integers(0, 256, (1, 3, 6, 11)), np.ones((1, 1, 20, 20))).astype(np.uint8))
    for settings in ({"size": {"shortest_edge": 24}}, {"size": {"shortest_edge": 32}}, {"size": {"height": 30, "width": 40}}):
        source = tiny.save_clip(tmp_path / str(settings["size"]))
        CLIPImageProcessorPil(crop_size={"height": 24, "width": 24}, **settings).save_pretrained(source)
        parts = vit.load(str(source))
        seen = vision.seen(parts.processor, image)
        assert seen.pixels.shape != image.pixels.shape
        squeezed = CLIPImageProcessorPil(size={"height": 24, "width": 24}, do_center_crop=False)(images=seen.to_pil(), return_tensors="pt")
        difference = (squeezed["pixel_values"] - vision.preprocess(parts.processor, image).values).abs()
        assert difference.mean() < 0.12, settings  # pixels at edges of the 20-pixel blocks; a crop elsewhere differs by 1 and more


# ── drawing ─────────────────────────────────────────────────────────────────────────────────────


def test_the_overlay_is_bright_where_the_map_is_great_and_leaves_the_picture_at_opacity_zero():
    values = np.zeros((2, 4, 4), np.float32)
    values[0, 1, 3], values[1, 2, 0] = 5, 0.001
    image = pictures(2, 500, 500)
    alone = heatmap.overlay(HeatMap(values), image, opacity=1.0).pixels.astype(int).sum(axis=1)
    for one, (row, column) in zip(alone, ((1, 3), (2, 0))):
        y, x = np.unravel_index(one.argmax(), one.shape)
        assert (y // 125, x // 125) == (row, column) and one.min() == 4  # inferno begins at (0, 0, 4)
    assert np.array_equal(heatmap.overlay(HeatMap(values), image, opacity=0.0).pixels, image.pixels)
    both = heatmap.overlay(HeatMap(values), image).pixels
    assert np.array_equal(both[:1], heatmap.overlay(HeatMap(values[:1]), Image(image.pixels[:1])).pixels)


def test_small_pictures_are_enlarged_and_flat_maps_are_dark():
    drawn = heatmap.overlay(HeatMap(np.ones((1, 2, 2), np.float32)), Image(np.full((1, 3, 100, 40), 0.5, np.float32)), opacity=1.0)
    assert drawn.pixels.shape == (1, 3, 500, 200) and drawn.pixels.max() == 4


def test_another_number_of_pictures_than_maps_is_said():
    with pytest.raises(ValueError, match="there are 3 maps, but 2 pictures to draw them over"):
        heatmap.overlay(HeatMap(np.ones((3, 2, 2), np.float32)), pictures())
    with pytest.raises(ValueError, match="there are 1 maps, but 2 pictures"):
        heatmap.pca(FeatureMap(torch.ones(1, 8, 2, 2)), pictures())


@pytest.mark.parametrize("colours", MAPS)
def test_equal_steps_of_a_colour_map_are_equal_steps_of_lightness(colours):
    linear = coloured(np.linspace(0, 1, 101)[None], colours)[:, 0].astype(float)
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    luminance = (linear * [[0.2126], [0.7152], [0.0722]]).sum(axis=0)
    steps = np.diff(np.where(luminance < 0.008856, 903.3 * luminance, 116 * np.cbrt(luminance) - 16))  # CIE L*
    assert steps.shape == (100,) and (steps > 0).all() and steps.std() < 0.3 * steps.mean()


def test_components_have_fixed_signs_and_grey_stands_for_none():
    torch.manual_seed(0)
    features, image = torch.randn(2, 6, 5, 5), pictures(2, 450, 450)
    turned = features @ torch.eye(5) * 3 + 7  # another scale and offset have the same components
    one, other = (heatmap.pca(FeatureMap(values), image, opacity=1.0).pixels for values in (features, turned))
    assert np.abs(one.astype(int) - other).max() <= 1
    apart = heatmap.pca(FeatureMap(features), image, opacity=1.0, together=False).pixels
    assert np.array_equal(apart[1:], heatmap.pca(FeatureMap(features[1:]), Image(image.pixels[1:]), opacity=1.0).pixels)
    assert not np.array_equal(apart, one)
    for little in (torch.full((1, 8, 3, 3), 0.1), torch.ones(1, 8, 1, 1)):
        assert np.unique(heatmap.pca(FeatureMap(little), Image(image.pixels[:1]), opacity=1.0).pixels).tolist() == [128]
    two = heatmap.pca(FeatureMap(torch.randn(1, 2, 4, 4)), Image(image.pixels[:1]), opacity=1.0).pixels
    assert np.unique(two[0, 2]).tolist() == [128] and two[0, 0].std() > 10


def test_attention_that_only_passes_by_leaves_no_patch_anything():
    maps = np.full((1, 2, 3, 5, 5), 0.2, np.float32)
    assert vit.rollout(Attention(maps, (2, 2)), residual=1.0).values.tolist() == [[[0, 0], [0, 0]]]
    even = vit.rollout(Attention(maps, (2, 2)), residual=0.0).values
    assert even.shape == (1, 2, 2) and np.allclose(even, 0.2)


def test_a_heat_map_shows_and_saves_itself(folder, tmp_path):
    from safetensors.numpy import load_file

    flowmm.load("vit-attention").run({"model": folder}).save(tmp_path)
    assert load_file(tmp_path / "heat.safetensors")["values"].shape == (1, 3, 3) and (tmp_path / "picture.png").is_file()
    assert HeatMap(np.ones((2, 3, 3), np.float32))._repr_html_().count("data:image/png;base64,") == 2
