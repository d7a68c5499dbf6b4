"""Scores: naming, normalising, sorting. Rows are usually texts, columns pictures, as in CLIP's logits_per_text."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, NamedTuple

from flowmm.catalog import node
from flowmm.sockets import Between, Fact, Help, Image, Known, Labels, Score, T, Text

Axis = Literal["rows", "columns"]


@node(version=1, title={"en": "Name rows and columns", "zh": "命名行列"}, tags=("score",))
def name(score: Score, rows: Text | None = None, columns: Text | None = None) -> Score:
    """Attach names to a table of scores.

    score: [R, C]; rows: R names; columns: C names; what is left out keeps the names it has. Another number is an error.

    Reference: none, names change no number.
    """
    names = []
    for given, had, count, what in ((rows, score.rows, len(score.values), "rows"), (columns, score.columns, score.values.shape[1], "columns")):
        if given is not None and len(given) != count:
            raise ValueError(f"the score has {count} {what}, but there are {len(given)} names for them")
        names.append(had if given is None else given.lines)
    return Score(score.values, *names)


@node(version=1, title={"en": "Softmax", "zh": "Softmax 概率"}, tags=("score",))
def softmax(score: Score, *, over: Annotated[Axis, Help("rows: each column sums to 1")] = "rows") -> Score:
    """Turn logits into probabilities that sum to 1 over the rows of each column, or the columns of each row.

    score: [R, C]; returns [R, C] in 0…1, in the same dtype.

    Reference: torch.softmax over logits_per_image (CLIPModel's documentation).
    """
    import numpy

    axis = 0 if over == "rows" else 1
    powers = numpy.exp(score.values - score.values.max(axis=axis, keepdims=True))
    return Score(powers / powers.sum(axis=axis, keepdims=True), score.rows, score.columns)


@node(version=1, title={"en": "Best labels", "zh": "最佳标签"}, tags=("score",))
def top(score: Score, *, count: Annotated[int, Between(1, 1000), Help("Labels kept for each column")] = 5) -> Labels:
    """The best rows of each column, best first; a tie keeps the earlier row first.

    score: [R, C], its rows are the labels; returns C lists of min(count, R) names with their scores.

    Reference: torch.topk.
    """
    import numpy

    names = score.rows or tuple(str(i) for i in range(len(score.values)))
    order = numpy.argsort(-score.values, axis=0, kind="stable")[:count].T
    best = numpy.take_along_axis(score.values.T, order, axis=1)
    return Labels(tuple(tuple(names[i] for i in row) for row in order), best)


@top.describe
def _(known: Known) -> Fact:
    rows, columns = known.shape("score", 2)
    return Fact((columns, None if rows is None else min(rows, known.values.get("count") or rows)), known.dtype("score"))


@node(version=1, title={"en": "PSNR", "zh": "峰值信噪比"}, tags=("score", "image"))
def psnr(image: Image, original: Image) -> Score:
    """How near pictures come to their originals: the peak signal-to-noise ratio in decibels, 100 where they are equal.

    image, original: [B, 3, H, W] of one size. Returns float32 [1, B]. Other sizes or numbers are an error.

    Reference: 10 · log10(1 / mean squared error), pixels in 0…1 (scikit-image peak_signal_noise_ratio).
    """
    import numpy

    one, other = image.as_float(), original.as_float()
    if one.shape != other.shape:
        shapes = [" × ".join(map(str, array.shape)) for array in (one, other)]
        raise ValueError(f"`image` ({shapes[0]}) and `original` ({shapes[1]}) are of different sizes")
    error = numpy.square(one - other, dtype=numpy.float64).mean(axis=(1, 2, 3))
    return Score((-10 * numpy.log10(numpy.maximum(error, 1e-10))).astype(numpy.float32)[None], ("PSNR",))


@psnr.describe
def _(known: Known) -> Fact:
    return Fact((1, known.batch("image")), "float32")


class Ranked(NamedTuple):
    """images: best first.

    captions: the name and score of each.

    scores: [1, N], columns in the same order.
    """

    images: list[Image]
    captions: Text
    scores: Score


@node(version=1, title={"en": "Rank pictures", "zh": "图片排序"}, tags=("score", "image"))
def rank(
    score: Score,
    images: list[Image],
    *,
    row: Annotated[int, Between(0), Help("The row to rank by, usually the text searched for")] = 0,
    count: Annotated[int, Between(1, 1000), Help("Pictures kept")] = 12,
) -> Ranked:
    """Sort pictures by one row of a score, best first; a tie keeps the earlier picture first.

    score: [R, C], its columns are the pictures; images: C pictures. Returns min(count, C) of them.

    Reference: text-to-image retrieval with CLIP (Radford et al., 2021).
    """
    import numpy

    columns = score.values.shape[1]
    pictures = [Image(image.pixels[i : i + 1]) for image in images for i in range(len(image))]
    if len(pictures) != columns:
        raise ValueError(f"the score has {columns} columns, but there are {len(pictures)} pictures")
    values = _row(score, row)
    order = numpy.argsort(-values, kind="stable")[:count]
    names = score.columns or tuple(str(i) for i in range(columns))
    best = tuple(names[i] for i in order)
    values = values[order]
    captions = Text(tuple(f"{one}\n{value:.2f}" for one, value in zip(best, values)))
    return Ranked([pictures[i] for i in order], captions, Score(values[None], score.rows[row : row + 1], best))


@rank.describe
def _(known: Known) -> dict[str, Fact]:
    columns, count = known.shape("score", 2)[1], known.values.get("count")
    kept = None if columns is None or count is None else min(columns, count)
    return {"images": Fact(count=kept), "captions": Fact((kept,)), "scores": Fact((1, kept), known.dtype("score"))}


class Chosen(NamedTuple, Generic[T]):
    """best: the item.

    place: where it stands in the list, from 0.

    score: its score.
    """

    best: T
    place: int
    score: float


@node(version=1, title={"en": "Choose the best", "zh": "选出最佳"}, tags=("score", "logic"))
def choose(score: Score, items: list[T], *, row: Annotated[int, Between(0), Help("The row to choose by, usually the text asked for")] = 0) -> Chosen[T]:
    """Of several things, pictures or anything else, the one with the highest score: best of N. A tie takes the earlier one.

    score: [R, C], its columns are the items; items: C of one type. Another number, no item, and a score that is no number are errors.
    Returns the item, its place and its score.

    Reference: how DALL-E picks from what it drew by CLIP (Ramesh et al., 2021, section 2.6).
    """
    import numpy

    values = _row(score, row)
    if len(items) != len(values):
        raise ValueError(f"the score has {len(values)} columns, but there are {len(items)} items to choose from")
    if not items or numpy.isnan(values).any():
        raise ValueError("a score among them is no number" if items else "there is nothing to choose from")
    place = int(values.argmax())
    return Chosen(items[place], place, float(values[place]))


@node(version=1, title={"en": "Score is at least", "zh": "分数是否达到"}, tags=("score", "logic"))
def at_least(score: Score, *, least: Annotated[float, Help("The lowest score that is good enough")] = 0.5) -> bool:
    """Whether all of it is good enough: what ends a loop, or what a switch asks.

    score: [R, C]. Returns true if none of its values is lower than `least`; one that is no number never is good enough.

    Reference: numpy.all.
    """
    return bool((score.values >= least).all())


@name.describe
@softmax.describe
def _(known: Known) -> Fact:
    return Fact(known.shape("score", 2), known.dtype("score"))


def _row(score: Score, row: int) -> Any:
    """The values of one row. Raises ValueError."""
    if row >= len(score.values):
        raise ValueError(f"there is no row {row}: the score has {len(score.values)}")
    return score.values[row]
