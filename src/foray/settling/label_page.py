"""label.html: one file with which a person labels the images on which models differ, offline and from disk.

The pictures are in the file, as JPEG in base64. At 640 pixels a photograph takes 40 to 100 kB, so 200 of them make a
page of 10 to 27 MB; images of 224 pixels make one of 4 MB. It shows one at a time and decodes the next one ahead.

The page writes labels.csv: image, label, guess_shown (yes or no), one row per answer, in the order in which the images
were shown. An image that was shown twice has two rows. Names are written as `plain_text.csv_cell` writes them.
"""

from __future__ import annotations

import base64
import io
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from PIL import Image
from scipy.special import ndtri

from foray.data.dataset import ImageArray, Sample
from foray.data.images import decoded
from foray.errors import DataError
from foray.plain_text import csv_cell, one_line
from foray.records.quantities import format_points
from foray.settling.labels_file import SKIPPED
from foray.statistics.settling import error_of_looking, error_of_test

PICTURE_SIDE = 640  # pixels, the longer side at most

_SMALL_SIDE = 160  # pixels; such pictures are enlarged on the page, so they keep all of their colour
# The keys of classes in their order; S and G have a meaning of their own.
_KEYS = "123456789abcdefhijklmnopqrtuvwxyz"
_MOST_KEYS = 30  # classes; of more, one is found by typing


@dataclass(frozen=True)
class Asked:
    """An image to label. `image`: its id; `picture`: a JPEG (`picture_of`); `guesses`: class index by model name."""

    image: str
    picture: bytes
    guesses: Mapping[str, int]


@dataclass(frozen=True)
class Pair:
    """A comparison to decide: does `candidate` lose more than the tolerance against `reference`?

    `images`: all new images. `disagreements`: how many of them the two models label differently. `error`: of the test
    and of the prefix together, a probability. `needs`: the asked images that belong to this pair, as indices in the
    stored order; all of the disagreements, or the first of them. `worse_error`: `error` of the verdict "worse"; None:
    the same.
    """

    reference: str
    candidate: str
    images: int
    disagreements: int
    error: float
    needs: tuple[int, ...]
    worse_error: float | None = None


@dataclass(frozen=True)
class LabelPage:
    """What label.html shows.

    `title`: one line of text. `classes`: names, any characters. `asked`: the images in the stored random order.
    `repeats`: images that are shown twice, as (position, index): the page's showing number `position`, from 0 and with
    repeats counted, is image `index` of `asked` again. `tolerance`: of the loss, a share. `early`: whether a pair can
    be decided before all of its images are labelled; not with several seeds. `storage_key`: a digest of the
    settlement, under which the browser keeps the labels. `command`: what reads labels.csv; `places`: what the words in
    capitals stand for in it.
    """

    title: str
    classes: tuple[str, ...]
    asked: tuple[Asked, ...]
    repeats: tuple[tuple[int, int], ...]
    pairs: tuple[Pair, ...]
    tolerance: float
    early: bool
    storage_key: str
    command: str = "foray settle OUT --labels labels.csv"
    places: str = "the folder of the comparison as OUT"


def label_html(page: LabelPage) -> str:
    """The page as HTML. The same page gives the same text.

    Raises DataError where two classes or two images are written alike in labels.csv.
    """
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("foray.settling"), PackageLoader("foray.report")]),
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("label.html").render(
        title=one_line(page.title), command=page.command, places=page.places, page=_as_json(page)
    )


def picture_of(source: Sample | Image.Image) -> bytes:
    """The picture of an image for the page: a JPEG of at most 640 pixels on its longer side, without metadata.

    `source`: an image of a data set, read as the networks read it (upright, transparency on white), or a picture that
    is upright already. Raises ImageReadError.
    """
    if isinstance(source, Image.Image):
        return _jpeg(source)
    if isinstance(source.image, ImageArray):
        return _jpeg(Image.fromarray(source.image.pixels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        with decoded(source.image.path, draft_side=PICTURE_SIDE, resize_side=PICTURE_SIDE) as image:
            return _jpeg(image)


def _jpeg(image: Image.Image) -> bytes:
    scale = min(1.0, PICTURE_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    picture = image.convert("RGB")
    if size != image.size:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    small = max(size) <= _SMALL_SIDE
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=95 if small else 85, subsampling=0 if small else 2, comment=b"")
    return stream.getvalue()


def _as_json(page: LabelPage) -> dict[str, Any]:
    """The page as its script takes it: models, classes and images by number, names as they are shown and written."""
    models = sorted({model for pair in page.pairs for model in (pair.reference, pair.candidate)})
    class_cells = _cells(page.classes, "classes")
    image_cells = _cells([asked.image for asked in page.asked], "images")
    return {
        "key": page.storage_key,
        "early": page.early,
        "tolerance": page.tolerance,
        "points": format_points(page.tolerance),
        "models": [one_line(model) for model in models],
        "classes": [
            {"name": one_line(name), "cell": cell, "key": key}
            for name, cell, key in zip(page.classes, class_cells, _keys(len(page.classes)), strict=True)
        ],
        "skipped": "" if SKIPPED in class_cells else SKIPPED,
        "images": [
            {
                "cell": cell,
                "picture": base64.b64encode(asked.picture).decode("ascii"),
                "guesses": [asked.guesses[model] for model in models],
            }
            for asked, cell in zip(page.asked, image_cells, strict=True)
        ],
        "showings": _showings(page),
        "pairs": [_pair_as_json(pair, models) for pair in page.pairs],
    }


def _pair_as_json(pair: Pair, models: Sequence[str]) -> dict[str, Any]:
    return {
        "reference": models.index(pair.reference),
        "candidate": models.index(pair.candidate),
        "images": pair.images,
        "disagreements": pair.disagreements,
        "needs": list(pair.needs),
        "notWorse": _level(pair.error),
        "worse": _level(pair.error if pair.worse_error is None else pair.worse_error),
    }


def _level(error: float) -> dict[str, float]:
    """At which a verdict is judged: the error of looking after every label, and the quantile of the test."""
    return {"prefixError": error_of_looking(error), "quantile": float(ndtri(1 - error_of_test(error)))}


def _showings(page: LabelPage) -> list[int]:
    """The image of every showing: those asked in their order, with the repeats between them."""
    showings = list(range(len(page.asked)))
    for position, index in sorted(page.repeats):
        if index not in showings[:position] or position > len(showings):
            raise ValueError(
                f"image {index} cannot be shown again at {position}: it is not shown before, or too few are"
            )
        showings.insert(position, index)
    return showings


def _keys(classes: int) -> Sequence[str]:
    """The key of every class; empty where there are too many for single keys."""
    return _KEYS[:classes] if classes <= _MOST_KEYS else [""] * classes


def _cells(names: Sequence[str], what: str) -> list[str]:
    """The names as labels.csv has them. Raises DataError where two of them become the same."""
    cells = [csv_cell(name) for name in names]
    cell, count = Counter(cells).most_common(1)[0] if cells else ("", 0)
    if count > 1:
        raise DataError(f"Two {what} are both written {cell!r} in labels.csv. Rename one of them.")
    return cells
