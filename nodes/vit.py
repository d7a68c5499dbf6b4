"""Vision transformers: classes of pictures, features of their patches, and what heeds what inside."""

from __future__ import annotations

from collections import Counter
from math import isqrt
from typing import Annotated, Any, Generic, Literal, NamedTuple

from flowmm.catalog import Context, node
from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.residency import using
from flowmm.models.source import Component, Source, SourceError, open_source
from flowmm.sockets import (
    Attention,
    Between,
    Classifier,
    E,
    Fact,
    FeatureMap,
    HeatMap,
    Help,
    Hidden,
    ImageEncoder,
    ImageProcessor,
    Known,
    ModelSource,
    Pixels,
    Score,
    Space,
)

from ._families import family_of
from ._families.vit import pair, sized

# By class of the source: the family that builds it, the part of its config that describes the encoder, and the library's own default patch.
CLASSES = {
    "ViTForImageClassification": ("vit", "", 16),
    "ViTModel": ("vit_base", "", 16),
    "CLIPModel": ("clip", "vision_config", 32),
    "CLIPVisionModel": ("clip_vision", "", 32),
}
PROCESSORS = {"ViT": "vit", "DeiT": "deit", "CLIP": "clip"}  # by how the processor's type begins; old repositories say …FeatureExtractor


class Parts(NamedTuple, Generic[E]):
    """processor: pictures to pixels.

    encoder: pixels to a vector a patch.

    classifier: pixels to class scores; a model without a head has none, and says so when it is used.
    """

    processor: ImageProcessor[E]
    encoder: ImageEncoder[E]
    classifier: Classifier[E]


@node(version=1, title={"en": "Load ViT", "zh": "加载 ViT"}, tags=("vit", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a ViT or CLIP")]) -> Parts[E]:
    """The parts of a vision transformer, as recipes that share one network; weights are read when a node first needs them.

    Opens ViT with a classification head or without one, and CLIP for its vision tower. A source that is missing,
    incomplete or of another kind is an error that says so.

    Reference: transformers ViTForImageClassification, ViTModel, CLIPVisionModel; their image processors.
    """
    found, shape = _open(source)
    model = found.component("")
    family = CLASSES[found.cls][0]
    return Parts(
        make(ImageProcessor, found.component("image_processor"), _processor(found, family)),
        make(ImageEncoder, model, family, {"rows": shape.rows, "columns": shape.columns}),
        make(Classifier, model, family, {"classes": shape.classes}),
    )


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        found, shape = _open(values["source"])
        family = "vit" if "ViT" in found.cls else "clip vision"
        return {"E": spaces.encoder(found.component(""), family, shape.width, patch=shape.patch)}
    except (KeyError, SourceError, OSError):
        return {}


@load.describe
def _(known: Known) -> dict[str, Fact]:
    """A handle's shape is that of what it makes; encoder and classifier are one network."""
    try:
        found, shape = _open(known.values.get("source"))
        height, width = _seen(found.component("image_processor").config, CLASSES[found.cls][0])
        return {
            "processor": Fact((None, 3, height, width)),
            "encoder": Fact((None, 1 + shape.rows * shape.columns, shape.width), weights=found.component("").weights.loaded_bytes),
            "classifier": Fact((None, shape.classes)),
        }
    except (SourceError, OSError):
        return {}


@node(version=1, title={"en": "Classify pictures", "zh": "图像分类"}, tags=("vit", "score"))
def classify(classifier: Classifier[E], pixels: Pixels[E], *, context: Context) -> Score:
    """How much each picture looks like each class the model was trained on: logits, not probabilities.

    pixels: [B, 3, H, W]. Returns [classes, B], its rows named by the model's labels: a class without a name is LABEL_i,
    and classes of one name are told apart by their numbers. A model without a classification head is an error.

    Reference: transformers ViTForImageClassification; Dosovitskiy et al. 2020 (arXiv 2010.11929).
    """
    if not classifier.setting("classes"):
        raise ValueError(f"`{classifier.source}` has no classification head, only features; take a ViTForImageClassification such as "
                         "google/vit-base-patch16-224, or label pictures with CLIP")  # fmt: skip
    with using(context, classifier) as module:
        values = pixels.values.to(module.device, module.dtype)
        logits = module(pixel_values=values, **sized(module.config, values)).logits
        return Score(logits.t(), _names(module.config.id2label or {}, logits.shape[1]))


@classify.describe
def _(known: Known) -> Fact:
    return Fact((known.shape("classifier", 2)[1], known.batch("pixels")), "float32")


@node(version=1, title={"en": "Patch features", "zh": "图块特征"}, tags=("vit", "vision"))
def patches(encoder: ImageEncoder[E], hidden: Hidden[E]) -> FeatureMap[E]:
    """An encoder's vectors where they lie in the picture, without the class token.

    hidden: [B, 1 + N, D], the class token first. Returns [B, D, rows, columns]. A number of patches that fits no grid is an error.

    Reference: transformers ViTModel.last_hidden_state[:, 1:].
    """
    batch, count, width = hidden.values.shape
    rows, columns = encoder.setting("rows", 0), encoder.setting("columns", 0)
    if rows * columns != count - 1:  # pictures of another size than it was trained on are square
        rows = columns = isqrt(count - 1)
    if not rows or rows * columns != count - 1:
        raise ValueError(f"{count} vectors are no class token and a grid of patches; wire `hidden` from `vision.encode` of a vision transformer")
    return FeatureMap(hidden.values[:, 1:].transpose(1, 2).reshape(batch, width, rows, columns))


@patches.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("hidden"), known.shape("hidden", 3)[2], None, None), known.dtype("hidden"))


@node(version=1, title={"en": "Attention maps", "zh": "注意力图"}, tags=("vit",))
def attention(encoder: ImageEncoder[E], pixels: Pixels[E], *, context: Context) -> Attention:
    """What every token heeds, in every layer and head, the class token first.

    pixels: [B, 3, H, W]. Returns float32 [B, layers, heads, 1 + N, 1 + N]; a row says how a token divides its attention.
    Maps that would take over 4 GB are an error.

    Reference: transformers ViTModel(output_attentions=True) with attn_implementation="eager".
    """
    family = family_of(encoder)
    if not hasattr(family, "attend"):
        raise ValueError(f"`{encoder.source}` is {family.what}, whose attention is not shown; take an encoder from `vit.load`")
    with using(context, encoder) as module:
        return Attention(*family.attend(module, pixels.values.to(module.device, module.dtype)))


@attention.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("pixels"), None, None, None, None), "float32")


@node(version=1, title={"en": "Attention rollout", "zh": "注意力展开"}, tags=("vit",), lane="cpu")
def rollout(
    attention: Attention,
    *,
    fusion: Annotated[Literal["mean", "max", "min"], Help("How the heads of a layer become one")] = "mean",
    discard: Annotated[float, Between(0, 0.99), Help("Share of each layer's weakest attention that is set to zero")] = 0.0,
    residual: Annotated[float, Between(0, 1), Help("Share of what passes by the attention; 0.5: as much as goes through it")] = 0.5,
) -> HeatMap:
    """How much of each patch reaches the class token through all layers: their attention maps multiplied.

    Each layer's heads are fused, its weakest entries set to zero if asked (never the class token's to itself), mixed with
    the identity for the residual path, and its rows brought to sum to 1. Returns float32 [B, rows, columns] in 0…1.

    Reference: Abnar and Zuidema 2020, Quantifying attention flow in transformers (arXiv 2005.00928); the discarding as in
    jacobgil/vit-explain.
    """
    import numpy

    batch, layers, _, count, _ = attention.maps.shape
    token = numpy.zeros((batch, 1, count))
    token[..., 0] = 1
    for layer in reversed(range(layers)):  # from the class token down, a vector through each layer
        heads = attention.maps[:, layer]
        fused = heads.mean(axis=1, dtype=numpy.float64) if fusion == "mean" else getattr(heads, fusion)(axis=1).astype(numpy.float64)
        if dropped := int(count * count * discard):
            flat = fused.reshape(batch, -1)
            weakest = numpy.argpartition(flat, dropped - 1, axis=1)[:, :dropped]
            numpy.put_along_axis(flat, weakest, numpy.where(weakest == 0, flat[:, :1], 0), axis=1)
        mixed = (1 - residual) * fused + residual * numpy.eye(count)
        total = mixed.sum(axis=-1, keepdims=True)
        token = token @ (mixed / numpy.where(total > 0, total, 1))
    return HeatMap(token[:, 0, 1:].reshape(batch, *attention.grid).astype(numpy.float32))


@rollout.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("attention"), None, None), "float32")


class _Shape(NamedTuple):
    """What a config says: vector width, pixels of a patch's side, rows and columns of patches, classes of the head."""

    width: int
    patch: int
    rows: int
    columns: int
    classes: int


def _open(source: str) -> tuple[Source, _Shape]:
    found = open_source(source).want("vit.load", "a vision transformer, ViT or CLIP", tuple(CLASSES))
    model = found.component("")
    _, within, patch = CLASSES[found.cls]
    width, heads = (spaces.number(model, name, default, within) for name, default in (("hidden_size", 768), ("num_attention_heads", 12)))
    if not heads or width % heads:
        raise SourceError(f"{model}: its config divides a width of {width} among {heads} attention heads, which cannot be; download it again")
    down, across = _pair(model, "patch_size", patch, within)
    height, breadth = _pair(model, "image_size", 224, within)
    return found, _Shape(width, down, height // down, breadth // across, _classes(model) if found.cls == "ViTForImageClassification" else 0)


def _pair(model: Component, name: str, default: int, within: str) -> tuple[int, int]:
    config = model.config.get(within, {}) if within else model.config
    value = config.get(name, default) if isinstance(config, dict) else None
    sides = value if isinstance(value, (list, tuple)) and len(value) == 2 else (value, value)
    if not all(type(side) is int and side > 0 for side in sides):
        raise SourceError(f"{model}: its config has no sensible `{name}`")
    return pair(value)


def _classes(model: Component) -> int:
    """How many; the library takes two where a config says nothing."""
    labels = model.config.get("id2label")
    return len(labels) if isinstance(labels, dict) else spaces.number(model, "num_labels", 2)


def _processor(found: Source, family: str) -> str:
    """The family of the source's image processor. Raises SourceError for one that prepares pictures in a way of its own."""
    config = found.component("image_processor").config
    kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    if not kind:
        return "clip" if family.startswith("clip") else "vit"
    for beginning, known in PROCESSORS.items():
        if kind.startswith(beginning):
            return known
    raise SourceError(f"`{found.name}` prepares pictures with a {kind}; `vit.load` knows those of {', '.join(PROCESSORS)}")


def _seen(config: dict[str, Any], family: str) -> tuple[int | None, int | None]:
    """Height and width of what the processor makes, where its config says them."""
    cropped = config.get("do_center_crop", family.startswith("clip"))
    size = config.get("crop_size" if cropped else "size", 224)
    if isinstance(size, int):
        return size, size
    return (size.get("height"), size.get("width")) if isinstance(size, dict) else (None, None)


def _names(labels: dict[int, Any], count: int) -> tuple[str, ...]:
    """A name a class, no two alike."""
    names = [str(labels.get(i, "")).strip() or f"LABEL_{i}" for i in range(count)]
    often = Counter(names)
    return tuple(name if often[name] == 1 else f"{name} ({i})" for i, name in enumerate(names))
