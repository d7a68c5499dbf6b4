"""Taking a model that reads pictures apart into handles."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import node
from flowmm.models.source import open_source
from flowmm.sockets import E, Fact, Help, ImageEncoder, ImageProcessor, K, Known, LanguageModel, ModelSource, Space, Tokenizer, V

from .._families import opened, told_facts, told_spaces

WHAT = "a vision-language model"


class Parts(NamedTuple, Generic[V, E, K]):
    """tokenizer: text to ids and back.

    processor: pictures to pixels.

    encoder: pixels to what the language model reads.

    model: continues text about pictures.
    """

    tokenizer: Tokenizer[V]
    processor: ImageProcessor[E]
    encoder: ImageEncoder[E]
    model: LanguageModel[V, E, K]


@node(version=1, title={"en": "Load vision-language model", "zh": "加载图文模型"}, tags=("vlm", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a BLIP, BLIP-2, Janus or UniToken model")]) -> Parts[V, E, K]:
    """The parts of a model that writes about pictures, as recipes; weights are read when a node first needs them.

    A source that is missing, incomplete or of another kind is an error that says so.

    Reference: transformers BlipForConditionalGeneration, BlipForQuestionAnswering, Blip2ForConditionalGeneration,
    JanusForConditionalGeneration; UniToken (arXiv 2504.04423).
    """
    found = open_source(source)
    made = opened(found, "vlm.load", WHAT).understanding(found)
    return Parts(made["tokenizer"], made["processor"], made["encoder"], made["model"])


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    return told_spaces(values, "vlm.load", WHAT, lambda family, found: family.understanding(found), "VEK")


@load.describe
def _(known: Known) -> dict[str, Fact]:
    return told_facts(known, "vlm.load", WHAT, Parts._fields)
