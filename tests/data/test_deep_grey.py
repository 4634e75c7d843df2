"""Images of more than 8 bits a value are scaled by what the file says, and refused where nothing says it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from deep_images import png, tiff

from foray.data import Dataset, ImageFile, Sample, UnreadableImagesError, decode_for_evaluation
from foray.data import cache as cache_module
from foray.data.images import ImageReadError, load_image
from foray.deploy import ImageError, read_image
from foray.specs import Preprocessing

GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6  # PNG's colour types
MIN, MAX, SAMPLE_FORMAT, SMIN, SMAX, COLOUR_MAP = 280, 281, 339, 340, 341, 320  # TIFF's tags
SHORT, LONG, SSHORT, SLONG, FLOAT = 3, 4, 8, 9, 11  # and their types


def grey(content: bytes) -> list[int]:
    """The one row of an image, which has to be grey."""
    pixels = np.asarray(load_image(content))
    assert np.ptp(pixels, axis=2).max() == 0
    np.testing.assert_array_equal(read_image(content), pixels)  # on the device as in training
    return pixels[0, :, 0].tolist()


def colours(content: bytes) -> list[list[int]]:
    return np.asarray(load_image(content))[0].tolist()


def refusal(content: bytes) -> str:
    with pytest.raises(ImageReadError) as caught:
        load_image(content)
    with pytest.raises(ImageError) as on_device:
        read_image(content)
    assert on_device.value.reason == caught.value.reason
    return caught.value.reason


def packed(values: Sequence[float], code: str = "H", order: str = "<") -> bytes:
    return struct.pack(f"{order}{len(values)}{code}", *values)


def grey_tiff(values: Sequence[float], *entries: tuple, bits: int = 16, code: str = "H", order: str = "<") -> bytes:
    return tiff([bits], 1, packed(values, code, order), *entries, width=len(values), order=order)


def pgm(largest: int, values: Sequence[int]) -> bytes:
    return b"P5 %d 1 %d\n" % (len(values), largest) + packed(values, order=">")


EIGHT_BITS_IN_SIXTEEN = {
    "png": png(GREY, [0, 100, 255]),
    "tiff": grey_tiff([0, 100, 255]),
    "big-endian tiff": grey_tiff([0, 100, 255], order=">"),
    "pgm": pgm(65535, [0, 100, 255]),
    "text pgm": b"P2 3 1 65535\n0 100 255\n",
}


@pytest.mark.parametrize("kind", EIGHT_BITS_IN_SIXTEEN)
def test_an_8_bit_range_in_16_bits_is_refused_and_not_made_black(kind: str) -> None:
    reason = refusal(EIGHT_BITS_IN_SIXTEEN[kind])
    assert "none of its 16-bit values is above 255" in reason
    assert "save it with 8 bits" in reason


@pytest.mark.parametrize("make", [lambda values: png(GREY, values), grey_tiff, lambda values: pgm(65535, values)])
def test_one_value_above_255_shows_the_range_of_16_bits(make: Callable[[list[int]], bytes]) -> None:
    assert grey(make([0, 255, 256])) == [0, 0, 1]
    assert grey(make([0, 255, 65535])) == [0, 0, 255]


def test_black_is_black_in_every_range() -> None:
    assert grey(png(GREY, [0, 0])) == [0, 0]
    assert grey(grey_tiff([0, 0])) == [0, 0]


def test_pixels_of_a_png_that_states_8_significant_bits_are_these_whether_scaled_or_not() -> None:
    values = [0, 1, 100, 255]
    assert grey(png(GREY, values, sBIT=b"\x08")) == values
    assert grey(png(GREY, [257 * value for value in values], sBIT=b"\x08")) == values
    assert grey(png(GREY, [value << 8 for value in values], sBIT=b"\x08")) == values


@pytest.mark.parametrize("bits", [1, 4, 8, 10, 12, 14, 15])
def test_every_number_of_significant_bits_spans_black_to_white(bits: int) -> None:
    white = 2**bits - 1
    assert grey(png(GREY, [0, 1, white], sBIT=bytes([bits])))[::2] == [0, 255]


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_a_dark_png_scaled_up_as_the_standard_wants_stays_dark(bits: int) -> None:
    """All its values fit in the significant bits, but only scaling makes such values."""
    values = np.array([0, 1, 5, 2 ** (2 * bits - 16) - 1])
    right = (values >> (bits - 8)).tolist()
    by_range = np.rint(values * (65535 / (2**bits - 1))).astype(int)
    by_repeated_bits = values << (16 - bits) | values >> (2 * bits - 16)
    for scaled in (values << (16 - bits), by_range, by_repeated_bits):
        assert scaled.max() < 2**bits
        assert grey(png(GREY, scaled.tolist(), sBIT=bytes([bits]))) == right


def test_a_pgm_is_scaled_by_its_largest_value() -> None:
    assert grey(pgm(4095, [0, 16, 2048, 4095])) == [0, 1, 128, 255]
    assert grey(pgm(1000, [0, 500, 1000])) == [0, 128, 255]
    assert grey(pgm(4095, [0, 16, 100])) == [0, 1, 6]  # dark, and known to be
    assert grey(b"P2 3 1 1023\n0 512 1023\n") == [0, 128, 255]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tags", [(MIN, MAX), (SMIN, SMAX)])
def test_a_tiff_is_scaled_by_the_range_its_tags_state(order: str, tags: tuple[int, int]) -> None:
    low, high = tags
    assert grey(grey_tiff([0, 100, 255], (high, SHORT, [255]), order=order)) == [0, 100, 255]
    assert grey(grey_tiff([0, 2048, 4095], (high, SHORT, [4095]), order=order)) == [0, 128, 255]
    stated = ((low, SHORT, [1000]), (high, SHORT, [1255]))
    assert grey(grey_tiff([1000, 1128, 1255], *stated, order=order)) == [0, 128, 255]


def test_a_range_without_extent_is_none() -> None:
    nonsense = ((MIN, SHORT, [0]), (MAX, SHORT, [0]))
    assert grey(grey_tiff([0, 0x1234, 65535], *nonsense)) == [0, 0x12, 255]
    assert "above 255" in refusal(grey_tiff([0, 255], *nonsense))


def test_a_12_bit_tiff_spans_12_bits() -> None:
    assert grey(tiff([12], 1, bytes.fromhex("000fff800010"), width=4)) == [0, 255, 128, 1]


def test_values_outside_the_stated_range_are_refused() -> None:
    reason = refusal(grey_tiff([0, 1000], (MAX, SHORT, [255])))
    assert "states 0 as black and 255 as white, and has values from 0 to 1000" in reason


def test_white_is_zero_where_the_tiff_says_so() -> None:
    assert grey(tiff([16], 0, packed([0, 0x1234, 65535]), width=3)) == [255, 255 - 0x12, 0]
    assert grey(tiff([32], 0, packed([0, 1], "f"), (SAMPLE_FORMAT, SHORT, [3]), (SMAX, FLOAT, [1]), width=2)) == [
        255,
        0,
    ]


@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_values_need_a_stated_range(order: str) -> None:
    signed = (SAMPLE_FORMAT, SHORT, [2])
    for bits, code in ((16, "h"), (32, "i")):
        assert f"{bits}-bit signed pixels" in refusal(grey_tiff([0, 1000], signed, bits=bits, code=code, order=order))
        stated = (signed, (SMIN, SSHORT, [-1000]), (SMAX, SSHORT, [1000]))
        assert grey(grey_tiff([-1000, 0, 1000], *stated, bits=bits, code=code, order=order)) == [0, 127, 255]
    assert "signed pixels" in refusal(grey_tiff([0, 100], signed, bits=8, code="b", order=order))


def test_32_bit_integers_need_a_stated_range() -> None:
    for values in ([0, 255], [0, 60000], [0, 2**31]):
        assert "32-bit pixels have no defined range; save it with 8 bits" in refusal(
            grey_tiff(values, bits=32, code="I")
        )
    stated = (MAX, LONG, [2**32 - 1])
    assert grey(grey_tiff([0, 2**31, 2**32 - 1], stated, bits=32, code="I")) == [0, 128, 255]
    assert grey(grey_tiff([0, 100, 255], (MAX, LONG, [255]), bits=32, code="I")) == [0, 100, 255]


@pytest.mark.parametrize("order", ["<", ">"])
def test_floats_need_a_stated_range(order: str) -> None:
    kind = (SAMPLE_FORMAT, SHORT, [3])
    assert "floating-point pixels" in refusal(grey_tiff([0, 1], kind, bits=32, code="f", order=order))
    for low, high in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)):
        stated = (kind, (SMIN, FLOAT, [low]), (SMAX, FLOAT, [high]))
        values = [low, low + (high - low) * 0.6, high]
        assert grey(grey_tiff(values, *stated, bits=32, code="f", order=order)) == [0, 153, 255]
        broken = grey_tiff([low, float("nan"), high], *stated, bits=32, code="f", order=order)
        assert "values from nan" in refusal(broken)
    assert "floating-point pixels" in refusal(b"Pf 1 1 -1.0\n" + struct.pack("<f", 0.5))


@pytest.mark.parametrize(
    "content",
    [
        png(RGB, [1, 200, 255]),
        png(RGBA, [1, 200, 255, 255]),
        png(GREY_ALPHA, [200, 255]),
        tiff([16] * 3, 2, packed([1, 200, 255]), width=1),
        tiff([16] * 3, 2, packed([1, 200, 255], order=">"), width=1, order=">"),
        tiff([16] * 4, 5, packed([1, 200, 255, 0]), width=1),
        b"P6 1 1 65535\n" + packed([1, 200, 255], order=">"),
    ],
)
def test_an_8_bit_range_in_16_bit_colour_is_refused(content: bytes) -> None:
    assert "none of its 16-bit colour values is above 255" in refusal(content)


def test_16_bit_colour_keeps_the_high_byte_as_grey_does() -> None:
    for content in (
        png(RGB, [0x12CD, 0xAB00, 65535]),
        tiff([16] * 3, 2, packed([0x12CD, 0xAB00, 65535]), width=1),
        tiff([16] * 3, 2, packed([0x12CD, 0xAB00, 65535], order=">"), width=1, order=">"),
    ):
        assert colours(content) == [[0x12, 0xAB, 255]]
    assert colours(b"P6 1 1 4095\n" + packed([0, 2048, 4095], order=">")) == [[0, 128, 255]]


def test_16_bit_colour_that_states_a_smaller_range_is_refused() -> None:
    content = tiff([16] * 3, 2, packed([1, 200, 4095]), (MAX, SHORT, [4095] * 3), width=1)
    assert "its 16-bit colours end at 4095" in refusal(content)


def test_a_black_shape_cut_out_in_16_bits_is_no_8_bit_range() -> None:
    assert colours(png(RGBA, [0, 0, 0, 65535, 0, 0, 0, 0])) == [[0, 0, 0], [255, 255, 255]]


def test_the_transparent_value_is_laid_on_white_at_every_depth() -> None:
    assert grey(png(GREY, [0x8000, 0x8001], tRNS=struct.pack(">H", 0x8001))) == [0x80, 255]
    key = struct.pack(">HHH", 0xABCD, 0x1111, 0x2222)
    shown = png(RGB, [0xABCD, 0x1111, 0x2222, 0xCDAB, 0x1111, 0x2222], tRNS=key)
    assert colours(shown) == [[255, 255, 255], [0xCD, 0x11, 0x22]]
    for bits, scale in ((2, 85), (4, 17), (8, 1)):
        assert grey(png(GREY, [0, 1, 2], bits=bits, tRNS=struct.pack(">H", 1))) == [0, 255, 2 * scale]
    assert grey(png(GREY, [0, 1], bits=1, tRNS=struct.pack(">H", 0))) == [255, 255]


def test_a_palette_of_8_bit_values_in_16_bits_is_refused() -> None:
    def palette(largest: int) -> bytes:
        entries = [value for channel in ([10, 200], [20, 0], [30, largest]) for value in (*channel, *[0] * 254)]
        return tiff([8], 3, bytes([0, 1]), (COLOUR_MAP, SHORT, entries), width=2)

    assert "palette" in refusal(palette(255))
    assert colours(palette(65535)) == [[0, 0, 0], [0, 0, 255]]


def test_rows_are_scaled_alike_however_many_there_are() -> None:
    values = np.arange(200 * 7, dtype=np.uint16).reshape(200, 7) * 46
    content = b"P5 7 200 65535\n" + values.astype(">u2").tobytes()
    np.testing.assert_array_equal(np.asarray(load_image(content))[..., 0], values >> 8)


def dataset_of(folder: Path, contents: Sequence[bytes]) -> Dataset:
    samples = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.png"
        path.write_bytes(content)
        samples.append(Sample(path.name, ImageFile(path), 0, "train"))
    return Dataset("deep", "a test", ("one",), tuple(samples), "given")


def square(*, stated: bool, scale: int = 1) -> bytes:
    """A row of eight: the evaluation's square of 8 pixels is what its ends are cut off of."""
    return png(GREY, [scale * value for value in range(0, 256, 36)], **({"sBIT": b"\x08"} if stated else {}))


def test_the_decode_cache_holds_what_the_device_reads_and_names_what_it_cannot(tmp_path: Path) -> None:
    preprocessing = Preprocessing(resolution=1, crop_pct=1.0)
    readable = dataset_of(tmp_path, [square(stated=True), square(stated=True, scale=257)])
    store = decode_for_evaluation(readable, preprocessing, cache_dir=tmp_path / "cache")
    for position, sample in enumerate(readable.samples):
        assert store.pixels[position][0, 0, 0] in read_image(sample.image.path)[0, 3:5, 0]
    assert store.pixels[0].tolist() == store.pixels[1].tolist() != [[[0, 0, 0]]]
    refused = dataset_of(tmp_path, [square(stated=True), square(stated=False)])
    with pytest.raises(UnreadableImagesError, match=r"1 image cannot be read: 1\.png \(none of its 16-bit values"):
        decode_for_evaluation(refused, preprocessing, cache_dir=tmp_path / "cache")


def test_pixels_cached_by_an_older_reader_are_not_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(tmp_path, [square(stated=True)])
    preprocessing = Preprocessing(resolution=1, crop_pct=1.0)
    with monkeypatch.context() as older:
        older.setattr(cache_module, "READER_VERSION", 1)
        before = decode_for_evaluation(dataset, preprocessing, cache_dir=tmp_path / "cache")
    after = decode_for_evaluation(dataset, preprocessing, cache_dir=tmp_path / "cache")
    assert after.path != before.path
