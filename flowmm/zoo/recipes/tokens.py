"""The tokenizer of the pack's text models: a `CLIPTokenizer` in which every word of the world is one token.

Unknown words fall apart into characters, which training meets now and then as noise to be ignored. Where a model learns Chinese too, its
words are added behind the English ones, whose ids stay.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import torch
from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

from flowmm.zoo import world

BEGIN, END, FINAL = "<|startoftext|>", "<|endoftext|>", "</w>"
LENGTH = 16  # the longest caption of two things is 14 tokens with both ends

# Words that prompts and later recipes (questions, answers, edits) use beside the world's own.
_COMMON = (  # noqa: SIM905
    "a an the of on in to with and or not no yes is are it there this that what which where who how many one two three "
    "four thing things object objects shape shapes colour colours color size background picture photo image drawing "
    "painting left right above below under over next beside top bottom centre center middle big little tiny huge bright "
    "dark plain simple small large same different between make turn change it its into replace remove add draw show me "
    "question answer caption true false "
).split()

# Chinese words beside the world's own, and the English ones they are like.
_PARTICLES = {"一个": "a", "在": "on", "上": "on", "有": "there", "的": "of", "，": "on"}

_OPENINGS = ("a picture of", "a photo of", "a drawing of", "an image of")


def words() -> list[str]:
    """Every word that is one token, in a fixed order."""
    relations = [word for relation in world.RELATIONS for word in relation.split()]
    listed = [*world.COLOURS, *world.SHAPES, *world.BACKGROUNDS, *world.RADII, *relations, *_COMMON]
    return list(dict.fromkeys(listed))


def build(length: int = LENGTH) -> CLIPTokenizer:
    """The tokenizer, the same on every call and machine; END is the largest id."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learn_merges(words())
    names = [*alphabet, *(letter + FINAL for letter in alphabet), *("".join(pair) for pair in merges), BEGIN, END]
    vocabulary = {name: number for number, name in enumerate(names)}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=length)


def chinese() -> dict[str, str]:
    """Every Chinese word that is one token, and an English token of the same meaning, in a fixed order."""
    named = {word: name.split()[0] for name, said in world.CHINESE.items() for word in said}
    return {word: name + FINAL for word, name in (named | _PARTICLES).items()}


def bilingual(length: int = LENGTH) -> CLIPTokenizer:
    """The tokenizer of `build` with the Chinese words behind it, which need no spaces between them."""
    made = build(length)
    made.add_tokens(list(chinese()))
    return made


def learn_merges(whole: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first, until every word is one piece.

    The tokenizers library's own trainer breaks ties in an order that changes from call to call, which would give the
    same word another id after each resume; here ties go to the first pair in the alphabet.
    """
    pieces = [[*word[:-1], word[-1] + FINAL] for word in whole]
    merges: list[tuple[str, str]] = []
    while any(len(word) > 1 for word in pieces):
        counts = Counter(pair for word in pieces for pair in pairwise(word))
        left, right = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append((left, right))
        for word in pieces:
            for place in range(len(word) - 2, -1, -1):
                if word[place : place + 2] == [left, right]:
                    word[place : place + 2] = [left + right]
    return merges


def to_ids(tokenizer: CLIPTokenizer, texts: list[str]) -> torch.Tensor:
    """Token ids (N, LENGTH) int64, padded with END and cut as Stable Diffusion's pipeline does."""
    coded = tokenizer(texts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt")
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


def vague(text: str, rng: np.random.Generator, share: float = 0.2) -> str:
    """A caption that now and then does not tell a thing's colour, or its shape, as people may put it."""
    said: list[str] = []
    for word in text.split():
        if word in world.COLOURS and rng.random() < share:
            if said and said[-1] == "an":
                said[-1] = "a"
        else:
            said.append("thing" if word in world.SHAPES and rng.random() < share else word)
    return " ".join(said)
