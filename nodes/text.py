"""Text: lists of strings made, joined and taken apart."""

from __future__ import annotations

from typing import Annotated

from flowmm.catalog import node
from flowmm.sockets import Between, Fact, Help, Known, Multiline, Seed, Text

SLOT = "{}"


@node(version=1, title={"en": "Lines of text", "zh": "文本行"}, tags=("text",))
def lines(text: Annotated[str, Multiline(), Help("One string a line")], *, skip_empty: bool = True) -> Text:
    """Split a text into its lines, without the spaces around them.

    Returns B strings, one a line. A text without any line is an error, unless empty lines are kept.

    Reference: Python str.splitlines.
    """
    found = [line.strip() for line in text.splitlines()]
    kept = tuple(line for line in found if line or not skip_empty)
    if not kept:
        raise ValueError("the text has no line; write at least one")
    return Text(kept)


@lines.describe
def _(known: Known) -> Fact:
    text = known.values.get("text")
    return Fact((len(lines.function(text, skip_empty=known.values.get("skip_empty", True))) if text else None,))


@node(version=1, title={"en": "Fill a template", "zh": "填充模板"}, tags=("text",))
def template(template: Annotated[str, Help("{} stands for each text")], text: Text) -> Text:
    """Put each string into a template, as in "a picture of {}".

    text: B strings; returns B strings. A template without {} is an error, since all results would be the same.

    Reference: the zero-shot prompts of CLIP (Radford et al., 2021, section 3.1.4).
    """
    if SLOT not in template:
        shown = template if len(template) <= 60 else template[:57] + "…"
        raise ValueError(f"the template {shown!r} has no {SLOT} to put a text into")
    return Text(tuple(template.replace(SLOT, line) for line in text))


@template.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("text"),))


@node(version=1, title={"en": "Join texts", "zh": "拼接文本"}, tags=("text",))
def join(first: Text, second: Text, *, separator: str = " ") -> Text:
    """Join texts line by line; a single line goes with every line of the other.

    first: A strings; second: B strings, where A = B or either is 1; returns the larger number. Other sizes are an error.

    Reference: Python str.join.
    """
    count = max(len(first), len(second))
    left, right = _repeated(first, count, "first"), _repeated(second, count, "second")
    return Text(tuple(separator.join(pair) for pair in zip(left, right)))


@join.describe
def _(known: Known) -> Fact:
    sizes = known.batch("first"), known.batch("second")
    return Fact((None if None in sizes else max(sizes),))


@node(version=1, title={"en": "Repeat text", "zh": "重复文本"}, tags=("text",))
def repeat(text: Text, like: Text) -> Text:
    """One string as often as another text has strings; a text that has as many already stays as it is.

    text: 1 or B strings; like: B strings; returns B strings. Another number is an error.

    Reference: how diffusers repeats one negative prompt for a list of prompts.
    """
    return Text(_repeated(text, len(like), "text"))


@repeat.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("like"),))


@node(version=1, title={"en": "Pick a line", "zh": "选取一行"}, tags=("text",))
def pick(text: Text, index: Annotated[int, Help("0 is the first, -1 the last")] = 0) -> Text:
    """One of B strings.

    Returns 1 string. An index outside -B … B-1 is an error.

    Reference: Python indexing.
    """
    if not -len(text) <= index < len(text):
        raise ValueError(f"there is no line {index}: the text has {len(text)}")
    return Text((text.lines[index],))


@pick.describe
def _(known: Known) -> Fact:
    return Fact((1,))


@node(version=1, title={"en": "Gather texts", "zh": "合并文本列表"}, tags=("text",))
def gather(texts: list[Text]) -> Text:
    """All strings of several texts as one, in order.

    texts: at least one; returns the sum of their numbers of strings.

    Reference: Python itertools.chain.
    """
    if not texts:
        raise ValueError("there is no text to gather")
    return Text(tuple(line for text in texts for line in text))


@node(version=1, title={"en": "Numbers as text", "zh": "数字转文本"}, tags=("text",))
def numbers(numbers: list[float | Seed | None]) -> Text:
    """Numbers or seeds as a person writes them, for labels: 3.0 as 3, a tenth as 0.1, none as –.

    numbers: at least one; returns a string for each.

    Reference: Python str.
    """
    if not numbers:
        raise ValueError("there is no number to write")
    return Text(tuple("–" if number is None else str(number).removesuffix(".0") for number in numbers))


@numbers.describe
def _(known: Known) -> Fact:
    fact = known.facts.get("numbers")
    return Fact((fact.count if fact is not None else None,))


@node(version=1, title={"en": "Cut text", "zh": "截断文本"}, tags=("text",))
def cut(text: Text, length: Annotated[int, Between(1, 1_000_000), Help("Characters kept")] = 80) -> Text:
    """At most `length` characters of each string, an ellipsis for the rest.

    text: B strings; returns B strings of at most `length` characters.

    Reference: Python slicing.
    """
    return Text(tuple(line if len(line) <= length else line[: length - 1] + "…" for line in text))


@cut.describe
def _(known: Known) -> Fact:
    return Fact((known.batch("text"),))


@node(version=1, title={"en": "Text is empty", "zh": "文本是否为空"}, tags=("text",))
def is_empty(text: Text) -> bool:
    """Whether nothing is written: what a switch asks.

    text: B strings; returns true if each is empty or blank.

    Reference: Python str.strip.
    """
    return not any(line.strip() for line in text)


def _repeated(text: Text, count: int, name: str) -> tuple[str, ...]:
    if len(text) == count:
        return text.lines
    if len(text) == 1:
        return text.lines * count
    raise ValueError(f"`{name}` has {len(text)} lines where 1 or {count} fit")
