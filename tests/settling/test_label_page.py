"""The label page as a text: pictures, what its script is given, what is refused."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from foray.data.dataset import ImageArray, ImageFile, Sample
from foray.data.images import ImageReadError
from foray.errors import DataError
from foray.settling import Pair, label_html, picture_of
from foray.statistics.loss import LossSpread

from .made_pages import made_page

HOSTILE = ("</script><script>alert(1)</script>", "<!--", "=1+1", "\u202egnp", "{{ 7 * 7 }}", "\x1b[31m\n")


def given(html: str) -> Any:
    """What the page's script reads."""
    found = re.search(r'<script type="application/json" id="page">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def opened_picture(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG"
    return image


def test_a_photograph_is_made_smaller_and_turned_upright_and_loses_its_metadata(tmp_path: Path) -> None:
    stored = Image.new("RGB", (2000, 1000), "blue")
    stored.paste("red", (0, 0, 1000, 1000))  # on the left, which is above once the picture is upright
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by 90 degrees
    exif[0x010F] = "a camera"
    stored.save(tmp_path / "photo.jpg", exif=exif, comment=b"a note")
    picture = opened_picture(picture_of(Sample("photo.jpg", ImageFile(tmp_path / "photo.jpg"), 0)))
    assert picture.size == (320, 640)
    assert "exif" not in picture.info
    assert "comment" not in picture.info
    assert np.allclose(picture.getpixel((160, 20)), (254, 0, 0), atol=4)
    assert np.allclose(picture.getpixel((160, 620)), (0, 0, 254), atol=4)


def test_small_and_decoded_images_keep_their_size_and_colours() -> None:
    pixels = np.zeros((8, 9, 3), np.uint8)
    pixels[::2, ::2, 0] = 200
    for source in (Sample("3", ImageArray(pixels), 0), Image.fromarray(pixels)):
        picture = np.asarray(opened_picture(picture_of(source)), np.int16)
        assert picture.shape == (8, 9, 3)
        assert np.abs(picture - pixels).mean() < 8  # one colour for four pixels would be off by 30


def test_a_long_strip_keeps_a_pixel() -> None:
    assert opened_picture(picture_of(Image.new("RGB", (5000, 2)))).size == (640, 1)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    picture = opened_picture(picture_of(Sample("clear.png", ImageFile(tmp_path / "clear.png"), 0)))
    assert picture.getpixel((15, 15)) == (255, 255, 255)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    with pytest.raises(ImageReadError, match=r"broken\.jpg"):
        picture_of(Sample("broken.jpg", ImageFile(tmp_path / "broken.jpg"), 0))


def test_the_page_holds_everything_and_names_no_address() -> None:
    html = label_html(made_page(3))
    assert not re.search(r"(src|href)=\"(?!#)", html)
    assert "http" not in re.sub(r"http-equiv", "", html)
    content = given(html)
    assert [base64.b64decode(image["picture"]) for image in content["images"]] == [
        asked.picture for asked in made_page(3).asked
    ]
    assert label_html(made_page(3)) == html


def test_names_cannot_leave_their_place_in_the_page() -> None:
    page = dataclasses.replace(made_page(2, HOSTILE, names=HOSTILE[:2]), title=HOSTILE[0])
    html = label_html(page)
    assert html.count("<script") == html.count("</script>") == 3
    assert "<!--" not in html
    assert "\u202e" not in html
    content = given(html)
    shown = [*HOSTILE[:3], r"\u202egnp", HOSTILE[4], r"\u001b[31m\u000a"]
    assert [one["name"] for one in content["classes"]] == shown
    assert content["classes"][2]["cell"] == "'=1+1"


def test_quantile_and_error_of_the_prefix_make_up_the_error_of_the_pair() -> None:
    level = given(label_html(made_page()))["pairs"][0]["notWorse"]
    assert level["prefixError"] == pytest.approx(0.005)
    assert level["quantile"] == pytest.approx(2.0537489, abs=1e-7)  # one-sided 2 % of the normal distribution
    width = LossSpread(n=300, loss=0.0, losses=3, gains=3).quantile_width(0.01, 0.98)
    even = LossSpread(n=300, loss=0.0, losses=3, gains=3).quantile_width(0.01, 0.8413447461)  # one deviation
    assert level["quantile"] == pytest.approx(width / even)


def test_the_verdict_worse_has_an_error_of_its_own() -> None:
    (pair,) = made_page().pairs
    pairs = dataclasses.replace(pair, error=0.05), dataclasses.replace(pair, error=0.05, worse_error=0.025)
    alike, apart = given(label_html(dataclasses.replace(made_page(), pairs=pairs)))["pairs"]
    assert alike["worse"] == alike["notWorse"] == apart["notWorse"]
    assert apart["worse"]["prefixError"] == pytest.approx(0.005)
    assert apart["worse"]["quantile"] > apart["notWorse"]["quantile"]


def test_keys_are_single_letters_and_leave_out_those_with_a_meaning() -> None:
    def keys(classes: int) -> str:
        names = [f"class {i}" for i in range(classes)]
        return "".join(one["key"] for one in given(label_html(made_page(1, names)))["classes"])

    assert keys(11) == "123456789ab"
    assert len(set(keys(30))) == 30
    assert not set("sg") & set(keys(30))
    assert keys(31) == ""


def test_repeats_lie_where_they_were_put() -> None:
    assert given(label_html(made_page(4, repeats=((5, 1), (2, 0)))))["showings"] == [0, 1, 0, 2, 3, 1]


@pytest.mark.parametrize("repeats", [((0, 0),), ((1, 2),), ((9, 0),)])
def test_an_image_is_not_repeated_before_it_was_shown(repeats: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="cannot be shown again"):
        label_html(made_page(3, repeats=repeats))


@pytest.mark.parametrize(("classes", "names"), [(("=a", "'=a"), ()), (("a", "b"), ("a\t.png", "a\\u0009.png"))])
def test_names_that_labels_csv_cannot_tell_apart_are_refused(classes: tuple[str, ...], names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match=r"are both written .* Rename one of them"):
        label_html(made_page(2, classes, names=names))


def test_a_class_may_be_called_like_a_skipped_image() -> None:
    assert given(label_html(made_page()))["skipped"] == "cannot tell"
    assert given(label_html(made_page(classes=("daisy", "cannot tell"))))["skipped"] == ""


def test_models_are_numbers_in_the_page() -> None:
    page = made_page(2)
    pairs = (*page.pairs, Pair("theirs", "__proto__", 300, 2, 0.0125, (1,)))
    asked = tuple(
        dataclasses.replace(one, guesses={**one.guesses, "__proto__": 2, "not on this page": 0}) for one in page.asked
    )
    content = given(label_html(dataclasses.replace(page, asked=asked, pairs=pairs)))
    assert content["models"] == ["__proto__", "ours", "theirs"]
    assert content["images"][0]["guesses"] == [2, 0, 1]
    assert [(pair["reference"], pair["candidate"]) for pair in content["pairs"]] == [(1, 2), (2, 0)]
