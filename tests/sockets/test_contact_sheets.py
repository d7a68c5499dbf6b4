"""A contact sheet: all pictures of a value on one, each whole and in its order."""

from __future__ import annotations

import numpy as np
import pytest

from flowmm.sockets import Image, Mask
from flowmm.sockets.images import MOST_TILES, contact, pictures_of

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255)]


def flat(colour, width=8, height=8) -> Image:
    return Image(np.full((1, height, width, 3), colour, "u1").transpose(0, 3, 1, 2))


def places(sheet, colours) -> list[tuple[int, int, int]]:
    """Of each colour the row and column where it begins, and how many pixels have it."""
    where = [np.argwhere((np.asarray(sheet) == colour).all(-1)) for colour in colours]
    return [(*map(int, one.min(0)), len(one)) for one in where]


def test_one_picture_is_as_it_is_and_what_is_none_has_none():
    (array,) = flat(COLOURS[0], 5, 3).uint8()
    assert np.array_equal(contact([flat(COLOURS[0], 5, 3)], 64), array) and np.array_equal(contact(flat(COLOURS[0], 5, 3), 64), array)
    assert [contact(value, 64) for value in ([], "a", None, [1])] == [None] * 4


def test_several_are_tiles_in_their_order_enlarged_by_a_whole_factor():
    sheet = contact([flat(colour) for colour in COLOURS[:4]], 70)
    (top, left, size), second, third, _ = places(sheet, COLOURS[:4])
    assert (top, left, size) == (0, 0, 32 * 32) and second == (0, 35, size) and third == (35, 0, size) and sheet.size == (67, 67)


def test_a_batch_is_as_the_list_of_its_pictures():
    several = [flat(colour) for colour in COLOURS]
    batch = Image(np.concatenate([one.pixels for one in several]))
    assert np.array_equal(contact(batch, 90), contact(several, 90)) and np.array_equal(contact([batch], 90), contact(several, 90))
    assert [i for _, i in pictures_of([batch, several[0]])] == [0, 1, 2, 3, 4, 0]


@pytest.mark.parametrize("sizes", [[(8, 8)] * 2, [(300, 200), (200, 300), (8, 8)], [(640, 16)] * 3, [(16, 640)] * 3, [(1, 2000)] * 9], ids=str)
def test_however_large_they_are_each_is_seen_and_the_sheet_keeps_its_size(sizes):
    sheet = contact([flat(colour, *size) for colour, size in zip(COLOURS * 2, sizes)], 160)
    assert max(sheet.size) <= 160 and all(size > 0 for *_, size in places(sheet, COLOURS[: min(len(sizes), 5)]))


def test_long_pictures_lie_below_one_another():
    assert [place[:2] for place in places(contact([flat(colour, 320, 32) for colour in COLOURS[:3]], 160), COLOURS[:3])] == [(0, 0), (19, 0), (38, 0)]


def test_of_very_many_the_last_tile_says_how_many_more_there_are():
    all_of_them = contact([flat(COLOURS[0])] * MOST_TILES, 160)
    more = contact([flat(COLOURS[0])] * (MOST_TILES + 1), 160)
    assert more.size == all_of_them.size and places(all_of_them, COLOURS[:1])[0][2] - places(more, COLOURS[:1])[0][2] == 24 * 24
    assert (np.asarray(more)[-24:, -24:] < 255).any() and (np.asarray(more)[-1, -1] == 255).all(), "grey letters on white"


def test_masks_are_pictures_in_grey():
    masks = [Mask.accept(np.full((4, 4), value, "u1")) for value in (0, 200)]
    assert set(np.asarray(contact(masks, 64))[5, 5]) == {0} and set(np.asarray(contact(masks, 64))[5, -5]) == {200}
