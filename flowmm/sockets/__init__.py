"""What may flow on an edge: the type algebra and the value classes."""

from .facts import Fact, Known
from .handles import (
    Autoencoder,
    Classifier,
    Codebook,
    ContrastiveModel,
    Denoiser,
    Handle,
    ImageEncoder,
    ImageProcessor,
    LanguageModel,
    NoiseSchedule,
    TextEncoder,
    Tokenizer,
)
from .images import Image, Mask
from .spaces import Space
from .value import C, E, K, NotAccepted, P, S, SOCKETS, T, V, Value, X, socket
from .values import (
    Codes,
    Conditioning,
    Embedding,
    Hidden,
    Labels,
    Latent,
    Logits,
    LogitScale,
    Pixels,
    Score,
    Seed,
    Text,
    Tokens,
)
from .widgets import Between, Help, ModelSource, Multiline

__all__ = [name for name in dir() if not name.startswith("_")]
