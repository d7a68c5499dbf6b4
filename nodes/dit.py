"""DiT: pictures of a class, painted by a transformer. Its denoiser goes into diffusion.sample, its latents into diffusion.decode."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import node
from flowmm.models import spaces
from flowmm.models.families import make
from flowmm.models.source import Component, Source, SourceError, open_source, read_json
from flowmm.sockets import (
    Autoencoder,
    C,
    ClassNames,
    Conditioning,
    Denoiser,
    Fact,
    Help,
    Known,
    ModelSource,
    NoiseSchedule,
    P,
    S,
    Space,
    Text,
    X,
)

from .diffusion.pictures import latents_of, painting

# What diffusers' DiTPipeline does when nothing is said.
DEFAULTS = {"steps": 50, "guidance": 4.0}


class Parts(NamedTuple, Generic[S, C, X, P]):
    """classes: what the model can paint.

    denoiser: predicts the noise in a latent of a class.

    schedule: how noise is removed.

    autoencoder: latents to pictures.
    """

    classes: ClassNames[C]
    denoiser: Denoiser[S, C, X, P]
    schedule: NoiseSchedule[P]
    autoencoder: Autoencoder[S]


@node(version=1, title={"en": "Load DiT", "zh": "加载 DiT"}, tags=("diffusion", "dit", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a DiTPipeline")]) -> Parts[S, C, X, P]:
    """The parts of a DiT pipeline, as recipes; weights are read when a node first needs them.

    Names of classes are read from `id2label` of model_index.json. A source that is missing, incomplete or of another kind
    is an error that says so.

    Reference: diffusers DiTPipeline.
    """
    found = _open(source)
    denoiser, schedule, autoencoder = _components(found)
    return Parts(
        make(ClassNames, denoiser, "dit", {"count": _count(denoiser), "names": _names(found, _count(denoiser))}),
        make(Denoiser, denoiser, "dit", _settings(found)),
        make(NoiseSchedule, schedule, "noise_schedule"),
        make(Autoencoder, autoencoder, "autoencoder_kl"),
    )


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    try:
        denoiser, schedule, autoencoder = _components(_open(values["source"]))
        return {
            "S": spaces.latent(autoencoder),
            "C": spaces.classes(_count(denoiser)),
            "X": spaces.extra(denoiser, autoencoder),
            "P": spaces.prediction(schedule),
        }
    except (KeyError, TypeError, ValueError, OSError):  # SourceError is a ValueError
        return {}


@load.describe
def _(known: Known) -> dict[str, Fact]:
    """A handle's shape is that of what it makes when no size is given: latents, pixels."""
    source = known.values.get("source")
    if not isinstance(source, str):
        return {}
    try:
        found = _open(source)
        denoiser, _, autoencoder = _components(found)
        return painting(denoiser, autoencoder, _settings(found))
    except (SourceError, OSError):
        return {}


@node(version=1, title={"en": "Choose class", "zh": "选择类别"}, tags=("diffusion", "dit"))
def encode_class(classes: ClassNames[C], label: Text) -> Conditioning[C]:
    """Turn names or numbers of classes into what the denoiser is told; the empty one is no class, which guidance leads away from.

    label: B names as the model has them ("white shark"; any of several, "great white shark") or numbers from 0. Where two
    classes share a name the later one is meant, as in the reference. Returns class ids, int64 [B, 1]. A name nobody
    knows is an error that says which are close.

    Reference: diffusers DiTPipeline.get_label_ids and the null class of DiTPipeline.__call__.
    """
    import torch

    count, names = classes.setting("count"), classes.setting("names")
    exact = {name: number for number, told in enumerate(names) for name in (told, *map(str.strip, told.split(","))) if name}
    known = len(names) or count
    chosen = [_number(line.strip(), known, exact) if line.strip() else count for line in label]
    return Conditioning(torch.tensor(chosen, dtype=torch.int64)[:, None])


@encode_class.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("label"), 1), "int64")


def _number(label: str, known: int, exact: dict[str, int]) -> int:
    """The id of a class by one of its names, or of its number as text; capitals do not matter."""
    folded = {name.casefold(): number for name, number in exact.items()}
    number = exact.get(label, folded.get(label.casefold()))
    if number is not None:
        return number
    if label.isdecimal() and len(label) < 10 and int(label) < known:
        return int(label)
    shown, numbers = label if len(label) <= 40 else label[:37] + "…", f"from 0 to {known - 1}"
    if not exact:
        raise ValueError(f"this model's classes have numbers only, and `{shown}` is none of them: give one {numbers}")
    close = difflib.get_close_matches(label.casefold(), folded, 3) or list(exact)[:3]
    raise ValueError(f"there is no class `{shown}`; there is {', '.join(f'`{name}`' for name in close)}, or give a number {numbers}")


def _open(source: str) -> Source:
    return open_source(source).want("dit.load", "a DiT pipeline", ("DiTPipeline",))


def _components(found: Source) -> tuple[Component, ...]:
    """The parts, each of a class this pack can run; the published models call their network Transformer2DModel. Raises SourceError."""
    return found.parts("dit.load", {"transformer": "Transformer2DModel", "scheduler": "Scheduler", "vae": "AutoencoderKL"})


def _count(denoiser: Component) -> int:
    return spaces.number(denoiser, "num_embeds_ada_norm", 1000)


def _names(found: Source, count: int) -> tuple[str, ...]:
    """Of the classes in order, as far as the source names them; a live pipeline keeps no names."""
    path = found.folder / "model_index.json"
    told = (read_json(path, found.name) if path.is_file() else {}).get("id2label") or {}
    if not isinstance(told, dict) or not all(isinstance(name, str) for name in told.values()):
        raise SourceError(f"`{found.name}`: the id2label of its model_index.json is damaged; download it again")
    named = [number for number in range(count) if told.get(str(number))]
    return tuple(told.get(str(number), "") for number in range(named[-1] + 1)) if named else ()


def _settings(found: Source) -> dict[str, Any]:
    """Recommendations, and what else the sampler must know without reading weights."""
    denoiser, _, autoencoder = _components(found)
    fixed, size = latents_of(autoencoder), spaces.number(denoiser, "sample_size", 32)
    return DEFAULTS | {"height": size * fixed["factor"], "width": size * fixed["factor"]} | found.settings | fixed
