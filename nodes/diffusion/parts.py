"""Taking a Stable Diffusion pipeline apart into handles: 1, 2 and XL, for painting, inpainting and editing."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import node
from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Component, Source, SourceError, open_source
from flowmm.sockets import (
    Autoencoder,
    C,
    Denoiser,
    Fact,
    Help,
    Known,
    ModelSource,
    NoiseSchedule,
    P,
    S,
    Space,
    TextEncoder,
    Tokenizer,
    V,
    X,
)

from .pictures import latents_of, painting

# What the diffusers pipelines do when nothing is said.
STABLE = {"steps": 50, "guidance": 7.5}
XL = {"steps": 50, "guidance": 5.0}
PIPELINES: dict[str, dict[str, Any]] = {
    "StableDiffusionPipeline": STABLE,
    "StableDiffusionImg2ImgPipeline": STABLE,
    "StableDiffusionInpaintPipeline": STABLE,
    "StableDiffusionControlNetPipeline": STABLE,
    "StableDiffusionInstructPix2PixPipeline": {"steps": 100, "guidance": 7.5, "image_guidance": 1.5},
    "StableDiffusionXLPipeline": XL,
    "StableDiffusionXLImg2ImgPipeline": XL | {"guidance": 7.5},
    "StableDiffusionXLInpaintPipeline": XL | {"guidance": 7.5},
    "StableDiffusionXLControlNetPipeline": XL,
}
CLASSES = {"unet": "UNet2DConditionModel", "scheduler": "Scheduler", "vae": "AutoencoderKL"}


class Parts(NamedTuple, Generic[V, C, S, X, P]):
    """tokenizer: prompt to ids.

    text_encoder: ids to conditioning.

    denoiser: predicts the noise in a latent.

    schedule: how noise is removed.

    autoencoder: latents to pictures.
    """

    tokenizer: Tokenizer[V]
    text_encoder: TextEncoder[V, C]
    denoiser: Denoiser[S, C, X, P]
    schedule: NoiseSchedule[P]
    autoencoder: Autoencoder[S]


@node(version=1, title={"en": "Load diffusion model", "zh": "加载扩散模型"}, tags=("diffusion", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a Stable Diffusion pipeline")]) -> Parts[V, C, S, X, P]:
    """The parts of a Stable Diffusion pipeline (1, 2, XL), as recipes; weights are read when a node first needs them.

    The source's own recommendations (steps, guidance, size) go with the denoiser. The two text encoders of XL are one
    handle. A source that is missing, incomplete or of another kind is an error that says so.

    Reference: diffusers StableDiffusionPipeline, StableDiffusionXLPipeline and their inpainting and editing relatives.
    """
    found = _Found(source)
    size = {name: found.settings[name] for name in ("height", "width", "factor")}
    return Parts(
        make(Tokenizer, found.tokenizer, "+".join("clip" for _ in found.encoders), {"length": found.length}),
        make(TextEncoder, found.encoder, "+".join(map(_family, found.encoders)), {"force_zeros": found.force_zeros}),
        make(Denoiser, found.denoiser, "unet_edit" if found.edits else "unet", found.settings),
        make(NoiseSchedule, found.schedule, "noise_schedule"),
        make(Autoencoder, found.autoencoder, "autoencoder_kl", size),
    )


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        found = _Found(values["source"])
        return {
            "V": spaces.vocabulary(spaces.number(found.encoders[0], "vocab_size", 49408), found.tokenizer),
            "C": found.conditioning,
            "S": spaces.latent(found.autoencoder),
            "X": spaces.extra(found.denoiser, found.autoencoder),
            "P": spaces.prediction(found.schedule),
        }
    except (KeyError, TypeError, ValueError, OSError):  # SourceError is a ValueError
        return {}


@load.describe
def _(known: Known) -> dict[str, Fact]:
    """A handle's shape is that of what it makes when no size is given: ids, conditioning, latents, pixels."""
    source = known.values.get("source")
    if not isinstance(source, str):
        return {}
    try:
        found = _Found(source)
        return {
            "tokenizer": Fact((None, found.length)),
            "text_encoder": Fact((None, found.length, found.width), weights=found.encoder.weights.loaded_bytes),
            **painting(found.denoiser, found.autoencoder, found.settings),
        }
    except (SourceError, OSError):
        return {}


class _Found:
    """A pipeline's parts, each of a class this pack can run. Raises SourceError."""

    def __init__(self, name: str):
        source = open_source(name).want("diffusion.load", "a Stable Diffusion pipeline", tuple(PIPELINES))
        self.denoiser, self.schedule, self.autoencoder = source.parts("diffusion.load", CLASSES)
        # XL has two text encoders, its refiner the second alone.
        numbers = [end for end in ("", "_2") if f"text_encoder{end}" in source.components] or [""]
        wanted = {f"{part}{end}": cls for end in numbers for part, cls in (("tokenizer", "CLIPTokenizer"), ("text_encoder", "CLIPTextModel"))}
        every = source.parts("diffusion.load", wanted)
        self.tokenizers, self.encoders = every[::2], every[1::2]
        self.tokenizer, self.encoder = (source.joined(*(f"{part}{end}" for end in numbers)) for part in ("tokenizer", "text_encoder"))
        self.length = min(map(spaces.context_length, self.encoders, self.tokenizers))
        self.width = sum(spaces.number(encoder, "hidden_size", 512) for encoder in self.encoders)
        self.force_zeros = bool(source.options.get("force_zeros_for_empty_prompt", source.cls.startswith("StableDiffusionXL")))
        self.settings = self._settings(source)
        self.conditioning = self._conditioning()

    @property
    def edits(self) -> bool:
        """Whether the denoiser sees a picture beside the noise, and no mask: InstructPix2Pix."""
        return self.settings["extra"] == self.settings["channels"]

    def _settings(self, source: Source) -> dict[str, Any]:
        """Recommendations, and what else the sampler must know without reading weights."""
        fixed, sizes = latents_of(self.autoencoder), self.denoiser.config.get("sample_size", 64)
        height, width = sizes if isinstance(sizes, list) and len(sizes) == 2 else (sizes, sizes)
        if type(height) is not int or type(width) is not int:
            raise SourceError(f"{self.denoiser}: its config has no sensible `sample_size`")
        fixed["extra"] = spaces.number(self.denoiser, "in_channels", 4) - fixed["channels"]
        return PIPELINES[source.cls] | {"height": height * fixed["factor"], "width": width * fixed["factor"]} | source.settings | fixed

    def _conditioning(self) -> Space:
        """C, as the denoiser's own config has it. Raises SourceError where its text encoder speaks another."""
        width = self.denoiser.config.get("cross_attention_dim", 1280)
        if width != self.width:
            raise SourceError(f"{self.denoiser} wants conditioning {width} wide, but {self.encoder} makes it {self.width} wide: "
                              "the two are not of one model")  # fmt: skip
        pooled = spaces.number(self.encoders[-1], "projection_dim", 512) if _family(self.encoders[-1]) == "clip_text_projected" else 0
        return spaces.conditioning("clip", width, pooled)


def _family(encoder: Component) -> str:
    return "clip_text_projected" if "WithProjection" in encoder.cls else "clip_text"
