"""How well texts fit pictures, by models trained to judge it: BLIP's and BLIP-2's two heads."""

from __future__ import annotations

from typing import Annotated, Any, Generic, NamedTuple

from flowmm.catalog import Context, node
from flowmm.models.residency import using
from flowmm.models.source import open_source
from flowmm.sockets import E, Fact, Help, Hidden, ImageEncoder, ImageProcessor, Known, ModelSource, Score, Scorer, Space, Tokenizer, Tokens, V

from ._families import family_of, opened, told_facts, told_spaces

WHAT = "a model that matches texts and pictures"
TOGETHER = 64  # texts read with one picture at a time; more cost memory and win no time


class Parts(NamedTuple, Generic[V, E]):
    """tokenizer: text to ids.

    processor: pictures to pixels.

    encoder: pixels to what the heads look at.

    scorer: the heads.
    """

    tokenizer: Tokenizer[V]
    processor: ImageProcessor[E]
    encoder: ImageEncoder[E]
    scorer: Scorer[V, E]


@node(version=1, title={"en": "Load matching model", "zh": "加载图文匹配模型"}, tags=("match", "load"))
def load(source: Annotated[str, ModelSource(), Help("zoo:NAME, or the folder of a BlipForImageTextRetrieval or Blip2ForImageTextRetrieval")]) -> Parts[V, E]:
    """The parts of a BLIP or BLIP-2 that scores texts against pictures, as recipes; weights are read when a node first needs them.

    A source that is missing, incomplete or of another kind is an error that says so.

    Reference: transformers BlipForImageTextRetrieval, Blip2ForImageTextRetrieval.
    """
    found = open_source(source)
    made = opened(found, "match.load", WHAT).matching(found)
    return Parts(made["tokenizer"], made["processor"], made["encoder"], made["scorer"])


@load.spaces
def _(values: dict[str, Any]) -> dict[str, Space]:
    return told_spaces(values, "match.load", WHAT, lambda family, found: family.matching(found), "VE")


@load.describe
def _(known: Known) -> dict[str, Fact]:
    return told_facts(known, "match.load", WHAT, Parts._fields)


@node(version=1, title={"en": "Image-text matching (ITM)", "zh": "图文匹配 (ITM)"}, tags=("match",))
def itm(scorer: Scorer[V, E], tokens: Tokens[V], features: Hidden[E], *, context: Context) -> Score:
    """The probability that a text fits a picture, judged by a transformer that reads the text while it looks at the picture.

    tokens: [T, L]; features: [I, N, D]. Returns float32 [T, I] in 0…1, each pair judged for itself. Every text is read once
    for every picture: for many of both, `match.itc` sifts first.

    Reference: the ITM head of BlipForImageTextRetrieval, Blip2ForImageTextRetrieval; softmax over its two logits.
    """
    import torch

    with using(context, scorer) as module:
        family, columns = family_of(scorer), []
        ids, mask = tokens.ids.to(module.device), tokens.mask.to(module.device)
        pictures = features.values.to(module.device, module.dtype)
        for i in range(len(pictures)):
            context.progress(i, len(pictures))
            logits = [
                family.match(module, some, kept, pictures[i : i + 1].expand(len(some), -1, -1))
                for some, kept in zip(ids.split(TOGETHER), mask.split(TOGETHER))
            ]
            columns.append(torch.cat(logits).float().softmax(dim=-1)[:, 1])
        context.progress(len(pictures), len(pictures))
        return Score(torch.stack(columns, dim=1))


@node(version=1, title={"en": "Image-text contrast (ITC)", "zh": "图文对比 (ITC)"}, tags=("match",))
def itc(scorer: Scorer[V, E], tokens: Tokens[V], features: Hidden[E], *, context: Context) -> Score:
    """How close texts and pictures lie in the space both are projected into, each encoded for itself.

    tokens: [T, L]; features: [I, N, D]. Returns float32 [T, I], cosines from -1 to 1; BLIP-2 has a vector for each of its
    queries, and the one closest to the text counts.

    Reference: BlipForImageTextRetrieval with use_itm_head=False, Blip2ForImageTextRetrieval.
    """
    import torch

    with using(context, scorer) as module:
        family = family_of(scorer)
        texts = family.text_vectors(module, tokens.ids.to(module.device), tokens.mask.to(module.device))
        pictures = family.picture_vectors(module, features.values.to(module.device, module.dtype))
        return Score(torch.matmul(pictures, texts.t()).max(dim=1).values.t().float())


@itm.describe
@itc.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("tokens"), known.batch("features")), "float32")
