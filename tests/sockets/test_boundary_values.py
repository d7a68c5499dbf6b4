"""What a person may hand in at a graph's boundary, and what is refused in words."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import torch

from flowmm.sockets import SOCKETS, Image, Labels, Latent, Mask, NotAccepted, Score, Seed, Text
from flowmm.sockets.facts import Fact, Known, times
from flowmm.sockets.value import Value, socket
from flowmm.sockets.widgets import Between


@pytest.fixture
def picture():
    return PIL.Image.fromarray(np.arange(60, dtype="u1").reshape(4, 5, 3))


def test_every_way_to_hand_in_one_picture_gives_the_same_value(picture, tmp_path):
    picture.save(tmp_path / "a.png")
    array = np.asarray(picture)
    ways = [picture, [picture], tmp_path / "a.png", str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes(), array,
            array.transpose(2, 0, 1), array.transpose(2, 0, 1)[None], torch.from_numpy(array.copy()), Image.accept(picture)]  # fmt: skip
    assert len({Image.accept(way) for way in ways}) == 1
    assert Image.accept(picture).pixels.shape == (1, 3, 4, 5)
    assert np.array_equal(np.asarray(Image.accept(picture).to_pil()), array)


def test_a_list_of_pictures_is_a_batch_and_sizes_must_agree(picture):
    assert len(Image.accept([picture, picture])) == 2
    with pytest.raises(NotAccepted, match="one size, not 5×4, 6×4|one size, not 5×4, 6×4"):
        Image.accept([picture, picture.resize((6, 4))])


@pytest.mark.parametrize(
    "plain", [5, None, [], "missing.png", b"no picture", np.zeros((2, 2, 2, 2, 2)), np.full((1, 3, 2, 2), 1.5), np.full((4, 4, 3), np.nan),
              np.zeros((4, 4, 3), "i4")],
    ids=repr,
)  # fmt: skip
def test_what_is_no_picture_is_refused_with_a_sentence(plain):
    with pytest.raises(NotAccepted) as refusal:
        Image.accept(plain)
    assert len(str(refusal.value)) > 15


def test_transparency_is_dropped_and_sixteen_bits_are_scaled(picture):
    picture.putalpha(7)
    assert Image.accept(picture).pixels.shape[1] == 3
    deep = PIL.Image.fromarray(np.array([[0, 65535]], "u2"))
    assert Image.accept(deep).pixels[0, 0].tolist() == [[0, 255]]


def test_a_mask_has_one_channel():
    assert Mask.accept(np.zeros((4, 5), "u1")).pixels.shape == (1, 1, 4, 5)
    assert isinstance(Mask.accept(np.zeros((4, 5), "u1")), Image)
    with pytest.raises(ValueError, match=r"\[B, 1, H, W\]"):
        Mask(np.zeros((1, 3, 2, 2), "u1"))


def test_a_picture_that_lies_on_its_side_is_set_upright(picture):
    buffer = io.BytesIO()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    picture.save(buffer, "PNG", exif=exif)
    assert Image.accept(buffer.getvalue()).pixels.shape == (1, 3, 5, 4)


def test_pictures_save_and_show_themselves(picture, tmp_path):
    image = Image.accept([picture, picture])
    image.save(tmp_path / "b.png", 1)
    assert Image.accept(tmp_path / "b.png") == Image.accept(picture)
    assert image._repr_png_().startswith(b"\x89PNG")
    assert Mask.accept(np.zeros((4, 5), "u1")).sheet(8).size == (10, 8)


@pytest.mark.parametrize(("plain", "lines"), [("a", ("a",)), (["a", "b"], ("a", "b")), (("a",), ("a",))])
def test_a_text_is_a_string_or_several(plain, lines):
    assert Text.accept(plain).lines == lines


@pytest.mark.parametrize("plain", [5, [], [1], None, "a" * (2**20 + 1)], ids=lambda plain: str(plain)[:5])
def test_what_is_no_text_is_refused(plain):
    with pytest.raises(NotAccepted):
        Text.accept(plain)


@pytest.mark.parametrize(("plain", "value"), [(0, 0), (2**53 - 1, 2**53 - 1), (7.0, 7)])
def test_a_seed_is_an_integer_javascript_keeps(plain, value):
    assert Seed.accept(plain).value == value and type(Seed.accept(plain).value) is int


@pytest.mark.parametrize("plain", [-1, 2**53, 1.5, True, "1", None, float("nan"), float("inf")])
def test_what_is_no_seed_is_refused(plain):
    with pytest.raises(NotAccepted):
        Seed.accept(plain)


def test_a_latent_cannot_be_handed_in():
    with pytest.raises(NotAccepted, match="must come from a node"):
        Latent.accept(np.zeros(3))


def test_values_are_equal_by_content_and_frozen():
    assert Text(("a",)) == Text(("a",)) != Text(("b",))
    assert hash(Latent(torch.zeros(2))) == hash(Latent(torch.zeros(2)))
    assert Seed(1) != 1
    with pytest.raises(AttributeError):
        Seed(1).value = 2


def test_a_packs_socket_carries_its_packs_name():
    @socket
    class Depth(Value):
        """Distance to the camera, in metres."""

        values: object

    try:
        assert Depth.socket_name.endswith(".Depth") and SOCKETS[Depth.socket_name] is Depth
        assert SOCKETS["Image"] is Image
    finally:
        del SOCKETS[Depth.socket_name]


def test_tables_show_themselves_and_escape_their_names():
    score = Score(np.array([[0.25, 0.75]]), rows=("<b>",), columns=("x", "y"))
    assert "&lt;b&gt;" in score._repr_html_() and "0.750" in str(score)
    labels = Labels((("<cat>", "dog"),), np.array([[0.9, 0.1]]))
    assert "&lt;cat&gt;" in labels._repr_html_() and "90.0%" in str(labels)


def test_facts_count_bytes_only_when_all_is_known():
    assert Fact((2, 3), "float32").bytes == 24
    assert Fact((2, None), "float32").bytes is None
    assert times(2, None) is None and times(2, 3) == 6
    known = Known(facts={"latent": Fact((1, 4, 8, 8), "float16")})
    assert known.batch("latent") == 1 and known.shape("other", 2) == (None, None) and known.dtype("latent") == "float16"


def test_ranges_hold_meet_and_read_as_words():
    assert Between(1, 5).holds(5) and not Between(1, 5).holds(6) and not Between().holds(float("nan"))
    assert Between(1, 5).meet(Between(low=3)) == Between(3, 5)
    assert [str(Between(1, 5)), str(Between(low=1)), str(Between(high=5))] == ["1 to 5", "1 or more", "at most 5"]
