"""Tiny random vision transformers: with a classification head, without one, and as CLIP's vision tower."""

import json

import tiny

SHAPE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 24, "patch_size": 8}
LABELS = ("tench", "crane", "goldfish", "crane", "", "hen", "maillot")
# As repositories of 2021 say it: no size of width and height, a class that is gone.
OLD = {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2, "size": 24}


def save(folder, seed=0, labels=LABELS, **changes):
    """A ViTForImageClassification folder with its image processor, as google/vit-base-patch16-224 is laid out."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    config = ViTConfig(**SHAPE | changes, id2label=dict(enumerate(labels)))
    tiny.widen(ViTForImageClassification(config), seed).save_pretrained(folder)
    height, width = changes.get("image_size", (24, 24))
    ViTImageProcessorPil(size={"height": height, "width": width}).save_pretrained(folder)
    return folder


def save_plain(folder, seed=0, pooler=False, name="feature_extractor_type"):
    """A ViTModel folder with an old processor's config, as facebook/dino-vits16 is laid out: no pooler. google/vit-base-patch16-224-in21k has one."""
    from transformers import ViTConfig, ViTModel

    tiny.widen(ViTModel(ViTConfig(**SHAPE), add_pooling_layer=pooler), seed).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(OLD | {name: "ViTFeatureExtractor"}))
    return folder


def save_clip_vision(folder, seed=0):
    """A CLIPVisionModel folder."""
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    tiny.widen(CLIPVisionModel(CLIPVisionConfig(**SHAPE)), seed).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 24, "width": 24}).save_pretrained(folder)
    return folder
