"""Uploads: what is taken in is a whole picture within the bounds, whatever it is called; all else is refused in a sentence."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import random
import struct
import threading
import time
import zlib

import numpy
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flowmm.server.refusals import Refused
from flowmm.server.uploads import Upload, Uploads
from flowmm.sockets import Image, Mask

FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP"}


def picture(width: int = 40, height: int = 24, mode: str = "RGB", seed: int = 0) -> PIL.Image.Image:
    pixels = numpy.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype="uint8")
    return PIL.Image.fromarray(pixels).convert(mode)


def encoded(kind: str, of: PIL.Image.Image | None = None, **how) -> bytes:
    buffer = io.BytesIO()
    (of or picture()).save(buffer, FORMATS.get(kind, kind), **how)
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks behind its head."""
    return data[:33] + b"".join(chunks) + data[33:]


@pytest.fixture
def uploads(tmp_path):
    return Uploads(tmp_path / "uploads")


def refused(uploads: Uploads, data: bytes, status: int) -> Refused:
    """The refusal of what must be refused, with nothing left behind."""
    before = sorted(uploads.folder.iterdir()) if uploads.folder.exists() else []
    with pytest.raises(Refused) as caught:
        uploads.add(data)
    json.dumps(caught.value.as_json(), ensure_ascii=False).encode()
    assert caught.value.status == status, caught.value
    assert (sorted(uploads.folder.iterdir()) if uploads.folder.exists() else []) == before
    return caught.value


# ── what is taken ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_is_kept_as_it_came_under_a_name_of_our_own(uploads, kind):
    data = encoded(kind)
    upload = uploads.add(data)
    assert upload == Upload(f"{hashlib.sha256(data).hexdigest()[:32]}.{kind}", 40, 24, len(data), kind)
    assert uploads.path(upload.id) == uploads.folder / upload.id and uploads.path(upload.id).read_bytes() == data
    assert upload.media == PIL.Image.MIME[FORMATS[kind]]
    json.dumps(upload.as_json())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_opens_as_a_picture_and_as_a_mask(uploads, mode):
    made = PIL.Image.fromarray(numpy.arange(960, dtype="uint16").reshape(24, 40) * 60) if mode == "I;16" else picture(mode=mode)
    upload = uploads.add(encoded("png", made))
    assert type(uploads.open(upload.id)) is Image and uploads.open(upload.id).pixels.shape == (1, 3, 24, 40)
    assert type(uploads.mask(upload.id)) is Mask and uploads.mask(upload.id).pixels.shape == (1, 1, 24, 40)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_opens(uploads, mode):
    assert uploads.open(uploads.add(encoded("jpg", picture(mode=mode), progressive=mode == "RGB")).id).pixels.shape == (1, 3, 24, 40)


@pytest.mark.parametrize("how", [{"lossless": True}, {"lossless": False}, {"exif": PIL.Image.Exif()}])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_kind_of_webp_opens(uploads, how, mode):
    assert uploads.open(uploads.add(encoded("webp", picture(mode=mode), **how)).id).pixels.shape == (1, 3, 24, 40)


def test_the_pixels_are_those_of_the_file(uploads):
    assert (uploads.open(uploads.add(encoded("png")).id).uint8()[0] == numpy.asarray(picture())).all()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_picture_stands_upright_as_the_graph_will_see_it(uploads, kind, orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = encoded(kind, exif=exif)
    upload = uploads.add(data)
    assert (upload.width, upload.height) == ((40, 24) if orientation == 3 else (24, 40))
    assert (uploads.open(upload.id).pixels == Image.accept(data).pixels).all() and uploads.open(upload.id).width == upload.width


def test_the_preview_that_a_camera_puts_into_a_jpeg_does_not_matter(uploads):
    data = encoded("MPO", save_all=True, append_images=[picture(20, 12)])
    upload = uploads.add(data)
    assert (upload.kind, upload.width, upload.height) == ("jpg", 40, 24) and uploads.open(upload.id).width == 40


def test_the_same_bytes_twice_are_one_file(uploads):
    assert uploads.add(encoded("png")) == uploads.add(encoded("png"))
    assert len(list(uploads.folder.iterdir())) == 1


def test_the_same_bytes_from_many_threads_at_once_are_one_file(uploads):
    found, data = [], encoded("jpg")
    threads = [threading.Thread(target=lambda: found.append(uploads.add(data))) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(found) == 8 and len(set(found)) == 1 and len(list(uploads.folder.iterdir())) == 1


@pytest.mark.parametrize("kind", FORMATS)
def test_what_follows_a_picture_does_not_matter(uploads, kind):
    assert uploads.add(encoded(kind) + b"<html><script>alert(1)</script>" * 10).width == 40


# ── what is not ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "data",
    [
        b"", b"x", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?><svg/>", b"<html><body onload=alert(1)>", b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF-3.0",
        b"PK\x03\x04", b"MZ", b"\x80\x04K\x01.", b"\0" * 100, b"RIFF\x10\0\0\0AVI LIST", b"GIF89a<script>" + encoded("png"), b"BM" + encoded("jpg"), b" " + encoded("png"),
        *(encoded(kind) for kind in ("GIF", "BMP", "TIFF", "PPM", "ICO", "TGA", "PCX")),
    ],
)  # fmt: skip
def test_what_is_no_png_jpeg_or_webp_by_its_content_is_415(uploads, data):
    assert refused(uploads, data, 415).code == "no-picture"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_head_alone_is_422(uploads, kind):
    for length in (12, 16, 20, 30):
        refused(uploads, encoded(kind)[:length], 422)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_was_cut_off_anywhere_is_422(uploads, kind):
    data = encoded(kind, picture(12, 8))
    for length in range(12, len(data), 1 if kind != "jpg" else 3):
        refused(uploads, data[:length], 422)
    refused(uploads, data[:-1], 422)


def test_a_file_over_the_bound_of_bytes_is_413_and_one_at_it_is_taken(tmp_path):
    data = encoded("png")
    assert Uploads(tmp_path, largest_bytes=len(data)).add(data)
    assert "bytes" in refused(Uploads(tmp_path / "b", largest_bytes=len(data) - 1), data, 413).message


@pytest.mark.parametrize("kind", FORMATS)
def test_a_picture_over_the_bound_of_pixels_is_413_and_one_at_it_is_taken(tmp_path, kind):
    assert Uploads(tmp_path, largest_pixels=40 * 24).add(encoded(kind))
    assert "40×24" in refused(Uploads(tmp_path / "b", largest_pixels=40 * 24 - 1), encoded(kind), 413).message


@pytest.mark.parametrize("how", [{"lossless": True}, {"lossless": False}, {"lossless": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}])
def test_the_size_of_a_webp_is_read_from_each_kind_of_head(tmp_path, how):
    assert "40×24" in refused(Uploads(tmp_path, largest_pixels=1), encoded("webp", **how), 413).message


def bomb(kind: str) -> bytes:
    """A small file that says it is huge."""
    data = bytearray(encoded(kind, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0") if kind == "webp" else encoded(kind))
    if kind == "png":
        data[8:33] = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    elif kind == "jpg":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    else:
        assert data[12:16] == b"VP8X"
        data[24:30] = (59_999).to_bytes(3, "little") * 2
    return bytes(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_decompression_bomb_is_413_before_anything_is_decoded(uploads, kind, monkeypatch):
    monkeypatch.setattr("flowmm.server.uploads.open_picture", lambda *_: pytest.fail("decoded"))
    assert refused(uploads, bomb(kind), 413).code == "too-many-pixels"


def test_a_webp_that_says_it_is_huge_never_reaches_pillow(uploads, monkeypatch):
    monkeypatch.setattr(PIL.Image, "open", lambda *_, **__: pytest.fail("opened"))
    refused(uploads, bomb("webp"), 413)


@pytest.mark.parametrize("kind", ["png", "webp"])
def test_an_animation_is_415(uploads, kind):
    assert refused(uploads, encoded(kind, save_all=True, append_images=[picture(seed=1)] * 3, duration=10), 415).code == "animated"


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_that_unpacks_to_more_than_pillow_allows_is_422(uploads, name):
    packed = zlib.compress(b"a" * (PIL.PngImagePlugin.MAX_TEXT_CHUNK * 2))
    head = {b"zTXt": b"key\0\0", b"iTXt": b"key\0\1\0\0\0", b"iCCP": b"key\0\0"}[name]
    refused(uploads, with_chunks(encoded("png"), chunk(name, head + packed)), 422)


def test_a_file_of_millions_of_parts_is_422_before_pillow_walks_them(uploads, monkeypatch):
    monkeypatch.setattr(PIL.Image, "open", lambda *_, **__: pytest.fail("opened"))
    jpeg = encoded("jpg")
    for part in (b"\xff\xfe\0\2", b"\xff\xe5\0\2", b"\xff", b"\0", b"\xff\0", b"\xff\xd8"):
        assert "65,536" in refused(uploads, jpeg[:20] + part * 2**17 + jpeg[20:], 422).message
    assert "65,536" in refused(uploads, with_chunks(encoded("png"), chunk(b"teSt", b"") * 2**17), 422).message


def test_a_file_with_many_parts_but_not_too_many_is_taken(uploads):
    jpeg = encoded("jpg")
    assert uploads.add(jpeg[:2] + b"\xff\xfe\0\2" * 1000 + jpeg[2:]).width == 40
    assert uploads.add(with_chunks(encoded("png"), chunk(b"teSt", b"") * 1000)).width == 40


# ── whatever is sent ────────────────────────────────────────────────────────────────────────────

REAL = [
    with_chunks(encoded("png", picture(9, 7)), chunk(b"tEXt", b"key\0" + b"words" * 10)), encoded("png", picture(9, 7, "P")), encoded("png", picture(9, 7, "LA")), encoded("png", picture(3, 3), exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    encoded("jpg", picture(9, 7)), encoded("jpg", picture(9, 7, "CMYK")), encoded("jpg", picture(9, 7), progressive=True),
    encoded("webp", picture(9, 7)), encoded("webp", picture(9, 7, "RGBA"), lossless=True), encoded("MPO", picture(9, 7), save_all=True, append_images=[picture(3, 3)]),
]  # fmt: skip


def taken_or_refused(uploads: Uploads, data: bytes) -> bool:
    """Whether it was taken; then it opens, and one file more lies in the folder at most; else nothing does."""
    before = set(os.listdir(uploads.folder)) if uploads.folder.exists() else set()
    try:
        upload = uploads.add(data)
    except Refused as error:
        assert error.status in (413, 415, 422) and error.message
        json.dumps(error.as_json(), ensure_ascii=False).encode()
        assert not uploads.folder.exists() or set(os.listdir(uploads.folder)) == before
        return False
    opened = uploads.open(upload.id)
    assert (opened.width, opened.height) == (upload.width, upload.height) == (uploads.mask(upload.id).width, uploads.mask(upload.id).height)
    assert set(os.listdir(uploads.folder)) == before | {upload.id}
    return True


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(head=st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x20\0\0\0WEBPVP8 ", b"RIFF\x20\0\0\0WEBPVP8X", REAL[0][:33], REAL[4][:20]]), rest=st.binary(max_size=200))
def test_random_bytes_are_taken_and_open_or_are_refused_and_nothing_else(uploads, head, rest):
    taken_or_refused(uploads, head + rest)


@pytest.mark.parametrize("number", range(len(REAL)))
def test_a_real_picture_changed_at_random_is_taken_and_opens_or_is_refused(uploads, number):
    luck, real, taken = random.Random(number), REAL[number], 0
    assert taken_or_refused(uploads, real)
    for _ in range(150):
        data = bytearray(real)
        for _ in range(luck.choice((1, 1, 2, 8))):
            at = luck.randrange(max(1, len(data))) if luck.random() < 0.5 else luck.randrange(max(1, min(len(data), 120)))
            kind = luck.random()
            if kind < 0.6 and at < len(data):
                data[at] = luck.choice((0, 255, data[at] ^ 1 << luck.randrange(8), luck.randrange(256)))
            elif kind < 0.75:
                del data[at : at + luck.randrange(1, 9)]
            elif kind < 0.9:
                data[at:at] = luck.randbytes(luck.randrange(1, 9))
            else:
                del data[max(at, 1) :]
        if real[:4] == b"\x89PNG" and luck.random() < 0.7:
            data = mended(bytes(data))
        taken += taken_or_refused(uploads, bytes(data))
    assert 0 < taken < 150


def mended(data: bytes) -> bytes:
    """A PNG whose checksums are right again, so that the change reaches what is behind them."""
    made, at = data[:8], 8
    while at + 12 <= len(data):
        length = struct.unpack_from(">I", data, at)[0]
        if at + 12 + length > len(data):
            break
        made += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return made + data[at:]


# ── names ───────────────────────────────────────────────────────────────────────────────────────

ODD = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(["..", "/", "a" * 32, "canary", ".png", "\0", "\\", "0" * 32]), max_size=6).map("".join))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(id=ODD)
def test_no_id_but_one_of_ours_leads_to_a_file(uploads, id):
    uploads.folder.mkdir(exist_ok=True)
    for canary in (uploads.folder.parent / "canary.png", uploads.folder / "canary.png"):
        canary.write_bytes(encoded("png"))
    for look in (uploads.path, uploads.open, uploads.mask):
        with pytest.raises(Refused) as caught:
            look(id)
        assert caught.value.status == 404
        json.dumps(caught.value.as_json(), ensure_ascii=False).encode()


@pytest.mark.parametrize("odd", ["a" * 32, "a" * 32 + ".gif", "A" * 32 + ".png", "a" * 31 + ".png", "a" * 32 + ".png\n", "../" + "a" * 32 + ".png", "a" * 32 + ".png/"])
def test_an_id_that_is_nearly_ours_is_404(uploads, odd):
    uploads.folder.mkdir()
    with pytest.raises(Refused) as caught:
        uploads.path(odd)
    assert caught.value.status == 404


def test_a_link_or_folder_under_one_of_our_names_is_404(uploads, tmp_path):
    uploads.folder.mkdir()
    (tmp_path / "secret.png").write_bytes(encoded("png"))
    (uploads.folder / f"{'a' * 32}.png").symlink_to(tmp_path / "secret.png")
    (uploads.folder / f"{'b' * 32}.png").mkdir()
    for letter in "ab":
        with pytest.raises(Refused, match="no upload"):
            uploads.open(f"{letter * 32}.png")
    assert uploads.listing(10) == []


# ── the list and the room ───────────────────────────────────────────────────────────────────────


def several(uploads: Uploads, count: int) -> list[Upload]:
    """Pictures of one size in bytes, each a second older than the next."""
    made = [uploads.add(encoded("png", picture(16, 16, seed=seed), compress_level=0)) for seed in range(count)]
    for age, upload in enumerate(made):
        os.utime(uploads.folder / upload.id, (1000 + age, 1000 + age))
    return made


def test_the_list_is_the_newest_first_and_the_same_after_a_restart(uploads):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    made = [uploads.add(encoded("jpg", exif=exif)), *several(uploads, 3)]
    os.utime(uploads.folder / made[0].id, (1, 1))
    assert uploads.listing(10) == made[::-1] == Uploads(uploads.folder).listing(10)
    assert uploads.listing(2) == made[:1:-1] and uploads.listing(0) == uploads.listing(-1) == []


def test_a_file_that_was_damaged_since_is_listed_as_such_and_says_so_when_opened(uploads):
    upload = uploads.add(encoded("png"))
    (uploads.folder / upload.id).write_bytes(b"garbage")
    again = Uploads(uploads.folder)
    assert again.listing(10) == [Upload(upload.id, 0, 0, 7, "png")]
    with pytest.raises(Refused) as caught:
        again.open(upload.id)
    assert caught.value.status == 422
    assert again.open(again.add(encoded("png")).id).width == 40  # sent again, it is whole again


def test_beyond_the_bound_the_oldest_that_nothing_refers_to_go(uploads):
    made = several(uploads, 4)
    uploads.most_bytes = made[0].bytes * 4
    uploads.in_use = {made[0].id, made[2].id}.__contains__
    new = uploads.add(encoded("png", picture(16, 16, seed=9), compress_level=0))
    assert new.bytes == made[0].bytes
    assert {upload.id for upload in uploads.listing(10)} == {new.id, made[0].id, made[2].id, made[3].id}


def test_sent_again_a_picture_is_not_the_next_to_go(uploads):
    made = several(uploads, 3)
    uploads.most_bytes = made[0].bytes * 3
    several_again = uploads.add(encoded("png", picture(16, 16, seed=0), compress_level=0))
    uploads.add(encoded("png", picture(16, 16, seed=9), compress_level=0))
    left = {upload.id for upload in uploads.listing(10)}
    assert several_again.id in left and made[1].id not in left


def test_the_bound_of_all_bytes_holds_when_many_come_at_once(uploads, monkeypatch):
    size = several(uploads, 1)[0].bytes
    uploads.most_bytes = size * 3
    sent = [encoded("png", picture(16, 16, seed=seed), compress_level=0) for seed in range(1, 13)]
    real = uploads._files
    monkeypatch.setattr(uploads, "_files", lambda: (real(), time.sleep(0.01))[0])  # as on a slow disk: the others have time to come between
    threads = [threading.Thread(target=uploads.add, args=(data,)) for data in sent]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert len(uploads.listing(20)) == 3


def test_where_all_is_in_use_it_is_507_and_nothing_goes(uploads):
    made = several(uploads, 3)
    uploads.most_bytes = made[0].bytes * 3
    uploads.in_use = {made[0].id, made[1].id, made[2].id}.__contains__
    refused(uploads, encoded("png", picture(16, 16, seed=9), compress_level=0), 507)
    uploads.in_use = made[0].id.__eq__
    refused(uploads, encoded("png", picture(64, 64, seed=9), compress_level=0), 507)
    assert uploads.listing(10) == made[::-1]


# ── the disk ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EROFS, 403), (errno.EIO, 500)])
@pytest.mark.parametrize("step", ["flowmm.files.open", "os.fsync", "os.replace"])
def test_a_disk_that_fails_at_any_step_leaves_nothing(uploads, monkeypatch, number, status, step):
    uploads.add(encoded("png"))

    def failing(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(step, failing, raising=False)
        refused(uploads, encoded("jpg"), status)
    assert uploads.add(encoded("jpg")).kind == "jpg"


def test_what_a_killed_process_left_is_removed_at_the_next_start(uploads):
    upload = uploads.add(encoded("png"))
    (uploads.folder / f".{upload.id}.123-4.tmp").write_bytes(b"half")
    Uploads(uploads.folder)
    assert os.listdir(uploads.folder) == [upload.id]


def test_a_folder_that_may_not_be_read_says_so(uploads, monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(Refused) as caught:
        uploads.listing(10)
    assert caught.value.status == 403
