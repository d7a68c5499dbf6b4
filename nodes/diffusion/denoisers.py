"""Denoisers: one small adapter a family, so that one sampler serves them all."""

from __future__ import annotations

from typing import Any

from flowmm.sockets import Conditioning


class UNet:
    """diffusers' UNet2DConditionModel of Stable Diffusion 1 and 2. channels: of its input."""

    def __init__(self, module: Any):
        self.module = module
        self.channels: int = module.config.in_channels

    def join(self, negative: Conditioning | None, positive: Conditioning) -> dict[str, Any]:
        """The conditioning of one call: unconditional items first, as diffusers has them."""
        import torch

        hidden = positive.hidden.to(self.module.device)
        if negative is not None:
            hidden = torch.cat([negative.hidden.to(self.module.device), hidden])
        return {"encoder_hidden_states": hidden}

    def __call__(self, latents: Any, timestep: Any, joined: dict[str, Any]) -> Any:
        """The prediction, [B, C, h, w] like the latents."""
        return self.module(latents, timestep, **joined, return_dict=False)[0]


DENOISERS = {"unet": UNet}
