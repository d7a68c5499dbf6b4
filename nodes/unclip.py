"""unCLIP, the way of DALL-E 2: a prior turns text into a picture's embedding, a decoder paints it. Kandinsky 2.2.

The decoder's denoiser goes into diffusion.sample and its latents into diffusion.decode, as those of every other family do.
"""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import Context, node
from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.residency import using
from flowmm.models.source import Component, Source, SourceError, open_source
from flowmm.sockets import (
    Autoencoder,
    Between,
    C,
    Conditioning,
    Denoiser,
    E,
    Embedding,
    Fact,
    Help,
    ImageEncoder,
    ImageProcessor,
    Known,
    ModelSource,
    NoiseSchedule,
    P,
    Pixels,
    Prior,
    S,
    Seed,
    Space,
    Text,
    TextEncoder,
    Tokenizer,
    V,
    X,
)
from flowmm.sockets.facts import times

from .diffusion.kandinsky import PriorNetwork
from .diffusion.loop import denoise, noise
from .diffusion.pictures import latents_of, painting
from .diffusion.sampling import matched
from .diffusion.schedules import build_scheduler

COMBINED = "KandinskyV22CombinedPipeline"  # both halves in one folder, the prior's parts named prior_…
# What diffusers' KandinskyV22PriorPipeline and KandinskyV22Pipeline do when nothing is said.
PRIOR_DEFAULTS = {"steps": 25, "guidance": 4.0}
DEFAULTS = {"steps": 100, "guidance": 4.0, "height": 512, "width": 512}


class PriorParts(NamedTuple, Generic[V, C, E, P]):
    """tokenizer: prompt to ids.

    text_encoder: ids to what the prior is told.

    prior: text to a picture's embedding.

    schedule: how the embedding is found step by step.

    processor: pictures to pixels.

    image_encoder: pixels to the embedding the prior was trained to foresee.
    """

    tokenizer: Tokenizer[V]
    text_encoder: TextEncoder[V, C]
    prior: Prior[C, E, P]
    schedule: NoiseSchedule[P]
    processor: ImageProcessor[E]
    image_encoder: ImageEncoder[E]


class DecoderParts(NamedTuple, Generic[S, E, X, P]):
    """denoiser: predicts the noise in a latent of a picture with an embedding.

    schedule: how noise is removed.

    autoencoder: latents to pictures.
    """

    denoiser: Denoiser[S, E, X, P]
    schedule: NoiseSchedule[P]
    autoencoder: Autoencoder[S]


@node(version=1, title={"en": "Load prior", "zh": "加载先验模型"}, tags=("unclip", "load"))
def load_prior(source: Annotated[str, ModelSource(), Help("zoo:NAME, or a folder of Kandinsky 2.2: its prior or both halves")]) -> PriorParts[V, C, E, P]:
    """The parts of a Kandinsky 2.2 prior, as recipes; weights are read when a node first needs them.

    A source that is missing, incomplete or of another kind is an error that says so.

    Reference: diffusers KandinskyV22PriorPipeline.
    """
    found = _open_prior(source)
    tokenizer, text_encoder, prior, schedule, processor, image_encoder = _prior(found)
    return PriorParts(
        make(Tokenizer, tokenizer, "clip", {"length": spaces.context_length(text_encoder, tokenizer)}),
        make(TextEncoder, text_encoder, "clip_text_projected"),
        make(Prior, prior, "kandinsky_prior", PRIOR_DEFAULTS | _recommended(found)),
        make(NoiseSchedule, schedule, "noise_schedule"),
        make(ImageProcessor, processor, "clip"),
        make(ImageEncoder, image_encoder, "clip_vision_projected"),
    )


@load_prior.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        tokenizer, text_encoder, prior, schedule, _, image_encoder = _prior(_open_prior(values["source"]))
        pooled = spaces.number(text_encoder, "projection_dim", 512)
        return {
            "V": spaces.vocabulary(spaces.number(text_encoder, "vocab_size", 49408), tokenizer),
            "C": spaces.conditioning("clip", spaces.number(text_encoder, "hidden_size", 512), pooled=pooled),
            "E": spaces.encoder(image_encoder, "clip", spaces.number(prior, "embedding_dim", 768)),
            "P": spaces.prediction(schedule),
        }
    except (KeyError, TypeError, ValueError, OSError):  # SourceError is a ValueError
        return {}


@load_prior.describe
def _(known: Known) -> dict[str, Fact]:
    """A handle's shape is that of what it makes: ids, what the prior is told, embeddings, pixels."""
    source = known.values.get("source")
    if not isinstance(source, str):
        return {}
    try:
        tokenizer, text_encoder, prior, _, _, image_encoder = _prior(_open_prior(source))
        length, width = spaces.context_length(text_encoder, tokenizer), spaces.number(prior, "embedding_dim", 768)
        size = spaces.number(image_encoder, "image_size", 224)
        return {
            "tokenizer": Fact((None, length)),
            "text_encoder": Fact((None, length, spaces.number(text_encoder, "hidden_size", 512)), weights=text_encoder.weights.loaded_bytes),
            "prior": Fact((None, width), weights=prior.weights.loaded_bytes),
            "processor": Fact((None, 3, size, size)),
            "image_encoder": Fact((None, width), weights=image_encoder.weights.loaded_bytes),
        }
    except (SourceError, OSError):
        return {}


@node(version=1, title={"en": "Load unCLIP decoder", "zh": "加载 unCLIP 解码器"}, tags=("unclip", "load"))
def load_decoder(
    source: Annotated[str, ModelSource(), Help("zoo:NAME, or a folder of Kandinsky 2.2: its decoder or both halves")],
) -> DecoderParts[S, E, X, P]:
    """The parts of a Kandinsky 2.2 decoder, as recipes; weights are read when a node first needs them.

    A source that is missing, incomplete or of another kind is an error that says so.

    Reference: diffusers KandinskyV22Pipeline.
    """
    found = _open_decoder(source)
    denoiser, schedule, autoencoder = _decoder(found)
    return DecoderParts(
        make(Denoiser, denoiser, "kandinsky", _settings(found)),
        make(NoiseSchedule, schedule, "noise_schedule"),
        make(Autoencoder, autoencoder, "movq"),
    )


@load_decoder.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        denoiser, schedule, autoencoder = _decoder(_open_decoder(values["source"]))
        return {
            "S": spaces.latent(autoencoder),
            # A decoder's files do not say whose embeddings it paints, only how wide they are.
            "E": Space.of("encoder", family="clip", width=spaces.number(denoiser, "encoder_hid_dim")),
            "X": spaces.extra(denoiser, autoencoder),
            "P": spaces.prediction(schedule),
        }
    except (KeyError, TypeError, ValueError, OSError):
        return {}


@load_decoder.describe
def _(known: Known) -> dict[str, Fact]:
    """A handle's shape is that of what it makes when no size is given: latents, pixels."""
    source = known.values.get("source")
    if not isinstance(source, str):
        return {}
    try:
        found = _open_decoder(source)
        denoiser, _, autoencoder = _decoder(found)
        return painting(denoiser, autoencoder, _settings(found))
    except (SourceError, OSError):
        return {}


@node(version=1, title={"en": "Encode prompt for a prior", "zh": "为先验模型编码提示词"}, tags=("unclip",))
def encode_prompt(tokenizer: Tokenizer[V], encoder: TextEncoder[V, C], text: Text, *, context: Context) -> Conditioning[C]:
    """Turn prompts into what a prior is told: the text's vector, one a token, and which tokens count.

    text: B prompts; each is padded or cut to the encoder's length L (77 in the published models).
    Returns hidden float32 [B, L, D], pooled [B, P] and mask int64 [B, L].

    Reference: diffusers KandinskyV22PriorPipeline._encode_prompt.
    """
    with using(context, tokenizer) as words:
        length = tokenizer.setting("length", words.model_max_length)
        coded = words(list(text), padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    with using(context, encoder) as model:
        made = model(coded.input_ids.to(model.device))
        return Conditioning(made.last_hidden_state, made.text_embeds, coded.attention_mask)


@encode_prompt.describe
def _(known: Known) -> Fact:
    _, length, width = known.shape("encoder", 3)
    return Fact((known.batch("text"), length, width or known.space("C", "width")), "float32")


@node(version=1, title={"en": "Sample prior", "zh": "先验采样"}, tags=("unclip",))
def sample_prior(
    prior: Prior[C, E, P],
    schedule: NoiseSchedule[P],
    positive: Conditioning[C],
    negative: Conditioning[C] | None = None,
    *,
    seed: Seed,
    steps: Annotated[int | None, Between(2, 1000), Help("Left out: what the model recommends")] = None,
    guidance: Annotated[float | None, Between(0, 100), Help("How strongly the prompt rules; 1 or less: no guidance, half the work")] = None,
    count: Annotated[int, Between(1, 64), Help("Embeddings a prompt")] = 1,
    context: Context,
) -> Embedding[E]:
    """Imagine the embedding of a picture that a prompt describes, step by step from noise.

    positive: B prompts; negative: what to stay away from, B or 1, usually the encoded empty text; needed when guidance
    is above 1. Item i draws from seed + i, alone or in company. Returns float32 [B·count, D], those of one prompt next
    to each other.

    Reference: diffusers KandinskyV22PriorPipeline.__call__ with a list of generators.
    """
    steps = prior.setting("steps", 25) if steps is None else steps
    guidance = prior.setting("guidance", 4.0) if guidance is None else guidance
    if guidance > 1 and negative is None:
        raise ValueError(f"guidance {guidance:g} needs `negative`: wire the encoded empty text to it, or set guidance to 1")
    positive, negative = matched(positive, negative if guidance > 1 else None, count)
    stepper = build_scheduler(context.load(schedule), None)
    with using(context, prior) as module:
        predict = PriorNetwork(module, stepper, guidance)
        generators = context.generators(seed.value, len(positive.hidden))
        predict.tell(positive, negative)
        stepper.set_timesteps(steps, device=module.device)
        start = noise((module.config.embedding_dim,), generators, module) * stepper.init_noise_sigma
        return Embedding(module.post_process_latents(denoise(predict, stepper, start, stepper.timesteps, generators, context)))


@sample_prior.describe
def _(known: Known) -> Fact:
    count = None if "count" in known.facts else known.values.get("count")
    return Fact((times(known.batch("positive"), count), known.shape("prior", 2)[1] or known.space("E", "width")), "float32")


@node(version=1, title={"en": "Encode pictures for a decoder", "zh": "为解码器编码图像"}, tags=("unclip",))
def encode_image(encoder: ImageEncoder[E], pixels: Pixels[E], *, context: Context) -> Embedding[E]:
    """Pictures as the embeddings a decoder paints: what it makes of them are variations.

    pixels: [B, 3, H, W]; returns float32 [B, D].

    Reference: transformers CLIPVisionModelWithProjection, as in diffusers KandinskyV22PriorPipeline.interpolate.
    """
    with using(context, encoder) as model:
        return Embedding(model(pixels.values.to(model.device, model.dtype)).image_embeds)


@encode_image.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("pixels"), known.shape("encoder", 2)[1] or known.space("E", "width")), "float32")


@node(version=1, title={"en": "Embedding of no picture", "zh": "空图像嵌入"}, tags=("unclip",))
def empty_picture(encoder: ImageEncoder[E], *, context: Context) -> Embedding[E]:
    """What a decoder's guidance leads away from where no negative prompt is given: the embedding of pixels that are all 0.

    Returns float32 [1, D].

    Reference: diffusers KandinskyV22PriorPipeline.get_zero_embed.
    """
    import torch

    with using(context, encoder) as model:
        size = model.config.image_size
        return Embedding(model(torch.zeros(1, 3, size, size, device=model.device, dtype=model.dtype)).image_embeds)


@empty_picture.describe
def _(known: Known) -> Fact:
    return Fact((1, known.shape("encoder", 2)[1] or known.space("E", "width")), "float32")


@node(version=1, title={"en": "Condition on embedding", "zh": "以嵌入为条件"}, tags=("unclip",), lane="device")
def condition(embedding: Embedding[E]) -> Conditioning[E]:
    """Pictures' embeddings as what a decoder is told.

    embedding: [B, D], from a prior or an image encoder; returns hidden float32 [B, 1, D].

    Reference: the image_embeds of diffusers KandinskyV22Pipeline.
    """
    return Conditioning(embedding.values[:, None])


@condition.describe
def _(known: Known) -> Fact:
    batch, width = known.shape("embedding", 2)
    return Fact((batch, 1, width), "float32")


def _open_prior(source: str) -> Source:
    return open_source(source).want("unclip.load_prior", "a prior of Kandinsky 2.2", ("KandinskyV22PriorPipeline", COMBINED))


def _open_decoder(source: str) -> Source:
    return open_source(source).want("unclip.load_decoder", "a decoder of Kandinsky 2.2", ("KandinskyV22Pipeline", COMBINED))


def _prior(found: Source) -> tuple[Component, ...]:
    """The parts of a prior, each of a class this pack can run. Raises SourceError."""
    wanted = {
        "tokenizer": "CLIPTokenizer", "text_encoder": "CLIPTextModelWithProjection", "prior": "PriorTransformer",
        "scheduler": "Scheduler", "image_processor": "CLIPImageProcessor", "image_encoder": "CLIPVisionModelWithProjection",
    }  # fmt: skip
    return found.parts("unclip.load_prior", {_prefix(found) + name: cls for name, cls in wanted.items()})


def _decoder(found: Source) -> tuple[Component, ...]:
    """The parts of a decoder, each of a class this pack can run. Raises SourceError."""
    parts = found.parts("unclip.load_decoder", {"unet": "UNet2DConditionModel", "scheduler": "Scheduler", "movq": "VQModel"})
    told = parts[0].config.get("addition_embed_type")
    if told != "image":
        raise SourceError(f"`unclip.load_decoder` wants a denoiser that is told a picture's embedding; {parts[0]} is told {told or 'none'}")
    return parts


def _prefix(found: Source) -> str:
    return "prior_" if found.cls == COMBINED else ""


def _recommended(found: Source) -> dict[str, Any]:
    """The source's own settings for the prior: in a folder of both halves those named prior_…"""
    prefix = _prefix(found)
    return {name.removeprefix(prefix): value for name, value in found.settings.items() if name.startswith(prefix)}


def _settings(found: Source) -> dict[str, Any]:
    """Recommendations, and what else the sampler must know without reading weights."""
    _, _, autoencoder = _decoder(found)
    return DEFAULTS | found.settings | latents_of(autoencoder)
