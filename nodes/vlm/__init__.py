"""Vision-language models: pictures and a question in, text out."""

from .parts import load
from .prompt import prompt

__all__ = ["load", "prompt"]
