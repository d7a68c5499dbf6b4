"""Vision-language models: pictures and a question in, text out."""

from .parts import load
from .prompt import caption_prompt, prompt

__all__ = ["caption_prompt", "load", "prompt"]
