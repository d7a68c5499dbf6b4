"""BLIP for matching: a `BlipForImageTextRetrieval` of 1.3 M weights, begun with what the captioner knows, on hard negatives.

Batches are made of CLIP's quadruples, a scene and three near misses. Both heads learn from them: contrast (ITC) from all
pictures and captions, each encoded for itself; matching (ITM) from every picture with a caption that fits and one that does not.
While it trains, a third head marks the words that are not true of the picture, which tells the text encoder where to look: with the two
heads of the paper alone, verdicts about two things stayed at chance for 69k pictures. It is not part of the model that is shipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import BertTokenizer, BlipForImageTextRetrieval

from flowmm.zoo import world
from flowmm.zoo.recipes import blip, clip, near, tokens, training

QUADRUPLES, PEAK = 8, 1e-3
SCALE = 16.0  # of cosines, before they are compared
RELATION_WORDS = ("left", "right", "above", "below")


def build() -> BlipForImageTextRetrieval:
    """An untrained model."""
    return blip.woken(BlipForImageTextRetrieval(blip.config()))


def fits(scenes: list[world.Scene], captions: list[str]) -> torch.Tensor:
    """Which captions (columns) are true of which scenes (rows)."""
    told = [world.parse(text) for text in captions]
    return torch.tensor([[any(world.fits(one, view) for view in world.views(scene)) for one in told] for scene in scenes])


def wrong_for(fit: torch.Tensor, rng: np.random.Generator) -> list[int]:
    """For each picture the number of a caption that does not fit it: of its own quadruple three times out of four, where there is one."""
    chosen = []
    for row, true in enumerate(fit.numpy()):
        own = np.arange(len(true)) // 4 == row // 4
        options = np.flatnonzero(~true & own) if rng.random() < 0.75 else np.flatnonzero(~true & ~own)
        options = options if len(options) else np.flatnonzero(~true)
        chosen.append(int(options[rng.integers(len(options))]))
    return chosen


def untrue(words: BertTokenizer, ids: torch.Tensor, scenes: list[world.Scene]) -> torch.Tensor:
    """For captions (N, L) that tell of other scenes in the same order of things: 1 at words that are not true of `scenes`, else 0."""
    marks = torch.zeros(ids.shape)
    for row, scene in enumerate(scenes):
        seen = 0
        for place, word in enumerate(words.convert_ids_to_tokens(ids[row].tolist())):
            word = {"big": "large", "little": "small"}.get(word, word)
            thing = scene.things[min(seen, len(scene.things) - 1)]
            if word in world.BACKGROUNDS:
                false = word != scene.background
            elif word in world.COLOURS:
                false = word != thing.colour
            elif word in world.SHAPES:
                false, seen = word != thing.shape, seen + 1
            elif word in world.RADII:
                false = word != thing.size
            else:
                false = word in RELATION_WORDS and word != (scene.relation or "").split(" ")[0]
            marks[row, place] = float(false)
    return marks


class Matcher(torch.nn.Module):
    """The model, and the head that marks words while it trains."""

    def __init__(self, model: torch.nn.Module, width: int = 128):
        super().__init__()
        self.model, self.marks = model, torch.nn.Linear(width, 1)

    def cosines(self, features: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(N, M) of pictures (N, 17, 128), as the vision sees them, and texts (M, L), each encoded for itself."""
        alone = self.model.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        return F.normalize(self.model.vision_proj(features[:, 0]), dim=-1) @ F.normalize(self.model.text_proj(alone), dim=-1).T

    def read(self, features: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Texts (N, L) read while looking at a picture each: the states of the words (N, L, 128), and verdicts (N, 2), logits of no and yes."""
        read = self.model.text_encoder(input_ids=ids, attention_mask=mask, encoder_hidden_states=features).last_hidden_state
        return read, self.model.itm_head(read[:, 0])

    def losses(
        self, words: BertTokenizer, scenes: list[world.Scene], pictures: torch.Tensor, captions: list[str], fit: torch.Tensor, wrong: list[int], fixed: bool,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
        """Of contrast, of matching and of marked words, in nats. Captions stand in quadruples. fixed: the vision stays as it is."""
        device, count = self.model.device, len(captions)
        with torch.set_grad_enabled(not fixed):
            features = self.model.vision_model(pictures.to(device)).last_hidden_state
        ids, mask = (part.to(device) for part in blip.coded(words, captions))
        cosines = self.cosines(features, ids, mask)
        target = fit.float().to(device)
        contrast = F.cross_entropy(SCALE * cosines, target / target.sum(dim=1, keepdim=True))
        contrast = (contrast + F.cross_entropy(SCALE * cosines.T, target.T / target.T.sum(dim=1, keepdim=True))) / 2
        both = torch.cat([torch.arange(count), torch.tensor(wrong)])
        read, said = self.read(features.repeat(2, 1, 1), ids[both], mask[both])
        verdicts = torch.tensor([1] * count + [0] * count, device=device)
        # Words of another quadruple's caption are not told of the same things in the same order.
        own = torch.cat([torch.ones(count), torch.tensor([float(i // 4 == j // 4) for i, j in enumerate(wrong)])])
        known = (own[:, None] * mask[both].cpu()).to(device)
        marked = F.binary_cross_entropy_with_logits(self.marks(read)[..., 0], untrue(words, ids[both].cpu(), scenes * 2).to(device), known, reduction="sum")
        return contrast, F.cross_entropy(said, verdicts), marked / (2 * count)


def learn(matcher: Matcher, saved: Path, minutes: float, resume: bool, fixed: float) -> None:
    """Teach a matcher for a budget of minutes, with a checkpoint in `saved`. fixed: the share of the budget for which the vision stays as it is."""
    words, device = blip.tokenizer(), matcher.model.device
    lesson = np.random.default_rng(71)
    some = [near.misses(scene, lesson) for scene in blip.apart(24, 0.0, False, 72) + blip.apart(24, 1.0, False, 73)]

    def begin(step: int) -> Callable[[float], torch.Tensor]:
        rng = np.random.default_rng(74 + step)

        def batch(fraction: float) -> torch.Tensor:
            ripe = fraction > 0.05
            groups = [clip.quadruple(rng, 0.6 if ripe else 0.0, min(3.0, 1.5 + 36 * fraction)) for _ in range(QUADRUPLES)]
            scenes = [scene for group, _ in groups for scene in group]
            captions = [text for _, group in groups for text in group]
            fit = fits(scenes, captions)
            told = [tokens.reword(text, rng) for text in captions] if ripe else captions
            return sum(matcher.losses(words, scenes, blip.pixels_of(scenes, rng), told, fit, wrong_for(fit, rng), fraction < fixed))

        return batch

    @torch.no_grad()
    def notes() -> dict[str, float]:
        right, chosen = [], []
        for scenes in some:
            ids, mask = (part.to(device) for part in blip.coded(words, [world.caption(scene) for scene in scenes]))
            features = matcher.model.vision_model(blip.pixels_of(scenes[:1]).to(device)).last_hidden_state
            said = matcher.read(features.expand(4, -1, -1), ids, mask)[1]
            right.append((said.argmax(dim=1).cpu() == torch.tensor([1, 0, 0, 0])).float().mean().item())
            chosen.append(float(matcher.cosines(features, ids, mask).argmax() == 0))
        names = {"single": right[:24], "pair": right[24:], "single_contrast": chosen[:24], "pair_contrast": chosen[24:]}
        return {name: float(np.mean(values)) for name, values in names.items()}

    training.learn(saved, {"blip": matcher}, minutes, resume, begin, peak=PEAK, batch=QUADRUPLES * 4, decay=0.998, flat=0.4,
                   betas=(0.9, 0.98), weight_decay=0.02, notes=notes)  # fmt: skip


def train(out: Path, minutes: float, device: str = "cpu", resume: bool = False) -> None:
    """Train into out/blip-match; raises GateFailed when fewer than .9 of its verdicts about single things are right."""
    torch.manual_seed(0)
    matcher = Matcher(blip.begun(build(), out)).to(device)
    learn(matcher, out / "blip-match.pt", minutes, resume, fixed=0.2)  # the vision waits until the text encoder has something to say about it
    export(out)
    figures = measure(out / "blip-match", 200)
    print(figures, flush=True)
    training.gate("verdicts about single things", figures["single: verdicts right (ITM)"], 0.9)


def export(out: Path) -> None:
    """Write out/blip-match from the checkpoint's averaged weights."""
    matcher = Matcher(build())
    training.restore(out / "blip-match.pt", {"blip": matcher})
    blip.write_folder(out / "blip-match", matcher.model, "BLIP for the shapes world: how well texts fit 32x32 pictures.", "blip_match")


# --- measuring -----------------------------------------------------------------------------------------------------


def measure(folder: Path, n: int = 500, seed: int = 0) -> dict[str, float]:
    """By the graph `image-text-matching`, n pictures with the full caption and three near misses each.

    verdicts right: the mean of the shares of true captions above one half and of wrong ones below. chosen: the true caption scores highest.
    """
    run, figures = blip.graph("image-text-matching", folder), {}
    for name, two, held_out in blip.GROUPS:
        rng, itm, itc = np.random.default_rng(75 + 1000 * seed), [], []
        for scene in blip.apart(n, two, held_out, 76 + 1000 * seed):
            made = run(image=blip.image_of([scene]), texts=[world.caption(one) for one in near.misses(scene, rng)])
            itm.append(made.matching.values[:, 0])
            itc.append(made.similarity.values[:, 0])
        itm, itc = np.stack(itm), np.stack(itc)
        figures[f"{name}: verdicts right (ITM)"] = float(((itm[:, 0] > 0.5).mean() + (itm[:, 1:] < 0.5).mean()) / 2)
        figures[f"{name}: chosen of 4 (ITM)"] = float((itm.argmax(axis=1) == 0).mean())
        figures[f"{name}: chosen of 4 (ITC)"] = float((itc.argmax(axis=1) == 0).mean())
    started = time.perf_counter()
    for _ in range(8):
        run(image=blip.image_of([scene]), texts=["a red circle", "a blue square", "a green ring", "a pink star"])
    return figures | {"seconds for four texts": (time.perf_counter() - started) / 8}
