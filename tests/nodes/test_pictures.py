"""Picture nodes: every odd file is read right or refused in one sentence."""

import numpy as np
import PIL.Image
import pytest

from flowmm.nodes import clip, image, vision
from flowmm.sockets import Image, Text


def save(path, picture, **options):
    picture.save(path, **options)
    return path


def gradient(width=16, height=8):
    x = np.linspace(0, 255, width).astype("uint8")
    return PIL.Image.fromarray(np.stack([np.tile(x, (height, 1))] * 2 + [np.full((height, width), 40, "uint8")], axis=2))


def test_alpha_becomes_the_mask(tmp_path):
    picture = gradient().convert("RGBA")
    picture.putalpha(77)
    loaded = image.load(save(tmp_path / "a.png", picture))
    assert loaded.image.pixels.shape == (1, 3, 8, 16) and (loaded.mask.pixels == 77).all()
    assert (image.load(save(tmp_path / "b.png", gradient())).mask.pixels == 255).all()


def test_sixteen_bit_greys_are_scaled_even_when_dark(tmp_path):
    deep = np.array([[0, 200, 32768, 65535]], dtype="uint16")
    assert image.load(save(tmp_path / "a.png", PIL.Image.fromarray(deep))).image.pixels[0, 0, 0].tolist() == [0, 1, 128, 255]
    dark = PIL.Image.fromarray(np.array([[0, 200]], dtype="uint16"))
    assert image.load(save(tmp_path / "b.png", dark)).image.pixels[0, 0, 0].tolist() == [0, 1]
    floats = PIL.Image.fromarray(np.array([[0, 0.5, 1.0, np.nan]], dtype="float32"))
    assert image.load(save(tmp_path / "c.tiff", floats)).image.pixels[0, 0, 0].tolist() == [0, 128, 255, 0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "LAB"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    picture = PIL.Image.new(mode, (16, 8)) if mode == "LAB" else gradient().convert(mode)
    path = save(tmp_path / "a.tiff", picture)
    assert image.load(path).image.pixels.shape == (1, 3, 8, 16)


def test_an_animation_gives_its_first_frame_and_a_turned_photo_stands_upright(tmp_path):
    frames = [PIL.Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert image.load(tmp_path / "a.gif").image.pixels[0, :, 0, 0].tolist() == [255, 0, 0]
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    turned = save(tmp_path / "b.jpg", gradient(), exif=exif)
    assert image.load(turned).image.pixels.shape == (1, 3, 16, 8)


def test_damaged_and_foreign_files_are_refused_in_one_sentence(tmp_path):
    whole = save(tmp_path / "whole.png", gradient(300, 300)).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")
    for name, words in (
        ("half.png", "damaged"), ("text.png", "not a picture"), ("empty.png", "not a picture"),
        ("drawing.eps", "not a picture"), ("none.png", "no file"), (".", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words) as caught:
            image.load(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_folder_is_read_in_natural_order_and_others_are_counted(tmp_path):
    for name in ("b10.png", "b2.png", "A1.png", "b2.jpg"):
        save(tmp_path / name, gradient())
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "inner").mkdir()
    found = image.folder(tmp_path)
    assert found.names.lines == ("A1.png", "b2.jpg", "b2.png", "b10.png")
    assert found.skipped == 1 and len(found.images) == 4
    assert image.folder(tmp_path, limit=2).names.lines == ("A1.png", "b2.jpg")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path):
    outside = save(tmp_path / "secret.png", gradient())
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "link.png").symlink_to(outside)
    save(inner / "own.png", gradient())
    assert image.folder(inner).names.lines == ("own.png",)


def test_empty_and_missing_folders_are_errors(tmp_path):
    with pytest.raises(ValueError, match="holds no picture$"):
        image.folder(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ValueError, match="its 1 files are none"):
        image.folder(tmp_path)
    with pytest.raises(ValueError, match="there is no folder `gone`"):
        image.folder(tmp_path / "gone")


def test_batches_want_one_size_and_mix_dtypes_rightly():
    dark = Image(np.full((1, 3, 4, 4), 51, dtype=np.uint8))
    bright = Image(np.ones((2, 3, 4, 4), dtype=np.float32))
    mixed = image.batch([dark, bright])
    assert mixed.pixels.dtype == np.float32 and mixed.pixels[0].max() == np.float32(0.2) and len(mixed) == 3
    assert image.batch([dark, dark]).pixels.dtype == np.uint8
    assert [len(one) for one in image.split(mixed)] == [1, 1, 1]
    with pytest.raises(ValueError, match="4×4, 5×4"):
        image.batch([dark, Image(np.zeros((1, 3, 4, 5), dtype=np.uint8))])
    with pytest.raises(ValueError, match="at least one"):
        image.batch([])


def test_resizing_is_pillows():
    picture = gradient()
    made = image.resize(Image.accept(picture), 5, 3)
    assert np.array_equal(made.uint8()[0], np.asarray(picture.resize((5, 3), PIL.Image.Resampling.BICUBIC)))


def test_a_contact_sheet_holds_every_picture_and_odd_captions():
    images = [Image(np.full((1, 3, 8, 8), shade, dtype=np.uint8)) for shade in (10, 60, 110)]
    images.append(Image(np.full((2, 3, 3, 900), 200, dtype=np.uint8)))
    captions = Text(("plain", "a name much too long to fit under any thumbnail.png\n0.1234", "红色的圆", "\x00\x1b[0m", ""))
    sheet = image.sheet(images, captions, columns=3)
    shades = set(sheet.pixels[0, 0].ravel().tolist())
    assert {10, 60, 110, 200} <= shades and sheet.pixels.dtype == np.uint8
    assert image.sheet(images).height < sheet.height
    with pytest.raises(ValueError, match="5 pictures, but 1 captions"):
        image.sheet(images, Text(("one",)))
    with pytest.raises(ValueError, match="no picture"):
        image.sheet([])


def test_preprocessing_takes_a_single_pixel_and_refuses_a_thread(clip_folder):
    processor = clip.load(clip_folder).processor
    assert vision.preprocess(processor, Image(np.zeros((1, 3, 1, 1), dtype=np.uint8))).values.shape == (1, 3, 24, 24)
    assert vision.preprocess(processor, Image(np.zeros((1, 3, 20_000, 3), dtype=np.uint8))).values.shape == (1, 3, 24, 24)
    with pytest.raises(ValueError, match="1×200000 is too narrow for this model; crop it first"):
        vision.preprocess(processor, Image(np.zeros((1, 3, 200_000, 1), dtype=np.uint8)))
    with pytest.raises(ValueError, match="no picture"):
        vision.preprocess(processor, [])
