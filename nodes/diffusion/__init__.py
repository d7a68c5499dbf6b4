"""Diffusion: text to pictures through a denoiser, a noise schedule and an autoencoder."""

from .codec import decode
from .parts import load
from .prompt import encode_prompt
from .sampling import sample

__all__ = ["decode", "encode_prompt", "load", "sample"]
