"""The base of everything that flows on an edge."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, TypeVar

# The spaces of signatures: V vocabulary, E encoder, C conditioning, S latent, X extra denoiser channels,
# P prediction kind and training schedule, K codebook. T is any type.
V, E, C, S, X, P, K, T = (TypeVar(name) for name in "VECSXPKT")


class NotAccepted(ValueError):
    """A plain value that a socket cannot take at the graph's boundary; the message says what it can."""


class Value:
    """An immutable value. Subclasses are frozen dataclasses whose fields the codec can write:
    scalars, strings, tuples, dicts, arrays, tensors and other Values.

    version: raise it by hand when the meaning of the fields changes; it is part of every key.
    colour: of the wire in the editor, one hue for each family: text green, pictures blue, latents and codes pink, conditioning and
    embeddings violet, scores and labels amber; what is seen on white and on black alike. host: fields that are kept as numpy arrays, so that reading
    a cached result needs no torch.
    """

    is_socket: ClassVar[bool] = True
    version: ClassVar[int] = 1
    colour: ClassVar[str] = "#888888"
    host: ClassVar[tuple[str, ...]] = ()
    accepts: ClassVar[str] = ""  # what the boundary takes, in words; empty: nothing plain

    def __post_init__(self) -> None:
        for name in self.host:
            object.__setattr__(self, name, to_numpy(getattr(self, name)))

    @classmethod
    def accept(cls, plain: Any) -> Value:
        """The value a plain Python object means at the graph's boundary. Raises NotAccepted."""
        raise NotAccepted(f"a {cls.__name__} cannot be given directly; it must come from a node")

    def __eq__(self, other: object) -> bool:
        """Equal content, by the same digest the cache uses."""
        if type(other) is not type(self):
            return NotImplemented
        from ..store.keys import digest

        return digest(self) == digest(other)

    def __repr__(self) -> str:
        """Fields by name; arrays and tensors by dtype and shape."""
        shown = (f"{field.name}={_brief(getattr(self, field.name))}" for field in dataclasses.fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"

    def __hash__(self) -> int:
        from ..store.keys import digest

        return int.from_bytes(digest(self)[:8], "little")


def _brief(field: Any) -> str:
    if hasattr(field, "shape") and hasattr(field, "dtype"):
        return f"{str(field.dtype).removeprefix('torch.')} {list(field.shape)}"
    return repr(field)


SOCKETS: dict[str, type[Value]] = {}


def socket(cls: type) -> type:
    """Register a socket class: a frozen dataclass that the codec knows by name.

    A pack's sockets are named `<top-level module>.<class>`; flowmm's own by their class alone.
    """
    cls = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    top = cls.__module__.partition(".")[0]
    cls.socket_name = cls.__name__ if top == "flowmm" else f"{top}.{cls.__name__}"
    SOCKETS[cls.socket_name] = cls
    return cls


def to_numpy(array: Any) -> Any:
    """A numpy array from a tensor on any device, an array or nested lists; never copies an array."""
    import numpy

    if hasattr(array, "detach"):
        array = array.detach().to("cpu")
        array = array.float() if str(array.dtype) == "torch.bfloat16" else array
        return array.numpy()
    return numpy.asarray(array)
