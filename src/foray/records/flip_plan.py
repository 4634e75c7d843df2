"""ARTIFACT/settle/plan.json: of which images labels are asked for, to certify an exported file."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from foray.records.certificate import Certificate
from foray.records.record import Record


class AskedFlip(Record):
    """An image to label. `content`: SHA-256 of its file; `float32`, `file`: the class indices that the two give it."""

    image: str
    content: str
    float32: int
    file: int


class FlipPlan(Record):
    """plan.json: what is asked, stored before the first label.

    `run`: id of the run that float32 is of. `source`: where the images were. `images`: a digest of all of them that the
    run has not used. `scored`: the certificate without labels, which names the files and the tolerance. `asked`: the
    images whose label differs from float32, in a random order. `repeats`: images that label.html shows twice, as
    (position among all it shows, index in `asked`). `pictures`: how many of `asked` it shows.
    """

    way_out: ClassVar[str] = (
        "Restore it. Where no label has been given yet, delete its folder and run foray certify without labels again."
    )
    schema_version: Literal[1] = 1
    kind: Literal["foray labels of a file"] = "foray labels of a file"
    created: str  # ISO 8601, UTC
    run: str
    source: str
    images: str
    classes: list[str]
    scored: Certificate
    asked: list[AskedFlip] = Field(min_length=1)
    repeats: list[tuple[int, int]]
    pictures: int

    @model_validator(mode="after")
    def _fits(self) -> Self:
        flips = self.scored.unlabelled
        if flips is None or flips.flips != len(self.asked):
            raise ValueError("asked are others than the flips of its certificate")
        if not all(0 <= i < len(self.classes) for one in self.asked for i in (one.float32, one.file)):
            raise ValueError("a class index that no class has")
        return self
