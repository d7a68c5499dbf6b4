"""Kandinsky 2.2: the prior dreams up a picture's embedding, the decoder paints it."""

from __future__ import annotations

import inspect
from functools import cached_property
from typing import Any

from flowmm.sockets import Conditioning

from .guided import Guided

LEARNED = ("learned", "learned_range")


class Kandinsky(Guided):
    """diffusers' UNet2DConditionModel of Kandinsky 2.2, told a picture's embedding; it predicts the noise and its variance."""

    def prompt(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """The embedding of every item; once for all steps."""
        self.told = {"image_embeds": self.both(negative and negative.hidden, positive.hidden)[:, 0]}

    def network(self, noisy: Any, timestep: Any, step: int) -> Any:
        made = self.module(noisy, timestep, encoder_hidden_states=None, added_cond_kwargs=self.told, return_dict=False)[0]
        return made if self.learned else made[:, : self.channels]

    def guide(self, prediction: Any) -> Any:
        if not self.learned:
            return super().guide(prediction)
        import torch

        noise, variance = prediction.split(self.channels, dim=1)
        return torch.cat([super().guide(noise), variance.chunk(2)[1]], dim=1)

    @cached_property
    def learned(self) -> bool:
        """Whether the scheduler reads the variance: a config that speaks of it may have come from another class."""
        own = inspect.signature(type(self.stepper).__init__).parameters
        return "variance_type" in own and self.stepper.config.variance_type in LEARNED


class PriorNetwork(Guided):
    """diffusers' PriorTransformer, told the text's vector, its tokens' and which of them count."""

    def prompt(self, positive: Conditioning, negative: Conditioning | None) -> None:
        """What the network is told; once for all steps."""
        names = {"proj_embedding": "pooled", "encoder_hidden_states": "hidden", "attention_mask": "mask"}
        self.told = {name: self.both(negative and getattr(negative, field), getattr(positive, field)) for name, field in names.items()}

    def network(self, noisy: Any, timestep: Any, step: int) -> Any:
        return self.module(noisy, timestep=timestep, return_dict=False, **self.told)[0]
