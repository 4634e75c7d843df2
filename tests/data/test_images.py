"""Any image file to upright 8-bit RGB, or a reason."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from foray.data.images import ImageReadError, UnreadableImagesError, load_image, read_image
from foray.errors import DataError

RAMP = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def pixels(source: Path | str | bytes) -> np.ndarray:
    image = load_image(source)
    assert image.mode == "RGB"
    return np.asarray(image)


# what a camera stores for the upright picture RAMP, from the definition of the tag (EXIF 2.32, table 6)
STORED = {
    1: RAMP,
    2: RAMP[:, ::-1],
    3: RAMP[::-1, ::-1],
    4: RAMP[::-1],
    5: RAMP.transpose(1, 0, 2),
    6: np.rot90(RAMP, 1),
    7: RAMP[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(RAMP, -1),
}


@pytest.mark.parametrize("orientation", sorted(STORED))
@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_every_exif_orientation_comes_out_upright(orientation: int, format_: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation]))
    np.testing.assert_array_equal(pixels(encoded(stored, format_, exif=exif)), RAMP)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_outside_the_standard_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(RAMP), exif=exif)), RAMP)


def test_a_jpeg_from_a_camera_held_upright_is_taller_than_wide() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert load_image(encoded(Image.new("RGB", (64, 48), "red"), "JPEG", exif=exif)).size == (48, 64)


def test_damaged_exif_does_not_make_the_pixels_unreadable() -> None:
    damaged = encoded(Image.fromarray(RAMP), exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f")
    np.testing.assert_array_equal(pixels(damaged), RAMP)


def test_grey_and_one_bit_fill_three_channels() -> None:
    grey = np.array([[0, 100, 255]], dtype=np.uint8)
    np.testing.assert_array_equal(pixels(encoded(Image.fromarray(grey))), np.repeat(grey[..., None], 3, axis=2))
    bits = np.array([[False, True]])
    assert pixels(encoded(Image.fromarray(bits))).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_keeps_the_high_byte(format_: str) -> None:
    values = np.array([[0, 255, 256, 0x1234, 65535]], dtype=np.uint16)
    assert pixels(encoded(Image.fromarray(values), format_))[0, :, 0].tolist() == [0, 0, 1, 0x12, 255]


def png16(colour_type: int, samples: list[int]) -> bytes:
    """A one-pixel 16-bit PNG, which Pillow cannot write in colour."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    row = b"\x00" + b"".join(struct.pack(">H", sample) for sample in samples)
    header = struct.pack(">IIBBBBB", 1, 1, 16, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def test_16_bit_colour_and_16_bit_grey_of_the_same_picture_agree() -> None:
    value = 0xABCD
    np.testing.assert_array_equal(pixels(png16(2, [value] * 3)), pixels(png16(0, [value])))


def test_transparency_is_laid_on_white_in_every_mode_that_has_it() -> None:
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0]]], dtype=np.uint8)
    opaque_then_white = [[[10, 20, 30], [255, 255, 255]]]
    assert pixels(encoded(Image.fromarray(rgba))).tolist() == opaque_then_white
    assert pixels(encoded(Image.fromarray(rgba), "WEBP", lossless=True)).tolist() == opaque_then_white

    la = np.array([[[40, 255], [40, 0]]], dtype=np.uint8)
    assert pixels(encoded(Image.fromarray(la))).tolist() == [[[40] * 3, [255] * 3]]

    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "L").convert("P")
    palette.putpalette([10, 20, 30, 200, 0, 0])
    assert pixels(encoded(palette, transparency=1)).tolist() == opaque_then_white
    assert pixels(encoded(palette, "GIF", transparency=1)).tolist() == opaque_then_white
    assert pixels(encoded(palette)).tolist() == [[[10, 20, 30], [200, 0, 0]]]

    keyed = Image.fromarray(np.array([[[10, 20, 30], [1, 2, 3]]], dtype=np.uint8))
    assert pixels(encoded(keyed, transparency=(1, 2, 3))).tolist() == opaque_then_white


def test_half_transparent_black_on_white_is_mid_grey() -> None:
    half = np.array([[[0, 0, 0, 128]]], dtype=np.uint8)
    assert pixels(encoded(Image.fromarray(half))).tolist() == [[[127, 127, 127]]]


def test_cmyk_jpeg_keeps_its_colour() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    middle = pixels(encoded(red, "JPEG", quality=95))[8, 8].astype(int)
    assert abs(middle - [255, 0, 0]).max() <= 6


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixels(moving)[0, 0].tolist() == [255, 0, 0]


def test_path_name_and_bytes_give_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "Ünïcode name (1).png"
    path.write_bytes(encoded(Image.fromarray(RAMP)))
    for source in (path, str(path), path.read_bytes()):
        np.testing.assert_array_equal(pixels(source), RAMP)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_ends_early_is_an_error(format_: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), format_)
    load_image(whole)
    with pytest.raises(ImageReadError):
        load_image(whole[: int(share * len(whole))])


def test_a_truncated_photograph_says_so(shared_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_data / "data/imagenet_sample_1000/imagenet_sample_1000.zip") as archive:
        name = next(name for name in archive.namelist() if name.lower().endswith((".jpeg", ".jpg")))
        whole = archive.read(name)
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageReadError, match=r"cut\.jpg: the file is truncated"):
        load_image(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"not an image at all\n" * 10, "not an image"),
        (b"\x89PNG\r\n\x1a\n", "not an image|damaged|truncated"),
        (b"\xff\xd8\xff\xe0" + bytes(200), "not an image|damaged|truncated"),
    ],
)
def test_what_is_no_image_has_a_reason(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(ImageReadError, match=reason):
        load_image(path)
    with pytest.raises(ImageReadError, match=reason):
        load_image(content)


def test_a_missing_file_and_a_folder_have_a_reason(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match="no such file"):
        load_image(tmp_path / "gone.png")
    with pytest.raises(ImageReadError, match="directory"):
        load_image(tmp_path)


def test_pixels_without_an_agreed_range_are_refused() -> None:
    floats = Image.fromarray(np.array([[0.5]], dtype=np.float32))
    with pytest.raises(ImageReadError, match=r"\(bytes\): floating-point"):
        load_image(encoded(floats, "TIFF"))
    wide = Image.fromarray(np.array([[70000]], dtype=np.int32))
    with pytest.raises(ImageReadError, match=r"\(bytes\): 32-bit"):
        load_image(encoded(wide, "TIFF"))


def test_a_decompression_bomb_is_refused_and_a_large_photograph_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageReadError, match=r"more than 200 pixels; if it is genuine, set FORAY_MAX_IMAGE_PIXELS"):
        load_image(encoded(Image.new("L", (15, 14))))
    assert load_image(encoded(Image.new("L", (15, 10)))).size == (15, 10)


def test_draft_decodes_large_jpegs_smaller_but_never_below_the_side_asked_for() -> None:
    large = encoded(Image.new("RGB", (1600, 1000), "red"), "JPEG")
    assert read_image(large, draft_side=256).size == (800, 500)
    assert read_image(large, draft_side=125).size == (200, 125)
    assert read_image(large, draft_side=600).size == (1600, 1000)
    assert read_image(encoded(Image.new("RGB", (1600, 1000))), draft_side=256).size == (1600, 1000)


def test_the_summary_names_five_files_the_count_and_the_way_out() -> None:
    error = UnreadableImagesError({f"a/{i}.jpg": "the file is truncated" for i in range(1234)})
    assert isinstance(error, DataError)
    assert error.ids[:2] == ("a/0.jpg", "a/1.jpg")
    assert len(error.ids) == 1234
    message = str(error)
    assert message.startswith("1,234 images cannot be read: a/0.jpg (the file is truncated); ")
    assert "a/4.jpg" in message
    assert "a/5.jpg" not in message
    assert "1,229 more" in message
    assert "`skip_unreadable`" in message
    assert str(UnreadableImagesError({"x": "y"})).startswith("1 image cannot be read: x (y). Remove it,")
