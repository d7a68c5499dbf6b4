"""Denoisers: one small adapter a family, so that one sampler serves them all."""

from __future__ import annotations

from typing import Any

from flowmm.sockets import Conditioning

from .dit import DiT
from .guided import Guided
from .kandinsky import Kandinsky


class UNet(Guided):
    """diffusers' UNet2DConditionModel of Stable Diffusion 1 and 2."""

    def prompt(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """What the network attends to; once for all steps."""
        self.hidden = self.both(negative and negative.hidden, positive.hidden)

    def network(self, noisy: Any, timestep: Any, step: int) -> Any:
        return self.module(noisy, timestep, encoder_hidden_states=self.hidden, return_dict=False)[0]


DENOISERS = {"unet": UNet, "dit": DiT, "kandinsky": Kandinsky}
