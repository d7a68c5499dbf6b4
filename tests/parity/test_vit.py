"""The graphs vit-classify, vit-features and vit-attention equal transformers' ViT and CLIP vision models: to the last bit in float32 and bfloat16.

Attention rollout has no reference in the library; it is compared with a direct implementation here, on the library's attentions.
"""

import numpy as np
import pytest
import tiny
import tiny_vit
import torch

from flowmm.nodes import vision, vit
from flowmm.sockets import Image

# Matrix products of other batch sizes add in another order: measured 2.4e-7 of logits up to 2; hidden states agree to the last bit.
BATCHED = 2e-6
GRAPHS = ("vit-classify", "vit-features", "vit-attention")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tiny_vit.save(tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="session")
def folders(folder, tmp_path_factory):
    """Each kind of source the loader opens."""
    new = tmp_path_factory.mktemp
    torch.manual_seed(0)  # CLIP's class token begins as noise
    return {
        "head": folder, "dino": tiny_vit.save_plain(new("dino")), "in21k": tiny_vit.save_plain(new("in21k"), 1, True, "image_processor_type"),
        "clip": tiny.save_clip(new("clip")), "clip vision": tiny_vit.save_clip_vision(new("clip_vision")),
    }  # fmt: skip


def pictures(count=3, height=40, width=57, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, height, width), dtype=np.uint8)


def run(name, folder, runtime, *edges, image=None, **settings):
    return tiny.peek(name, {"image": pictures() if image is None else image, "model": str(folder)} | settings, runtime, *edges)


def refer(kind, folder, image=None, *, dtype=torch.float32, size=None, attentions=False):
    """The library's own output for these pictures."""
    import transformers

    cls, part, processor = {
        "head": ("ViTForImageClassification", "", "ViT"), "dino": ("ViTModel", "", "ViT"), "in21k": ("ViTModel", "", "ViT"),
        "clip": ("CLIPModel", "vision_model", "CLIP"), "clip vision": ("CLIPVisionModel", "", "CLIP"),
    }[kind]  # fmt: skip
    settings = {"attn_implementation": "eager"} if attentions else {}
    model = getattr(transformers, cls).from_pretrained(folder, dtype=dtype, **settings).eval()
    model = getattr(model, part) if part else model
    made = getattr(transformers, f"{processor}ImageProcessorPil").from_pretrained(folder)
    wide = {} if size is None else {"size": {"height": size, "width": size}}
    image = Image(pictures() if image is None else image)
    pixels = made(images=[image.to_pil(i) for i in range(len(image))], return_tensors="pt", **wide)["pixel_values"].to(dtype)
    options = {"interpolate_pos_encoding": True} if size else {}
    with torch.no_grad():
        return model(pixel_values=pixels, output_hidden_states=True, output_attentions=attentions, **options)


def direct_rollout(attentions, fusion="mean", discard=0.0, residual=0.5):
    """Abnar and Zuidema as written down: whole matrices, picture by picture, from the first layer up."""
    maps = []
    for i in range(len(attentions[0])):
        flow = torch.eye(attentions[0].shape[-1], dtype=torch.float64)
        for layer in attentions:
            heads = layer[i].double()
            fused = {"mean": heads.mean(0), "max": heads.amax(0), "min": heads.amin(0)}[fusion].clone()
            weakest = fused.flatten().topk(int(fused.numel() * discard), largest=False).indices
            fused.view(-1)[weakest[weakest != 0]] = 0
            mixed = (1 - residual) * fused + residual * torch.eye(len(fused), dtype=torch.float64)
            flow = mixed / mixed.sum(dim=-1, keepdim=True) @ flow
        maps.append(flow[0, 1:])
    return torch.stack(maps).numpy()


# ── classes ─────────────────────────────────────────────────────────────────────────────────────


def test_logits_probabilities_and_labels_are_those_of_the_library(folder, runtime):
    logits, probabilities, labels = run("vit-classify", folder, runtime, "logits.score", "probabilities.score", "best.labels", top=3)
    expected = refer("head", folder).logits
    assert np.array_equal(logits.values, expected.t().numpy()) and np.ptp(logits.values, axis=0).min() > 1
    chances = expected.softmax(dim=-1)
    assert np.abs(probabilities.values - chances.t().numpy()).max() <= 2e-7  # numpy's exponential
    best = chances.topk(3, dim=-1)
    assert np.abs(labels.probabilities - best.values.numpy()).max() <= 2e-7
    names = ("tench", "crane (1)", "goldfish", "crane (3)", "LABEL_4", "hen", "maillot")
    assert labels.names == tuple(tuple(names[i] for i in row) for row in best.indices.tolist())


def test_bfloat16_logits_are_those_of_the_library_in_bfloat16(folder, half):
    (logits,) = run("vit-classify", folder, half, "logits.score")
    expected = refer("head", folder, dtype=torch.bfloat16).logits
    assert expected.dtype == torch.bfloat16 and np.array_equal(logits.values, expected.t().float().numpy())


def test_files_in_half_precision_are_computed_in_float32(folder, tmp_path, runtime):
    from transformers import ViTForImageClassification

    tiny_vit.save(tmp_path)
    ViTForImageClassification.from_pretrained(tmp_path).half().save_pretrained(tmp_path)
    (logits,) = run("vit-classify", tmp_path, runtime, "logits.score")
    expected = refer("head", tmp_path).logits.t().numpy()
    assert np.array_equal(logits.values, expected) and not np.array_equal(expected, refer("head", folder).logits.t().numpy())


def test_published_names_of_weights_open(folder):
    """The names in google/vit-base-patch16-224; the library's own have changed since."""
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as file:
        assert "vit.encoder.layer.2.attention.attention.query.weight" in file.keys()


# ── features ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["head", "dino", "in21k", "clip", "clip vision"])
def test_hidden_states_and_patch_features_are_those_of_the_library(folders, kind, runtime, capfd):
    hidden, features = run("vit-features", folders[kind], runtime, "encoded.hidden", "patches.feature_map")
    output = refer(kind, folders[kind])
    expected = getattr(output, "last_hidden_state", None)
    if expected is None:  # a classifier gives its layers' states, before the last norm
        from transformers import ViTModel

        tower = ViTModel.from_pretrained(folders[kind], add_pooling_layer=False).eval()
        with torch.no_grad():
            expected = tower.layernorm(output.hidden_states[-1])
    assert hidden.values.shape == (3, 10, 32) and torch.equal(hidden.values, expected)
    for row, column in ((0, 0), (1, 2), (2, 1)):
        assert torch.equal(features.values[:, :, row, column], expected[:, 1 + 3 * row + column])


@pytest.mark.parametrize("kind", ["dino", "in21k"])
def test_a_model_without_a_head_opens_without_complaint(folders, kind, capfd):
    from flowmm.models.residency import Residency

    capfd.readouterr()
    Residency("cpu").load(vit.load(str(folders[kind])).encoder)
    assert "LOAD REPORT" not in capfd.readouterr().err


@pytest.mark.parametrize("kind", ["dino", "clip"])
def test_bfloat16_features_are_those_of_the_library_in_bfloat16(folders, kind, half):
    hidden, picture = run("vit-features", folders[kind], half, "encoded.hidden", "drawn.image")
    assert torch.equal(hidden.values, refer(kind, folders[kind], dtype=torch.bfloat16).last_hidden_state)
    assert hidden.values.dtype == torch.bfloat16 and picture.pixels.std() > 10


@pytest.mark.parametrize("size", [40, 44, 16])
def test_other_sizes_interpolate_positions_as_the_library_does(folders, size, runtime, half):
    """44 is no multiple of the patch: what is left over at the rim is not seen."""
    for made, dtype in ((runtime, torch.float32), (half, torch.bfloat16)):
        (hidden,) = run("vit-features", folders["dino"], made, "encoded.hidden", size=size)
        expected = refer("dino", folders["dino"], size=size, dtype=dtype).last_hidden_state
        assert hidden.values.shape == (3, 1 + (size // 8) ** 2, 32) and torch.equal(hidden.values, expected)
    (logits,) = run("vit-classify", folders["head"], runtime, "logits.score", size=size)
    assert np.array_equal(logits.values, refer("head", folders["head"], size=size).logits.t().numpy())


def test_the_trained_size_said_aloud_changes_nothing(folder, runtime):
    (said,), (left,) = (run("vit-classify", folder, runtime, "logits.score", size=size) for size in (24, None))
    assert np.array_equal(said.values, left.values)


def test_principal_components_are_those_of_the_covariance(folders, runtime):
    features, picture = run("vit-features", folders["dino"], runtime, "patches.feature_map", "drawn.image", opacity=1.0)
    vectors = features.values.permute(0, 2, 3, 1).reshape(-1, 32).double()
    centred = vectors - vectors.mean(dim=0)
    directions = torch.linalg.eigh(centred.t() @ centred).eigenvectors.flip(1)[:, :3]
    directions = directions * directions.gather(0, directions.abs().argmax(dim=0)[None]).sign()
    found = centred @ directions
    low, high = found.quantile(0.01, dim=0), found.quantile(0.99, dim=0)
    colours = ((found - low) / (high - low)).clamp(0, 1).reshape(3, 3, 3, 3).permute(0, 3, 1, 2)  # [B, C, rows, columns]
    # The middle of each of 3 × 3 patches; smoothing mixes in a little of the neighbours, so the enlarged maps are compared.
    import PIL.Image

    size = picture.pixels.shape[:1:-1]
    smooth = [[PIL.Image.fromarray(one.float().numpy()).resize(size, PIL.Image.Resampling.BICUBIC) for one in channels] for channels in colours]
    assert np.abs(picture.pixels - 255 * np.clip(np.asarray([[np.asarray(one) for one in channels] for channels in smooth]), 0, 1)).max() <= 1


# ── attention ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["head", "dino", "clip", "clip vision"])
def test_attention_maps_are_those_of_the_library(folders, kind, runtime, half):
    for made, dtype in ((runtime, torch.float32), (half, torch.bfloat16)):
        (attention,) = run("vit-attention", folders[kind], made, "attention.attention")
        expected = torch.stack(refer(kind, folders[kind], dtype=dtype, attentions=True).attentions, dim=1).float()
        assert attention.maps.shape == (3, 2 if kind == "clip" else 3, 4, 10, 10) and attention.grid == (3, 3)
        assert np.array_equal(attention.maps, expected.numpy())
    assert attention.maps.max() > 0.3  # far from 1 in 10 each: something is looked at


@pytest.mark.parametrize(
    "settings",
    [{}, {"fusion": "max", "discard": 0.6}, {"fusion": "min", "discard": 0.5, "residual": 0.2}, {"residual": 0.0}, {"discard": 0.25}],
)
@pytest.mark.parametrize("kind", ["head", "clip"])
def test_rollout_is_what_the_paper_says(folders, kind, settings, runtime):
    """float32 of sums in float64; the order of products differs."""
    (heat,) = run("vit-attention", folders[kind], runtime, "rollout.heat_map", **settings)
    expected = direct_rollout(refer(kind, folders[kind], attentions=True).attentions, **settings)
    assert heat.values.shape == (3, 3, 3) and np.abs(heat.values.reshape(3, 9) - expected).max() <= 1e-7
    assert np.ptp(heat.values, axis=(1, 2)).max() > 0.01


def test_looking_at_attention_leaves_the_model_as_it_was(folder):
    from flowmm.catalog import Context
    from flowmm.models.residency import residency

    parts = vit.load(str(folder))
    pixels = vision.preprocess(parts.processor, Image(pictures()))
    before = vision.encode(parts.encoder, pixels).values
    vit.attention(parts.encoder, pixels)
    module = residency("cpu", Context().dtype).load(parts.encoder)
    assert {layer.attention.config._attn_implementation for layer in module.vit.layers} == {"sdpa"}
    assert torch.equal(vision.encode(parts.encoder, pixels).values, before)
    assert module is residency("cpu", Context().dtype).load(parts.classifier)  # one network behind all handles


# ── batches, pictures, sources ──────────────────────────────────────────────────────────────────


def test_three_pictures_at_once_give_what_each_gives_alone(folders, runtime):
    edges = {"vit-classify": "logits.score", "vit-features": "encoded.hidden", "vit-attention": "rollout.heat_map"}
    for name, edge in edges.items():
        kind = "head" if name == "vit-classify" else "dino"
        (together,) = run(name, folders[kind], runtime, edge)
        values = together.values.T if name == "vit-classify" else np.asarray(together.values)
        for i in range(3):
            (alone,) = run(name, folders[kind], runtime, edge, image=pictures()[i : i + 1])
            one = alone.values.T if name == "vit-classify" else np.asarray(alone.values)
            assert np.abs(values[i : i + 1] - one).max() <= BATCHED, name


def test_another_picture_changes_everything(folders, runtime):
    for name, edge, least in (("vit-classify", "logits.score", 0.3), ("vit-features", "encoded.hidden", 0.3), ("vit-attention", "rollout.heat_map", 0.01)):
        one, other = (run(name, folders["head"], runtime, edge, image=pictures(1, seed=seed))[0].values for seed in (0, 5))
        assert np.abs(np.asarray(one) - np.asarray(other)).max() > least, name


def test_a_live_model_gives_what_its_folder_gives(folders, runtime):
    from transformers import ViTForImageClassification, ViTImageProcessorPil

    from flowmm.models import live

    model = ViTForImageClassification.from_pretrained(folders["head"], dtype=torch.float32).eval()
    thing = {"model": model, "image_processor": ViTImageProcessorPil.from_pretrained(folders["head"])}
    parts, image = vit.load(live.name(thing)), Image(pictures())
    score = vit.classify(parts.classifier, vision.preprocess(parts.processor, image))
    assert np.array_equal(score.values, run("vit-classify", folders["head"], runtime, "logits.score")[0].values) and score.rows[1] == "crane (1)"
    maps = vit.attention(parts.encoder, vision.preprocess(parts.processor, image)).maps
    assert np.array_equal(maps, run("vit-attention", folders["head"], runtime, "attention.attention")[0].maps)
    assert model.config._attn_implementation == "sdpa"
