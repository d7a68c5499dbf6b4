"""Autoregressive models: text or pictures, one id after the other."""

from .parts import load
from .prompt import constrain, picture_prompt
from .sampling import sample_codes, sample_text

__all__ = ["constrain", "load", "picture_prompt", "sample_codes", "sample_text"]
