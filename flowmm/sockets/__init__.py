"""What may flow on an edge: the type algebra and the value classes."""

from .facts import Fact, Known
from .handles import (
    Autoencoder,
    Classifier,
    ClassNames,
    Codebook,
    ContrastiveModel,
    ControlNet,
    Denoiser,
    Handle,
    ImageEncoder,
    ImageProcessor,
    LanguageModel,
    NoiseSchedule,
    Prior,
    Scorer,
    TextEncoder,
    Tokenizer,
)
from .images import Image, Mask
from .spaces import Space
from .value import SOCKETS, C, E, K, NotAccepted, P, S, T, V, Value, X, socket
from .values import (
    Attention,
    Codes,
    Combined,
    Conditioning,
    Constraint,
    Control,
    Embedding,
    Extra,
    FeatureMap,
    HeatMap,
    Hidden,
    Labels,
    Latent,
    Logits,
    LogitScale,
    Pixels,
    Posterior,
    Prompt,
    Score,
    Seed,
    Text,
    Tokens,
)
from .widgets import Between, Help, ModelSource, Multiline

__all__ = [
    "Attention", "Autoencoder", "Between", "C", "Classifier", "ClassNames", "Codebook", "Codes", "Combined", "Conditioning", "Constraint",
    "ContrastiveModel", "Control", "ControlNet", "Denoiser", "E", "Embedding", "Extra", "Fact", "FeatureMap", "Handle", "HeatMap", "Help", "Hidden", "Image",
    "ImageEncoder", "ImageProcessor", "K", "Known", "Labels", "LanguageModel", "Latent", "Logits", "LogitScale", "Mask", "ModelSource", "Multiline",
    "NoiseSchedule", "NotAccepted", "P", "Pixels", "Posterior", "Prior", "Prompt", "S", "Score", "Scorer", "Seed", "socket", "SOCKETS", "Space", "T",
    "Text", "TextEncoder", "Tokenizer", "Tokens", "V", "Value", "X",
]  # fmt: skip
