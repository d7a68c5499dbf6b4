"""The tokenizer of the pack's text models: a `CLIPTokenizer` in which every word of the world is one token.

Unknown words fall apart into characters, which training meets now and then as noise to be ignored.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from flowmm.zoo import world

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 16  # the longest caption of two things is 14 tokens with both ends

# Words that prompts and later recipes (questions, answers, edits) use beside the world's own.
_COMMON = (  # noqa: SIM905
    "a an the of on in to with and or not no yes is are it there this that what which where who how many one two three "
    "four thing things object objects shape shapes colour colours color size background picture photo image drawing "
    "painting left right above below under over next beside top bottom centre center middle big little tiny huge bright "
    "dark plain simple small large same different between make turn change it its into replace remove add draw show me "
    "question answer caption true false "
).split()

_OPENINGS = ("a picture of", "a photo of", "a drawing of", "an image of")


def words() -> list[str]:
    """Every word that is one token, in a fixed order."""
    relations = [word for relation in world.RELATIONS for word in relation.split()]
    listed = [*world.COLOURS, *world.SHAPES, *world.BACKGROUNDS, *world.RADII, *relations, *_COMMON]
    return list(dict.fromkeys(listed))


def build(length: int = LENGTH) -> CLIPTokenizer:
    """Byte-pair encoding learned until every word is whole; END is the largest id, as CLIP's pooling expects."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=100_000, min_frequency=1, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    learner.train_from_iterator(words(), trainer)
    learned = json.loads(learner.to_str())["model"]
    names = [name for name, _ in sorted(learned["vocab"].items(), key=lambda item: item[1])]
    # A lone character needs its word-final form too, else an unknown word that ends in it has no token.
    names += [letter + "</w>" for letter in alphabet if letter + "</w>" not in learned["vocab"]]
    vocabulary = {name: number for number, name in enumerate([*names, BEGIN, END])}
    return CLIPTokenizer(vocab=vocabulary, merges=[tuple(pair) for pair in learned["merges"]], model_max_length=length)


def to_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids (N, LENGTH) int64, padded with END and cut as Stable Diffusion's pipeline does."""
    coded = tokenizer(
        texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    return coded.input_ids


def reword(text: str, rng: np.random.Generator) -> str:
    """A caption as people may put it: an opening, no article, a synonym, now and then a stray word. The facts stay."""
    chance = rng.random()
    if len(text.split()) > 10:
        return text
    if chance < 0.15:
        return f"{_OPENINGS[rng.integers(len(_OPENINGS))]} {text}"
    if chance < 0.25:
        return text.split(" ", 1)[1]
    if chance < 0.32:
        return text.replace("large", "big").replace("small", "little")
    if chance < 0.37:
        letters = "".join(chr(97 + code) for code in rng.integers(0, 26, size=rng.integers(2, 5)))
        article, rest = text.split(" ", 1)
        return (f"{letters} {text}", f"{article} {letters} {rest}", f"{text} {letters}")[rng.integers(3)]
    return text
