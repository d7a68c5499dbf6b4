"""Perceptual colour maps: equal steps of a number look like equal steps of lightness, also in grey and to colour-blind eyes."""

from __future__ import annotations

from typing import Any, Literal

ColourMap = Literal["inferno", "magma", "viridis"]

# Ten evenly spaced colours of matplotlib's maps (van der Walt and Smith, 2015; CC0); what lies between is interpolated.
MAPS = {
    "inferno": "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4",
    "magma": "000004 180f3d 440f76 721f81 9e2f7f cd4071 f1605d fd9668 feca8d fcfdbf",
    "viridis": "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725",
}  # fmt: skip


def coloured(values: Any, colours: ColourMap = "inferno") -> Any:
    """float [..., H, W] in 0…1 to float32 [..., 3, H, W] in 0…1."""
    import numpy

    stops = numpy.array([[int(stop[i : i + 2], 16) / 255 for i in (0, 2, 4)] for stop in MAPS[colours].split()])
    places = numpy.linspace(0, 1, len(stops))
    return numpy.stack([numpy.interp(values, places, channel) for channel in stops.T], axis=-3).astype("float32")


def stretched(values: Any) -> Any:
    """Each map of [B, rows, columns] from its least to its greatest, 0…1; a map of one value becomes 0."""
    import numpy

    low, high = values.min(axis=(1, 2), keepdims=True), values.max(axis=(1, 2), keepdims=True)
    return (values - low) / numpy.where(high > low, high - low, 1)
