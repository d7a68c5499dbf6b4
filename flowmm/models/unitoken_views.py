"""What UniToken sees of a picture: the whole for SigLIP, finer cuts of it for AnyRes models, a square for the codebook.

Reference: SxJyJay/UniToken, item_processor.py and mm_utils.py (LLaVA-NeXT's AnyRes).
"""

from __future__ import annotations

import math
from typing import Any

PINPOINTS = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1))  # across and down, in sides of the encoder's square: 384×768 … 1152×384


class Views:
    """An image processor, called as those of transformers are.

    whole: the library's processor for SigLIP. side: of SigLIP's square, coded: of the codebook's, in pixels. anyres: finer
    cuts too.
    """

    do_resize = True

    def __init__(self, whole: Any, side: int, coded: int, anyres: bool):
        self.whole, self.side, self.coded, self.anyres = whole, side, coded, anyres
        self.size = {"shortest_edge": coded, "height": side, "width": side}

    def __call__(self, images: list, return_tensors: str = "pt", **sizes: Any) -> dict[str, Any]:
        """images: B Pillow pictures. pixel_values [B, 3, side, side]; coded [B, 3, coded, coded] in 0…1; tiles [T, 3, side, side],
        those of all pictures one after another, and sizes int64 [B, 2], height and width of the pictures, where `anyres`.

        Raises ValueError when another size is asked for.
        """
        import torch

        if sizes:
            raise ValueError("UniToken sees pictures in one size: leave the size out")

        def seen(pictures: list) -> Any:
            return self.whole(images=pictures, return_tensors=return_tensors)["pixel_values"]

        found = {"pixel_values": seen(images), "coded": torch.stack([self._square(picture) for picture in images])}
        if self.anyres:
            found["tiles"] = seen([tile for picture in images for tile in self._tiles(picture)])
            found["sizes"] = torch.tensor([[picture.height, picture.width] for picture in images])
        return found

    def _square(self, picture: Any) -> Any:
        """The middle, [3, coded, coded]. UniToken's own code cuts at random along the longer side; the middle is one of its draws."""
        import numpy
        import torch
        from PIL.Image import Resampling

        side = self.coded
        while min(picture.size) >= 2 * side:
            picture = picture.resize((picture.width // 2, picture.height // 2), Resampling.BOX)
        scale = side / min(picture.size)
        picture = picture.resize((round(picture.width * scale), round(picture.height * scale)), Resampling.BICUBIC)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        values = numpy.array(picture.crop((left, top, left + side, top + side)))
        return torch.from_numpy(values).permute(2, 0, 1).float() / 255

    def _tiles(self, picture: Any) -> list:
        """The picture on black, as large as fits the best pinpoint, cut into squares row by row."""
        from PIL import Image

        across, down = pinpoint(picture.width, picture.height, self.side)
        width, height = across * self.side, down * self.side
        if width / picture.width < height / picture.height:
            size = width, min(math.ceil(picture.height * (width / picture.width)), height)
        else:
            size = min(math.ceil(picture.width * (height / picture.height)), width), height
        padded = Image.new("RGB", (width, height))
        padded.paste(picture.resize(size), ((width - size[0]) // 2, (height - size[1]) // 2))
        corners = [(column * self.side, row * self.side) for row in range(down) for column in range(across)]
        return [padded.crop((left, top, left + self.side, top + self.side)) for left, top in corners]


def pinpoint(width: int, height: int, side: int) -> tuple[int, int]:
    """Squares across and down that show most of a picture, and of those the ones that waste least."""

    def merit(grid: tuple[int, int]) -> tuple[int, int]:
        area = grid[0] * side, grid[1] * side
        scale = min(area[0] / width, area[1] / height)
        shown = min(int(width * scale) * int(height * scale), width * height)
        return shown, shown - area[0] * area[1]

    return max(PINPOINTS, key=merit)


def unpadded(features: Any, width: int, height: int) -> Any:
    """[rows, columns, D] without the rows or columns that show nothing but the black around a picture of this shape."""
    rows, columns = features.shape[:2]
    if width / height > columns / rows:
        margin = (rows - int(height * (columns / width))) // 2
        return features[margin : rows - margin]
    margin = (columns - int(width * (rows / height))) // 2
    return features[:, margin : columns - margin]
