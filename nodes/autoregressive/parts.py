"""Taking a model that draws pictures from text, code by code, apart into handles."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import node
from flowmm.models.source import open_source
from flowmm.sockets import Codebook, E, Fact, Help, K, Known, LanguageModel, ModelSource, Space, Tokenizer, V

from .._families import opened, told_facts, told_spaces

WHAT = "a model that draws pictures from codes"


class Parts(NamedTuple, Generic[V, E, K]):
    """tokenizer: text to ids.

    model: continues ids with codes.

    codebook: codes to pictures and back.
    """

    tokenizer: Tokenizer[V]
    model: LanguageModel[V, E, K]
    codebook: Codebook[K]


@node(version=1, title={"en": "Load code painter", "zh": "加载自回归绘图模型"}, tags=("autoregressive", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a DALL-E 1, Janus or UniToken model")]) -> Parts[V, E, K]:
    """The parts of a model that draws pictures code by code, as recipes; weights are read when a node first needs them.

    A source that is missing, incomplete or draws no pictures is an error that says so.

    Reference: JanusForConditionalGeneration; UniToken (arXiv 2504.04423); DALL-E (arXiv 2102.12092).
    """
    found = open_source(source)
    made = opened(found, "autoregressive.load", WHAT).generating(found)
    return Parts(made["tokenizer"], made["model"], made["codebook"])


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    return told_spaces(values, "autoregressive.load", WHAT, lambda family, found: family.generating(found), "VEK")


@load.describe
def _(known: Known) -> dict[str, Fact]:
    return told_facts(known, "autoregressive.load", WHAT, Parts._fields)
