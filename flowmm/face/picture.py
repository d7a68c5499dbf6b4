"""A graph as a picture in pixels, drawn as its SVG is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .draw import HEAD, LARGEST, MARGIN, PLAIN, ROW, WIDTH, Box, boxes_of, height_of, layers, placed, row_of

if TYPE_CHECKING:
    from .graph import Graph

SCALE = 2  # pixels of a unit of the drawing
WIDEST = 12_000  # pixels of a side
PAPER, BODY, EDGE, LIGHT, DIM = "#1d2025", "#2b2f36", "#555555", "#ffffff", "#dddddd"
STEPS = 24  # straight pieces of a wire


def picture(graph: Graph) -> Any:
    """The drawing as a PIL picture; of a graph of too many nodes its title alone."""
    from PIL import Image, ImageDraw, ImageFont

    boxes = boxes_of(graph) if len(graph.document.nodes) <= LARGEST else {}
    places = placed(boxes, layers(boxes))
    width = max((x for x, _ in places.values()), default=0) + WIDTH + MARGIN
    height = max((y + height_of(boxes[name]) for name, (_, y) in places.items()), default=0) + MARGIN + HEAD
    scale = min(SCALE, WIDEST / max(width, height))
    made = Image.new("RGB", (max(int(width * scale), 320), int(height * scale)), PAPER)
    pen = _Pen(ImageDraw.Draw(made), scale, ImageFont.load_default(11 * scale))
    pen.text(MARGIN, height - HEAD + 4, graph.title[:200], DIM, room=made.width / scale - 2 * MARGIN)
    for name, (_, inputs, outputs, sources) in boxes.items():
        for row, port in enumerate(inputs):
            for source, output, colour in sources.get(port, ()):
                x, y = places[source]
                end_x, end_y = places[name]
                pen.wire((x + WIDTH, y + HEAD + ROW * row_of(boxes[source], output) + 8), (end_x, end_y + HEAD + ROW * (row + len(outputs)) + 8), colour)
    for name, box in boxes.items():
        pen.box(places[name], box, box[0] if name in ("input", "output") else name)
    return made


class _Pen:
    def __init__(self, draw: Any, scale: float, font: Any):
        self.draw, self.scale, self.font = draw, scale, font

    def text(self, x: float, y: float, text: str, colour: str, right: bool = False, room: float = WIDTH - 16) -> None:
        """room: that it may take; what is longer ends in …"""
        shown = text
        while len(shown) > 1 and self.font.getlength(shown) > room * self.scale:
            shown = shown[:-2] + "…"
        left = x * self.scale - (self.font.getlength(shown) if right else 0)
        self.draw.text((left, y * self.scale), shown, fill=colour, font=self.font)

    def wire(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        (x0, y0), (x3, y3) = start, end
        reach = max(abs(x3 - x0) / 2, 30)
        points = []
        for step in range(STEPS + 1):
            t = step / STEPS
            a, b, c, d = (1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3
            points.append(((a * x0 + b * (x0 + reach) + c * (x3 - reach) + d * x3) * self.scale, (a * y0 + b * y0 + c * y3 + d * y3) * self.scale))
        self.draw.line(points, fill=colour or PLAIN, width=max(1, round(2 * self.scale)), joint="curve")

    def box(self, place: tuple[int, int], box: Box, label: str) -> None:
        x, y = place
        _, inputs, outputs, _ = box
        self.draw.rounded_rectangle([x * self.scale, y * self.scale, (x + WIDTH) * self.scale, (y + height_of(box)) * self.scale],
                                    radius=6 * self.scale, fill=BODY, outline=EDGE)  # fmt: skip
        self.text(x + 8, y + 5, label, LIGHT)
        for row, output in enumerate(outputs):
            self.text(x + WIDTH - 8, y + HEAD + ROW * row + 1, output, DIM, right=True)
        for row, port in enumerate(inputs):
            self.text(x + 8, y + HEAD + ROW * (row + len(outputs)) + 1, port, DIM)
