"""BLIP-2 for matching: a `Blip2ForImageTextRetrieval` of 1.5 M weights, whose eyes stay as the matcher's have become, on hard negatives.

A Q-Former looks at the vision's 17 vectors with 12 queries. Alone, they answer for the picture, and the one nearest to the text
counts (ITC). Beside a text, which sees no picture itself, they read it while they look, and judge (ITM). As the paper's begins
with BERT, this one begins with the matcher's text transformer; it learns by the matcher's lessons, marked words included.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch.nn import functional as F
from transformers import Blip2Config, Blip2ForImageTextRetrieval, Blip2QFormerConfig, BlipForImageTextRetrieval

from flowmm.zoo.recipes import blip, blip2, blip_match, training

QUERIES = blip2.QUERIES


def build() -> Blip2ForImageTextRetrieval:
    """An untrained model; as in the published ones, every other layer looks at the picture."""
    text = blip.config().text_config
    queries = Blip2QFormerConfig(**{name: getattr(text, name) for name in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings", "layer_norm_eps",
        "hidden_act", "pad_token_id",
    )}, cross_attention_frequency=2, use_qformer_text_input=True, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)  # fmt: skip
    config = Blip2Config(vision_config=blip2.eyes(), qformer_config=queries, num_query_tokens=QUERIES, image_text_hidden_size=128, image_token_index=None)
    return blip.woken(Blip2ForImageTextRetrieval(config))


def begun(out: Path) -> Blip2ForImageTextRetrieval:
    """A model that begins with the eyes, the reading and the heads of the matcher of out/blip-match, or of the shipped one."""
    model = build()
    source = BlipForImageTextRetrieval.from_pretrained(training.trained("blip-match", out), dtype=torch.float32)
    text, former = source.text_encoder, model.qformer
    known = [
        (model.vision_model, source.vision_model), (model.itm_head, source.itm_head),
        (model.vision_projection, source.vision_proj), (model.text_projection, source.text_proj),
        (former.layernorm, text.embeddings.LayerNorm), (model.embeddings.word_embeddings, text.embeddings.word_embeddings),
        (model.embeddings.position_embeddings, text.embeddings.position_embeddings),
    ]  # fmt: skip
    for mine, its in zip(former.encoder.layer, text.encoder.layer, strict=True):
        looks = [(mine.crossattention, its.crossattention)] if mine.has_cross_attention else []
        for attention, other in [(mine.attention, its.attention), *looks]:
            known.append((attention.output, other.output))
            known += [(getattr(attention.attention, part), getattr(other.self, part)) for part in ("query", "key", "value")]
        # Queries begin as words do that look at the picture.
        for kind in ("intermediate", "output"):
            known += [(getattr(mine, name), getattr(its, kind)) for name in (kind, f"{kind}_query")]
    for mine, its in known:
        mine.load_state_dict(its.state_dict())
    return model


class Matcher(blip_match.Matcher):
    """The model, and the head that marks words while it trains."""

    def cosines(self, features: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        model = self.model
        alone = model.qformer(query_embeds=model.embeddings(input_ids=ids), query_length=0, attention_mask=mask).last_hidden_state[:, 0]
        looked = model.qformer(query_embeds=model.query_tokens.expand(len(features), -1, -1), encoder_hidden_states=features).last_hidden_state
        looked, alone = F.normalize(model.vision_projection(looked), dim=-1), F.normalize(model.text_projection(alone), dim=-1)
        return (looked @ alone.T).amax(dim=1)

    def read(self, features: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        model = self.model
        both = model.embeddings(input_ids=ids, query_embeds=model.query_tokens.expand(len(features), -1, -1))
        whole = torch.cat([mask.new_ones(len(mask), QUERIES), mask], dim=1)
        read = model.qformer(query_embeds=both, query_length=QUERIES, attention_mask=whole, encoder_hidden_states=features).last_hidden_state
        return read[:, QUERIES:], model.itm_head(read[:, :QUERIES]).mean(dim=1)


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/blip2-match; raises GateFailed when fewer than .9 of its verdicts about single things are right."""
    torch.manual_seed(0)
    matcher = Matcher(begun(out)).to(device)
    matcher.model.vision_model.requires_grad_(False)
    blip_match.learn(matcher, out / "blip2-match.pt", minutes, resume, fixed=1.0)
    export(out)
    figures = measure(out / "blip2-match", 200)
    print(figures, flush=True)
    training.gate("verdicts about single things", figures["single: verdicts right (ITM)"], 0.9)


def export(out: Path) -> None:
    """Write out/blip2-match from the checkpoint's averaged weights, so that the library's processor and model open it together."""
    matcher, folder = Matcher(build()), out / "blip2-match"
    training.restore(out / "blip2-match.pt", {"blip": matcher})
    blip.write_folder(folder, matcher.model, "BLIP-2 for the shapes world: how well texts fit 32x32 pictures.", "blip2_match")
    processor = {"processor_class": "Blip2Processor", "num_query_tokens": None}  # the text alone is read, without places for the picture
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n", encoding="utf-8")


measure = blip_match.measure
