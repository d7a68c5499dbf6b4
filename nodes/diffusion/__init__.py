"""Diffusion: text to pictures through a denoiser, a noise schedule and an autoencoder; pictures inpainted, edited, steered."""

from .codec import decode
from .control import control, load_control
from .encode import encode, encode_edited, encode_masked, fit
from .lora import with_lora, with_lora_text
from .mixing import combine, zero
from .parts import load
from .prompt import encode_prompt
from .sampling import sample

__all__ = ["combine", "control", "decode", "encode", "encode_edited", "encode_masked", "encode_prompt", "fit", "load", "load_control", "sample",
           "with_lora", "with_lora_text", "zero"]  # fmt: skip
