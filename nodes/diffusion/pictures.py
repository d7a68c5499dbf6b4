"""Pictures and masks as an autoencoder wants them: sized to its factor, -1…1."""

from __future__ import annotations

import math
from typing import Any

from flowmm.models import spaces
from flowmm.models.source import Component
from flowmm.sockets import Autoencoder, Fact, Image, Known


def sized(height: int, width: int, autoencoder: Autoencoder, given: tuple[int | None, int | None], fit: bool) -> tuple[int, int]:
    """Pixels a picture of this height and width is encoded at. Raises ValueError for a given size that is no multiple.

    given: height and width asked for. fit: no more pixels than the model was trained on, proportions kept.
    """
    factor = autoencoder.setting("factor", 8)
    area = autoencoder.setting("height", 512) * autoencoder.setting("width", 512) if fit else None
    found = own_size(height, width, factor, area)
    if not all(found) and None in given:
        raise ValueError(f"a picture of {width}×{height} is too narrow for this model, which sees {factor}×{factor} pixels as one: "
                         "enlarge it, or give width and height")  # fmt: skip
    return tuple(multiple(name, size, factor) if size else own for name, size, own in zip(("height", "width"), given, found))


def own_size(height: int, width: int, factor: int, area: int | None = None) -> tuple[int, int]:
    """A picture's own size, down to the next multiple of the factor; scaled down to an area if it is larger."""
    scale = min(1.0, math.sqrt(area / (height * width))) if area else 1.0
    return tuple(int(side * scale) // factor * factor for side in (height, width))


def multiple(name: str, size: int, factor: int) -> int:
    """The size, if it is a multiple of the factor. Raises ValueError."""
    if size % factor:
        raise ValueError(f"{name} {size} is no multiple of {factor}; try {max(factor, round(size / factor) * factor)}")
    return size


def foretold(known: Known, port: str = "image") -> tuple[int | None, int | None]:
    """For describe rules: what `sized` will give, where it is known."""
    _, _, height, width = known.shape(port, 4)
    _, _, tall, wide = known.shape("autoencoder", 4)
    factor, fit = known.space("S", "factor"), known.values.get("fit", False)
    given = [known.values.get(name) for name in ("height", "width")]
    wired = [name in known.facts for name in ("height", "width")]
    own: tuple[int | None, int | None] = (None, None)
    if None not in (height, width, factor) and "fit" not in known.facts and not (fit and None in (tall, wide)):
        own = own_size(height, width, factor, tall * wide if fit else None)
    return tuple(None if open_ else size or one for open_, size, one in zip(wired, given, own))


def prepared(image: Image, factor: int, height: int, width: int, **options: Any) -> Any:
    """float32 [B, C, H, W] as diffusers' VaeImageProcessor with these options makes it."""
    import torch
    from diffusers.image_processor import VaeImageProcessor

    processor = VaeImageProcessor(vae_scale_factor=factor, **options)
    whole = image.pixels.dtype == "float32" and (image.height, image.width) == (height, width)
    # Floats that fit stay exact; anything else is resized as the 8-bit picture a person would hand to the pipeline.
    given = torch.tensor(image.pixels) if whole else [image.to_pil(i) for i in range(len(image))]
    return processor.preprocess(given, height=height, width=width)


def latents_of(autoencoder: Component) -> dict[str, Any]:
    """What the sampler must know of the latents it paints without reading weights; goes into the denoiser's settings."""
    space = dict(spaces.latent(autoencoder).facts)
    return {"factor": space["factor"], "channels": space["channels"], "scale": space["scale"], "autoencoder": autoencoder.name}


def painting(denoiser: Component, autoencoder: Component, settings: dict[str, Any]) -> dict[str, Fact]:
    """For describe rules of loaders: latents and pixels of a picture when no size is given, and the weights behind them."""
    factor, height, width = settings["factor"], settings["height"], settings["width"]
    return {
        "denoiser": Fact((None, settings["channels"], height // factor, width // factor), weights=denoiser.weights.loaded_bytes),
        "autoencoder": Fact((None, 3, height, width), weights=autoencoder.weights.loaded_bytes),
    }
