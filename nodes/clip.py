"""CLIP: one space for text and pictures, and the similarity within it."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import Context, node
from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.residency import using
from flowmm.models.source import Source, SourceError, open_source
from flowmm.sockets import (
    ContrastiveModel,
    E,
    Embedding,
    Fact,
    Help,
    ImageProcessor,
    Known,
    LogitScale,
    ModelSource,
    Pixels,
    Score,
    Space,
    Tokenizer,
    Tokens,
    V,
)


class Parts(NamedTuple, Generic[V, E]):
    """tokenizer: text to ids.

    processor: pictures to pixels.

    model: both towers.
    """

    tokenizer: Tokenizer[V]
    processor: ImageProcessor[E]
    model: ContrastiveModel[V, E]


@node(version=1, title={"en": "Load CLIP", "zh": "加载 CLIP"}, tags=("clip", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a CLIPModel")]) -> Parts[V, E]:
    """The parts of a CLIP model, as recipes; weights are read when a node first needs them.

    A source that is missing, incomplete or no CLIP is an error that says so.

    Reference: transformers CLIPModel, CLIPTokenizer, CLIPImageProcessor.
    """
    found = _open(source)
    length = {"length": _length(found)}
    return Parts(
        make(Tokenizer, found.component("tokenizer"), "clip", length),
        make(ImageProcessor, found.component("image_processor"), "clip"),
        make(ContrastiveModel, found.component(""), "clip"),
    )


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        found = _open(values["source"])
        model = found.component("")
        vocabulary = spaces.number(model, "vocab_size", within="text_config")
        return {
            "V": spaces.vocabulary(vocabulary, found.component("tokenizer")),
            "E": spaces.encoder(model, "clip", spaces.number(model, "projection_dim", 512)),
        }
    except (KeyError, SourceError, OSError):
        return {}


@load.describe
def _(known: Known) -> dict[str, Fact]:
    """A handle's shape is that of what it makes: ids, pixels."""
    source = known.values.get("source")
    if not isinstance(source, str):
        return {}
    try:
        found = _open(source)
        crop = _crop(found.component("image_processor").config)
        return {
            "tokenizer": Fact((None, _length(found))),
            "processor": Fact((None, 3, *crop)),
            "model": Fact(weights=found.component("").weights.loaded_bytes),
        }
    except (SourceError, OSError):
        return {}


@node(version=1, title={"en": "Encode text", "zh": "文本编码"}, tags=("clip",))
def encode_text(model: ContrastiveModel[V, E], tokens: Tokens[V], *, context: Context) -> Embedding[E]:
    """Texts as vectors, not normalised.

    tokens: [B, L]; returns float32 [B, D].

    Reference: transformers CLIPModel.get_text_features.
    """
    with using(context, model) as clip:
        ids, mask = tokens.ids.to(clip.device), tokens.mask.to(clip.device)
        return Embedding(clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output)


@node(version=1, title={"en": "Encode pictures", "zh": "图像编码"}, tags=("clip",))
def encode_image(model: ContrastiveModel[V, E], pixels: Pixels[E], *, context: Context) -> Embedding[E]:
    """Pictures as vectors, not normalised.

    pixels: [B, 3, H, W]; returns float32 [B, D].

    Reference: transformers CLIPModel.get_image_features.
    """
    with using(context, model) as clip:
        return Embedding(clip.get_image_features(pixel_values=pixels.values.to(clip.device, clip.dtype)).pooler_output)


@encode_text.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("tokens"), known.space("E", "width")), "float32")


@encode_image.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("pixels"), known.space("E", "width")), "float32")


@node(version=1, title={"en": "Normalise embedding", "zh": "嵌入归一化"}, tags=("clip",), lane="device")
def normalise(embedding: Embedding[E]) -> Embedding[E]:
    """Each vector divided by its length, so that the dot product of two is the cosine of their angle.

    embedding: [B, D]; returns [B, D] in the same dtype, each row of length 1.

    Reference: transformers CLIPModel.forward, whose text_embeds and image_embeds these are.
    """
    import torch

    with torch.no_grad():
        return Embedding(_normalised(embedding.values))


@normalise.describe
def _(known: Known) -> Fact:
    return Fact(known.shape("embedding", 2), known.dtype("embedding"))


@node(version=1, title={"en": "Logit scale", "zh": "Logit 缩放"}, tags=("clip",))
def logit_scale(model: ContrastiveModel[V, E], *, context: Context) -> LogitScale[E]:
    """The learned factor that cosines are multiplied with (100 in the published models): a float32 scalar.

    Reference: transformers CLIPModel.logit_scale.exp().
    """
    with using(context, model) as clip:
        return LogitScale(clip.logit_scale.exp())


@logit_scale.describe
def _(known: Known) -> Fact:
    return Fact((), "float32")


@node(version=1, title={"en": "Similarity", "zh": "相似度"}, tags=("clip",), lane="device")
def similarity(text: Embedding[E], image: Embedding[E], scale: LogitScale[E] | None = None) -> Score:
    """How well each text fits each picture: the cosine of their vectors, times the model's scale if it is wired.

    text: [T, D]; image: [I, D]; returns float32 [T, I]: logits_per_text, or cosines from -1 to 1 without a scale.

    Reference: transformers CLIPModel.forward.
    """
    import torch

    with torch.no_grad():
        texts, pictures = _normalised(text.values), _normalised(image.values)
        scores = torch.matmul(texts, pictures.t().to(texts.device))
        return Score(scores if scale is None else scores * scale.value.to(texts.device))


@similarity.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("text"), known.batch("image")), "float32")


def _normalised(vectors: Any) -> Any:
    """In transformers' own order of operations, so that the last bits agree."""
    return vectors / vectors.pow(2).sum(dim=-1, keepdim=True).pow(0.5)


def _open(source: str) -> Source:
    return open_source(source).want("clip.load", "a CLIP model", ("CLIPModel",))


def _length(found: Source) -> int:
    return spaces.context_length(found.component(""), found.component("tokenizer"), "text_config")


def _crop(config: dict[str, Any]) -> tuple[int | None, int | None]:
    """Height and width after cropping, where the config says them."""
    crop = config.get("crop_size", 224)
    if isinstance(crop, int):
        return crop, crop
    return (crop.get("height"), crop.get("width")) if isinstance(crop, dict) else (None, None)
