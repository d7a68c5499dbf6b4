"""Drawing what a model makes of the places of a picture over that picture."""

from __future__ import annotations

from typing import Annotated, Any

from flowmm.catalog import node
from flowmm.sockets import Between, E, Fact, FeatureMap, HeatMap, Help, Image, Known
from flowmm.sockets.colours import ColourMap, coloured, stretched
from flowmm.sockets.value import to_numpy

SHOWN = 448  # pixels of the longer side: smaller pictures are enlarged by whole factors, so that what is drawn over them is smooth

Opacity = Annotated[float, Between(0, 1), Help("0: the picture alone; 1: what is drawn over it alone")]


@node(version=1, title={"en": "Heat map over picture", "zh": "热力图叠加"}, tags=("image", "vit"), lane="cpu")
def overlay(heat: HeatMap, image: Image, *, opacity: Opacity = 0.6, colours: ColourMap = "inferno") -> Image:
    """Each map smoothly over its picture, from its least value, darkest, to its greatest, brightest. The picture fades to grey, so
    that colour speaks of the map alone.

    heat: [B, rows, columns]; image: [B, 3, H, W], the part of the pictures the map speaks of. Returns uint8 [B, 3, H', W']:
    pictures smaller than 448 pixels are enlarged by a whole factor. Another number of pictures than maps is an error.

    Reference: none, for the eye only; the colours are matplotlib's.
    """
    import numpy

    drawn = [coloured(smooth, colours) for smooth in _smoothed(stretched(heat.values)[:, None], image)]
    return _blended(numpy.stack(drawn)[:, 0], image, opacity, fading=opacity)


@node(version=1, title={"en": "Principal components over picture", "zh": "主成分叠加"}, tags=("image", "vit"), lane="cpu")
def pca(
    features: FeatureMap[E],
    image: Image,
    *,
    opacity: Opacity = 0.8,
    together: Annotated[bool, Help("One analysis for all pictures, so that equal colours mean equal features")] = True,
) -> Image:
    """The three strongest principal components of patch features as red, green and blue: what has one colour is alike to the model.

    features: [B, D, rows, columns]; image: [B, 3, H, W]. Returns uint8 [B, 3, H', W']: pictures smaller than 448 pixels are
    enlarged by a whole factor. The sign of each component is fixed by its largest weight, its range by the 1st and 99th percentile.

    Reference: Oquab et al. 2023, DINOv2 (arXiv 2304.07193), figure 1; numpy.linalg.svd, signs as scikit-learn's svd_flip.
    """
    import numpy

    maps = to_numpy(features.values).astype(numpy.float64)
    batch, width, rows, columns = maps.shape
    vectors = maps.transpose(0, 2, 3, 1).reshape((1, -1, width) if together else (batch, -1, width))
    channels = numpy.stack([_components(one) for one in vectors]).reshape(batch, rows, columns, 3).transpose(0, 3, 1, 2)
    return _blended(_smoothed(channels, image), image, opacity)


@overlay.describe
@pca.describe
def _(known: Known) -> Fact:
    batch, _, height, width = known.shape("image", 4)
    factor = _factor(height, width) if height and width else None
    return Fact((batch, 3, height and factor and height * factor, width and factor and width * factor), "uint8")


def _components(vectors: Any) -> Any:
    """[P, D] to [P, 3] in 0…1; components there are none of are grey."""
    import numpy

    centred = vectors - vectors.mean(axis=0)
    directions = numpy.linalg.svd(centred, full_matrices=False)[2][:3]
    largest = numpy.take_along_axis(directions, numpy.abs(directions).argmax(axis=1)[:, None], axis=1)
    found = centred @ (directions * numpy.where(largest < 0, -1, 1)).T
    low, high = numpy.percentile(found, (1, 99), axis=0)
    # What is equal but for rounding has no component either.
    real = high - low > 1e-9 * max(1.0, numpy.abs(vectors).max())
    scaled = numpy.where(real, (found - low) / numpy.where(real, high - low, 1), 0.5).clip(0, 1)
    return numpy.pad(scaled, ((0, 0), (0, 3 - scaled.shape[1])), constant_values=0.5)


def _smoothed(maps: Any, image: Image) -> Any:
    """[B, C, rows, columns] in 0…1 at the size of the enlarged pictures."""
    import numpy
    import PIL.Image

    if len(maps) != len(image):
        raise ValueError(f"there are {len(maps)} maps, but {len(image)} pictures to draw them over")
    factor = _factor(image.height, image.width)
    size, method = (image.width * factor, image.height * factor), PIL.Image.Resampling.BICUBIC
    resized = [[numpy.asarray(PIL.Image.fromarray(one.astype(numpy.float32)).resize(size, method)) for one in channels] for channels in maps]
    return numpy.asarray(resized).clip(0, 1)


def _blended(colours: Any, image: Image, opacity: float, fading: float = 0.0) -> Image:
    """colours: float [B, 3, H', W'] in 0…1 over the enlarged pictures; fading: how far these are turned to grey, 0…1."""
    import numpy

    factor = _factor(image.height, image.width)
    below = image.uint8().transpose(0, 3, 1, 2).repeat(factor, axis=2).repeat(factor, axis=3).astype(numpy.float32)
    if fading:
        grey = below[:, :1] * 0.299 + below[:, 1:2] * 0.587 + below[:, 2:] * 0.114
        below += (grey - below) * fading
    return Image((below * (1 - opacity) + colours * (255 * opacity)).round().astype(numpy.uint8))


def _factor(height: int, width: int) -> int:
    return -(-SHOWN // max(height, width))
