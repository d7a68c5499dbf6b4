"""Taking a diffusers pipeline folder apart into handles."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import node
from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Source, SourceError, open_source
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

# What diffusers' StableDiffusionPipeline does when nothing is said.
DEFAULTS = {"steps": 50, "guidance": 7.5}


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
    """The parts of a Stable Diffusion pipeline (1 and 2), as recipes; weights are read when a node first needs them.

    The source's own recommendations (steps, guidance, size) go with the denoiser. A source that is missing, incomplete
    or of another kind is an error that says so.

    Reference: diffusers StableDiffusionPipeline.
    """
    found = _open(source)
    tokenizer, encoder, denoiser, schedule, autoencoder = _components(found)
    return Parts(
        make(Tokenizer, tokenizer, "clip", {"length": _length(found)}),
        make(TextEncoder, encoder, "clip_text"),
        make(Denoiser, denoiser, "unet", _settings(found)),
        make(NoiseSchedule, schedule, "noise_schedule"),
        make(Autoencoder, autoencoder, "autoencoder_kl"),
    )


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        tokenizer, encoder, denoiser, schedule, autoencoder = _components(_open(values["source"]))
        return {
            "V": spaces.vocabulary(spaces.number(encoder, "vocab_size", 49408), tokenizer),
            "C": spaces.conditioning("clip", spaces.number(encoder, "hidden_size", 512)),
            "S": spaces.latent(autoencoder),
            "X": spaces.extra(denoiser, autoencoder),
            "P": spaces.prediction(schedule),
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
        found = _open(source)
        _, encoder, denoiser, _, autoencoder = _components(found)
        settings, length = _settings(found), _length(found)
        factor, height, width = settings["factor"], settings["height"], settings["width"]
        return {
            "tokenizer": Fact((None, length)),
            "text_encoder": Fact((None, length, spaces.number(encoder, "hidden_size", 512)), weights=encoder.weights.loaded_bytes),
            "denoiser": Fact((None, settings["channels"], height // factor, width // factor), weights=denoiser.weights.loaded_bytes),
            "autoencoder": Fact((None, 3, height, width), weights=autoencoder.weights.loaded_bytes),
        }
    except (SourceError, OSError):
        return {}


def _open(source: str) -> Source:
    return open_source(source).want("diffusion.load", "a Stable Diffusion pipeline", ("StableDiffusionPipeline",))


def _components(found: Source) -> tuple:
    """The five parts, each of the class this pack can run. Raises SourceError."""
    return found.parts("diffusion.load", {
        "tokenizer": "CLIPTokenizer", "text_encoder": "CLIPTextModel", "unet": "UNet2DConditionModel",
        "scheduler": "Scheduler", "vae": "AutoencoderKL",
    })  # fmt: skip


def _settings(found: Source) -> dict[str, Any]:
    """Recommendations, and what else the sampler must know without reading weights."""
    _, _, denoiser, _, autoencoder = _components(found)
    factor = spaces.factor(autoencoder)
    sizes = denoiser.config.get("sample_size", 64)
    height, width = sizes if isinstance(sizes, list) and len(sizes) == 2 else (sizes, sizes)
    if type(height) is not int or type(width) is not int:
        raise SourceError(f"{denoiser}: its config has no sensible `sample_size`")
    fixed = {"factor": factor, "channels": spaces.number(autoencoder, "latent_channels", 4)}
    return DEFAULTS | {"height": height * factor, "width": width * factor} | found.settings | fixed


def _length(found: Source) -> int:
    return spaces.context_length(found.component("text_encoder"), found.component("tokenizer"))
