"""Denoisers: one small adapter a family, so that one sampler serves them all."""

from __future__ import annotations

from .dit import DiT
from .guided import Guided
from .kandinsky import Kandinsky
from .unet import Edit, UNet

DENOISERS: dict[str, type[Guided]] = {"unet": UNet, "unet_edit": Edit, "dit": DiT, "kandinsky": Kandinsky}
