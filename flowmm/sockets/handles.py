"""Handles: lazy recipes for weights. A handle is data; only a worker turns it into a module."""

from __future__ import annotations

from typing import Any, ClassVar, Generic

from .value import C, E, K, P, S, V, Value, X, socket


class Handle(Value):
    """A recipe for one component of a model, cheap to make and to compare.

    source: how a person names it ("zoo:sd", a folder). folder: where it lies on this machine; not part of identity.
    component: the part inside the source ("unet", "" for the whole, "text_encoder+text_encoder_2" for two as one).
    family: the adapter that builds it. fingerprint: sha256 over its config and weights.
    settings: the source's own recommendations (steps, guidance, size …) for inputs left out.
    patches: what is laid over the base weights, in order. layout: how its files are laid out; "" as the libraries do.
    """

    colour = "#898680"
    has_weights: ClassVar[bool] = True
    local = ("source", "folder")  # fields that say where, not what: no part of a key

    def setting(self, name: str, default: Any = None) -> Any:
        """One of the source's recommendations."""
        return dict(self.settings).get(name, default)


def handle(cls: type) -> type:
    """Declare a handle class: every handle has the same fields."""
    cls.__annotations__ = {
        "source": "str", "folder": "str", "component": "str", "family": "str", "fingerprint": "str",
        "settings": "tuple", "patches": "tuple", "layout": "str",
    }  # fmt: skip
    cls.settings = ()
    cls.patches = ()
    cls.layout = ""
    return socket(cls)


@socket
class Patch(Value):
    """Something laid over a component's weights. kind: "lora". path: its file. fingerprint: sha256 of what it holds.

    weight: how strongly, 1 as it was trained.
    """

    kind: str
    source: str
    path: str
    fingerprint: str
    weight: float
    local = ("source", "path")


@handle
class Tokenizer(Handle, Generic[V]):
    """Turns text into ids of vocabulary V."""

    colour = "#5aa07c"
    has_weights = False


@handle
class TextEncoder(Handle, Generic[V, C]):
    """Turns ids of V into conditioning (or an embedding space) C."""

    colour = "#9581cb"


@handle
class ImageProcessor(Handle, Generic[E]):
    """Resizes and normalises pictures as the encoder of space E was trained to see them."""

    colour = "#6595bd"
    has_weights = False


@handle
class ImageEncoder(Handle, Generic[E]):
    """Turns pixels into hidden states or an embedding in space E."""

    colour = "#8c85c9"


@handle
class ContrastiveModel(Handle, Generic[V, E]):
    """A two-tower model: text of V and pictures, both into the embedding space E."""

    colour = "#9c79c7"


@handle
class Denoiser(Handle, Generic[S, C, X, P]):
    """Predicts noise, velocity or flow in latent space S, told C; X extra input channels; P what it predicts."""

    colour = "#cc6b92"


@handle
class Prior(Handle, Generic[C, E, P]):
    """Predicts a picture's embedding in space E, told C; P what it predicts."""

    colour = "#a679c6"


@handle
class ClassNames(Handle, Generic[C]):
    """The classes a denoiser was trained on: its settings say their `count`, and their `names`, empty where unknown."""

    colour = "#a18d5d"
    has_weights = False


@handle
class ControlNet(Handle, Generic[C]):
    """Steers a denoiser told C along a picture: outlines, depth, poses."""

    colour = "#828ac6"


@handle
class NoiseSchedule(Handle, Generic[P]):
    """How noise is added and removed: a scheduler's configuration."""

    colour = "#a98390"
    has_weights = False


@handle
class Autoencoder(Handle, Generic[S]):
    """Pictures to latents of S and back."""

    colour = "#c87182"


@handle
class Codebook(Handle, Generic[K]):
    """Pictures to codes of K and back."""

    colour = "#bb72ad"


@handle
class LanguageModel(Handle, Generic[V, E, K]):
    """Continues sequences of ids of V, pictures seen through E, and codes of K."""

    colour = "#6b9f65"


@handle
class Classifier(Handle, Generic[E]):
    """Pixels in the form of space E to class logits."""

    colour = "#af8842"


@handle
class Scorer(Handle, Generic[V, E]):
    """Says how well texts of V fit pictures seen through E."""

    colour = "#bd8040"
