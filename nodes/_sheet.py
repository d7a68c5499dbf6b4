"""Drawing a contact sheet with PIL."""

from __future__ import annotations

from typing import Any

MARGIN, GAP, LINE, HEAD = 20, 16, 20, 14
PAPER, INK, FAINT, EDGE = (255, 255, 255), (34, 34, 34), (120, 120, 120), (225, 225, 225)

# Pillow's own font has no Chinese, Japanese or Korean letters; these are what systems usually have.
WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc", "PingFang.ttc", "msyh.ttc", "simhei.ttf")


def draw_sheet(pictures: list, captions: tuple[str, ...] | None, columns: int, side: int) -> Any:
    """A white PIL picture: thumbnails in rows, bottom-aligned, captions centred below."""
    import PIL.Image
    import PIL.ImageDraw

    thumbnails = [thumbnail(picture, side) for picture in pictures]
    columns = min(columns, len(pictures))
    texts = [_lines(caption, side) for caption in captions] if captions else [[] for _ in pictures]
    text_height = max(map(len, texts)) * LINE + (GAP // 2 if captions else 0)
    rows = [range(first, min(first + columns, len(pictures))) for first in range(0, len(pictures), columns)]
    heights = [max(thumbnails[i].height for i in row) for row in rows]
    width = 2 * MARGIN + columns * side + (columns - 1) * GAP
    height = 2 * MARGIN + sum(heights) + len(rows) * text_height + (len(rows) - 1) * GAP
    paper = PIL.Image.new("RGB", (width, height), PAPER)
    pen = PIL.ImageDraw.Draw(paper)
    top = MARGIN
    for row, tallest in zip(rows, heights):
        for i in row:
            left = MARGIN + (i - row.start) * (side + GAP)
            picture = thumbnails[i]
            x, y = left + (side - picture.width) // 2, top + tallest - picture.height
            paper.paste(picture, (x, y))
            pen.rectangle((x - 1, y - 1, x + picture.width, y + picture.height), outline=EDGE)
            for number, (line, ink, size) in enumerate(texts[i]):
                font = _font(line, size)
                place = (left + side / 2, top + tallest + GAP // 2 + number * LINE)
                pen.text(place, _fitting(line, font, side), fill=ink, font=font, anchor="ma")
        top += tallest + text_height + GAP
    return paper


def draw_grid(pictures: list, heads: tuple[str, ...], titles: tuple[str, ...], names: tuple[str, str], side: int) -> Any:
    """A white PIL picture: thumbnails in rows and columns, a label before each row and above each column, and what these are in grey."""
    import PIL.Image
    import PIL.ImageDraw

    thumbnails = [picture and thumbnail(picture, side) for picture in pictures]
    across, down = names
    margin = int(max(_font(head, HEAD).getlength(head) for head in heads)) if any(heads) else 0
    margin = min(max(margin, int(_font(down, HEAD - 1).getlength(down))), 2 * side) + GAP if margin or down else 0
    top = MARGIN + LINE * (bool(across) + any(map(bool, titles))) + (GAP // 2 if across or any(titles) else 0)
    width, height = max((one.width for one in thumbnails if one), default=side), max((one.height for one in thumbnails if one), default=side)
    paper = PIL.Image.new("RGB", (2 * MARGIN + margin + len(titles) * (side + GAP) - GAP, top + MARGIN + len(heads) * (height + GAP) - GAP), PAPER)
    pen = PIL.ImageDraw.Draw(paper)
    left = MARGIN + margin
    if across:
        pen.text((left, MARGIN), _fitting(across, _font(across, HEAD - 1), paper.width - left - MARGIN), fill=FAINT, font=_font(across, HEAD - 1), anchor="la")
    if down:
        pen.text((MARGIN, top - GAP // 2), _fitting(down, _font(down, HEAD - 1), margin - GAP), fill=FAINT, font=_font(down, HEAD - 1), anchor="ls")
    for j, title in enumerate(titles):
        font = _font(title, HEAD)
        pen.text((left + j * (side + GAP) + side / 2, top - GAP // 2), _fitting(title, font, side), fill=INK, font=font, anchor="ms")
    for i, head in enumerate(heads):
        font, y = _font(head, HEAD), top + i * (height + GAP)
        pen.text((MARGIN, y + height / 2), _fitting(head, font, margin - GAP), fill=INK, font=font, anchor="lm") if head else None
        for j in range(len(titles)):
            one, x = thumbnails[i * len(titles) + j], left + j * (side + GAP)
            if one is None:
                pen.rectangle((x + (side - width) // 2, y, x + (side + width) // 2 - 1, y + height - 1), outline=EDGE)
                pen.text((x + side / 2, y + height / 2), "–", fill=FAINT, font=_font("–", HEAD), anchor="mm")
                continue
            x, down_ = x + (side - one.width) // 2, y + (height - one.height) // 2
            paper.paste(one, (x, down_))
            pen.rectangle((x - 1, down_ - 1, x + one.width, down_ + one.height), outline=EDGE)
    return paper


def thumbnail(picture: Any, side: int) -> Any:
    """The picture with its longer side `side`: enlarged by whole factors to stay crisp, reduced smoothly."""
    import PIL.Image

    longest = max(picture.size)
    if longest <= side:
        factor = side // longest
        return picture.resize((picture.width * factor, picture.height * factor), PIL.Image.Resampling.NEAREST)
    size = tuple(max(1, round(length * side / longest)) for length in picture.size)
    return picture.resize(size, PIL.Image.Resampling.LANCZOS, reducing_gap=3.0)


def _lines(caption: str, width: int) -> list[tuple[str, tuple[int, int, int], int]]:
    """Lines with ink and size: the caption's own first line on up to two, what follows smaller and fainter."""
    first, *others = caption.split("\n")[:3]
    font, words, head = _font(first, HEAD), first[:200].split(" "), ""
    while len(words) > 1 and font.getlength(f"{head} {words[0]}".strip()) <= width:
        head = f"{head} {words.pop(0)}".strip()
    tail = " ".join(words)
    one = not head or font.getlength(f"{head} {tail}") <= width
    heads = [f"{head} {tail}".strip()] if one else [head, tail]
    return [(line, INK, HEAD) for line in heads] + [(line, FAINT, HEAD - 1) for line in others]


def _font(text: str, size: int) -> Any:
    import PIL.ImageFont

    if max(map(ord, text), default=0) > 0x2E80:
        for name in WIDE_FONTS:
            try:
                return PIL.ImageFont.truetype(name, size)
            except OSError:
                continue
    return PIL.ImageFont.load_default(size)


def _fitting(text: str, font: Any, width: int) -> str:
    """The text, its middle replaced by an ellipsis if it is wider than a thumbnail."""
    text = "".join(letter if letter.isprintable() else " " for letter in text[:200])
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        shorter = text[: kept - kept // 2] + "…" + text[len(text) - kept // 2 :]
        if font.getlength(shorter) <= width:
            return shorter
    return "…"
