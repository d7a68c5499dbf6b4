"""Config files → spaces: what must agree for two parts to fit together."""

from __future__ import annotations

from typing import Any

from ..sockets import Space
from .source import Component, SourceError

LATENT_DEFAULTS = {"latent_channels": 4, "scaling_factor": 0.18215, "block_out_channels": [64]}
SCHEDULE_DEFAULTS = {
    "prediction_type": "epsilon", "beta_schedule": "linear", "beta_start": 0.0001, "beta_end": 0.02,
    "num_train_timesteps": 1000, "rescale_betas_zero_snr": False,
}  # fmt: skip


def vocabulary(size: int, tokenizer: Component) -> Space:
    """V: how many ids there are; another tokenizer of the same size is allowed, and warned about."""
    return Space.of("vocabulary", {"tokenizer": tokenizer.fingerprint}, size=size)


def encoder(model: Component, family: str, width: int, **more: int) -> Space:
    """E: the space of an encoder's vectors; other weights of the same width are allowed, and warned about. more: such as its patch."""
    return Space.of("encoder", {"weights": model.fingerprint}, family=family, width=width, **more)


def conditioning(family: str, width: int, pooled: int = 0) -> Space:
    """C: what a denoiser attends to. pooled: the width of what it is told of the prompt as a whole, where it is."""
    return Space.of("conditioning", family=family, width=width, **({"pooled": pooled} if pooled else {}))


def classes(count: int) -> Space:
    """C of a class-conditional denoiser: how many classes it tells apart."""
    return Space.of("conditioning", family="class", classes=count)


def codebook(part: Component, size: int, width: int, factor: int) -> Space:
    """K: how many codes there are, numbers in each, pixels along a code's side; other weights of the same kind are allowed, and warned about."""
    return Space.of("codebook", {"weights": part.fingerprint}, size=size, width=width, factor=factor)


def no_codes() -> Space:
    """K of a language model that draws no pictures."""
    return Space.of("codebook", size=0)


def no_pictures() -> Space:
    """E of a language model that reads no pictures."""
    return Space.of("encoder", family="none", width=0)


def latent(autoencoder: Component) -> Space:
    """S: an autoencoder's latents as the denoiser sees them; MoVQ's are not scaled, whatever its config says."""
    config = autoencoder.config
    return Space.of(
        "latent",
        channels=number(autoencoder, "latent_channels", LATENT_DEFAULTS["latent_channels"]),
        factor=factor(autoencoder),
        scale=1.0 if "VQModel" in autoencoder.cls else float(config.get("scaling_factor") or LATENT_DEFAULTS["scaling_factor"]),
        shift=float(config.get("shift_factor") or 0.0),
    )


def factor(autoencoder: Component) -> int:
    """Pixels along a latent's side: two for each level but the first."""
    levels = autoencoder.config.get("block_out_channels") or LATENT_DEFAULTS["block_out_channels"]
    if not isinstance(levels, list) or not 1 <= len(levels) <= 16:
        raise SourceError(f"{autoencoder}: its config has no sensible `block_out_channels`")
    return 2 ** (len(levels) - 1)


def extra(denoiser: Component, autoencoder: Component) -> Space:
    """X: input channels beyond the latent's own (inpainting 5, edit 4)."""
    channels = number(denoiser, "in_channels", 4) - number(autoencoder, "latent_channels", LATENT_DEFAULTS["latent_channels"])
    return Space.of("extra", channels=channels)


def prediction(schedule: Component) -> Space:
    """P: what the denoiser predicts, and the noise it was trained with."""
    config = SCHEDULE_DEFAULTS | {name: value for name, value in schedule.config.items() if value is not None}
    return Space.of(
        "prediction",
        predicts=str(config["prediction_type"]), betas=str(config["beta_schedule"]),
        start=float(config["beta_start"]), end=float(config["beta_end"]),
        timesteps=int(config["num_train_timesteps"]), zero_snr=bool(config["rescale_betas_zero_snr"]),
    )  # fmt: skip


def context_length(encoder: Component, tokenizer: Component, within: str = "", default: int = 77) -> int:
    """Tokens a text is cut to: the positions its encoder has (`default` where its config is silent), or fewer if the tokenizer says so."""
    positions = number(encoder, "max_position_embeddings", default, within)
    stated = tokenizer.config.get("model_max_length")
    return int(stated) if isinstance(stated, (int, float)) and 1 <= stated < positions else positions


def number(component: Component, name: str, default: int | None = None, within: str = "") -> int:
    """A whole number of a config, maybe of a part of it. Raises SourceError."""
    config: Any = component.config.get(within, {}) if within else component.config
    value = config.get(name, default) if isinstance(config, dict) else None
    if type(value) is not int or value < 0:
        raise SourceError(f"{component}: its config has no sensible `{within + '.' if within else ''}{name}`")
    return value
