"""CLIP: one space for text and pictures, and the similarity within it."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, NamedTuple

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
    Image,
    ImageProcessor,
    Known,
    LogitScale,
    ModelSource,
    Pixels,
    Score,
    Space,
    Text,
    Tokenizer,
    Tokens,
    V,
)

LARGEST_RESIZED = 2**26  # pixels a picture may have after resizing its shorter side


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
        make(Tokenizer, found.component("tokenizer"), "clip_tokenizer", length),
        make(ImageProcessor, found.component("image_processor"), "clip_image_processor"),
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


@node(version=1, title={"en": "Tokenize", "zh": "分词"}, tags=("clip",))
def tokenize(
    tokenizer: Tokenizer[V],
    text: Text,
    *,
    padding: Annotated[Literal["longest", "max_length"], Help("How far shorter texts are filled up")] = "longest",
    context: Context,
) -> Tokens[V]:
    """Turn texts into ids; what is longer than the model's context is cut, as CLIP does.

    text: B strings, empty ones too. Returns int64 [B, L], L ≤ the context length (77 in the published models).

    Reference: transformers CLIPTokenizer(text, padding=True, truncation=True).
    """
    with using(context, tokenizer) as made:
        length = tokenizer.setting("length", made.model_max_length)
        coded = made(list(text), padding=padding, truncation=True, max_length=length, return_tensors="pt")
    return Tokens(coded.input_ids, coded.attention_mask)


@tokenize.describe
def _(known: Known) -> Fact:
    length = known.shape("tokenizer", 2)[1] if known.values.get("padding") == "max_length" else None
    return Fact((known.batch("text"), length), "int64")


@node(version=1, title={"en": "Preprocess pictures", "zh": "图片预处理"}, tags=("clip",))
def preprocess(processor: ImageProcessor[E], image: Image | list[Image], *, context: Context) -> Pixels[E]:
    """Resize, crop and normalise pictures as the model was trained to see them. Float pictures are rounded to 8 bits first.

    image: [B, 3, H, W], or a list of pictures of any sizes. Returns float32 [B, 3, h, w]. A picture so narrow that
    resizing its shorter side would make it enormous is an error.

    Reference: transformers CLIPImageProcessor, through Pillow.
    """
    images = image if isinstance(image, list) else [image]
    pictures = [one.to_pil(i) for one in images for i in range(len(one))]
    if not pictures:
        raise ValueError("there is no picture to preprocess")
    with using(context, processor) as made:
        shortest = (made.size or {}).get("shortest_edge") if made.do_resize else None
        for picture in pictures if shortest else ():
            low, high = sorted(picture.size)
            if shortest * shortest * high / low > LARGEST_RESIZED:
                raise ValueError(f"a picture of {picture.width}×{picture.height} is too narrow for CLIP; crop it first")
        values = made(images=pictures, return_tensors="pt")["pixel_values"]
    return Pixels(values)


@preprocess.describe
def _(known: Known) -> Fact:
    fact = known.facts.get("image")
    single = fact is not None and fact.count == 1 and fact.shape
    return Fact((fact.shape[0] if single else None, 3, *known.shape("processor", 4)[2:]), "float32")


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
        return Embedding(clip.get_image_features(pixel_values=pixels.values.to(clip.device)).pooler_output)


@encode_text.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("tokens"), known.space("E", "width")), "float32")


@encode_image.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("pixels"), known.space("E", "width")), "float32")


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
