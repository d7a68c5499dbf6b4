"""Handles: lazy recipes for weights. A handle is data; only a worker turns it into a module."""

from __future__ import annotations

from typing import Any, Generic

from .value import C, E, K, P, S, V, Value, X, socket


class Handle(Value):
    """A recipe for one component of a model, cheap to make and to compare.

    source: how a person names it ("zoo:sd", a folder). folder: where it lies on this machine; not part of identity.
    component: the part inside the source ("unet", "" for the whole). family: the adapter that builds it.
    fingerprint: sha256 over its config and weights. patches: what is laid over the base weights, in order.
    settings: the source's own recommendations (steps, guidance, size …) for inputs left out.
    """

    colour = "#666666"
    local = ("source", "folder")  # fields that say where, not what: no part of a key

    def setting(self, name: str, default: Any = None) -> Any:
        """One of the source's recommendations."""
        return dict(self.settings).get(name, default)


def handle(cls: type) -> type:
    """Declare a handle class: every handle has the same fields."""
    cls.__annotations__ = {
        "source": "str", "folder": "str", "component": "str", "family": "str", "fingerprint": "str",
        "settings": "tuple", "patches": "tuple",
    }  # fmt: skip
    cls.settings = ()
    cls.patches = ()
    return socket(cls)


@handle
class Tokenizer(Handle, Generic[V]):
    """Turns text into ids of vocabulary V."""


@handle
class TextEncoder(Handle, Generic[V, C]):
    """Turns ids of V into conditioning (or an embedding space) C."""


@handle
class ImageProcessor(Handle, Generic[E]):
    """Resizes and normalises pictures as the encoder of space E was trained to see them."""


@handle
class ImageEncoder(Handle, Generic[E]):
    """Turns pixels into hidden states or an embedding in space E."""


@handle
class ContrastiveModel(Handle, Generic[V, E]):
    """A two-tower model: text of V and pictures, both into the embedding space E."""


@handle
class Denoiser(Handle, Generic[S, C, X, P]):
    """Predicts noise, velocity or flow in latent space S, told C; X extra input channels; P what it predicts."""


@handle
class NoiseSchedule(Handle, Generic[P]):
    """How noise is added and removed: a scheduler's configuration."""


@handle
class Autoencoder(Handle, Generic[S]):
    """Pictures to latents of S and back."""


@handle
class Codebook(Handle, Generic[K]):
    """Pictures to codes of K and back."""


@handle
class LanguageModel(Handle, Generic[V, K]):
    """Continues sequences of ids of V and codes of K."""


@handle
class Classifier(Handle, Generic[E]):
    """Pixels in the form of space E to class logits."""
