"""What may flow on an edge: the type algebra and the value classes."""

from .facts import Fact, Known
from .handles import (
    Autoencoder,
    Classifier,
    ClassNames,
    Codebook,
    ContrastiveModel,
    Denoiser,
    Handle,
    ImageEncoder,
    ImageProcessor,
    LanguageModel,
    NoiseSchedule,
    Prior,
    TextEncoder,
    Tokenizer,
)
from .images import Image, Mask
from .spaces import Space
from .value import SOCKETS, C, E, K, NotAccepted, P, S, T, V, Value, X, socket
from .values import (
    Codes,
    Conditioning,
    Constraint,
    Embedding,
    Hidden,
    Labels,
    Latent,
    Logits,
    LogitScale,
    Pixels,
    Prompt,
    Score,
    Seed,
    Text,
    Tokens,
)
from .widgets import Between, Help, ModelSource, Multiline

__all__ = [
    "Autoencoder", "Between", "C", "Classifier", "ClassNames", "Codebook", "Codes", "Conditioning", "Constraint", "ContrastiveModel", "Denoiser",
    "E", "Embedding", "Fact", "Handle", "Help", "Hidden", "Image", "ImageEncoder", "ImageProcessor", "K", "Known", "Labels", "LanguageModel",
    "Latent", "Logits", "LogitScale", "Mask", "ModelSource", "Multiline", "NoiseSchedule", "NotAccepted", "P", "Pixels", "Prior", "Prompt", "S",
    "Score", "Seed", "socket", "SOCKETS", "Space", "T", "Text", "TextEncoder", "Tokenizer", "Tokens", "V", "Value", "X",
]  # fmt: skip
