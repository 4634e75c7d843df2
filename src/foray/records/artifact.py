"""artifact.json: what an exported file is, what it was made from, and its certificate."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from foray.limits import MOST_BATCH, MOST_RESIZE_SIDE
from foray.records.certificate import Certificate, EarlierSet
from foray.records.environment import Hardware
from foray.records.metrics import Estimate
from foray.records.record import Record
from foray.records.run import WeightsInfo
from foray.records.runtime_profile import TimeEstimate
from foray.specs.preprocessing import Interpolation, Resize, Triple

_TIE = 1.03  # ratios that differ less vary between days, builds and memory layouts
_WORTHWHILE = 0.8  # of the time of float32

Runtime = Literal["onnx", "openvino", "litert", "executorch"]
ArtifactPrecision = Literal["fp32", "fp16", "bf16", "int8"]


class FileInfo(Record):
    """One file of the folder."""

    sha256: str
    bytes: int


class InputShape(Record):
    """Height and width, in pixels, and batch size of the input. None: any."""

    height: int | None = Field(ge=1, le=MOST_RESIZE_SIDE)
    width: int | None = Field(ge=1, le=MOST_RESIZE_SIDE)
    batch: int | None = Field(ge=1, le=MOST_BATCH)


class ArtifactPreprocessing(Record):
    """As `foray.specs.Preprocessing`, with the short side after the resize, in pixels, written out.

    Files of earlier versions do not state `resize`: theirs rounded.
    """

    resolution: int = Field(ge=1, le=MOST_RESIZE_SIDE)
    resize_side: int = Field(ge=1, le=MOST_RESIZE_SIDE)
    interpolation: Interpolation
    resize: Resize = "rounded"
    mean: Triple
    std: Triple


class ArtifactOrigin(Record):
    """The float32 network behind the artifact: a run, or published weights as they are (then without recipe and seed).

    `network_sha256`: of the file its weights were read from. `top1`, `top5`: of float32 on the test split. `dataset`
    is None where the images are not known.
    """

    id: str
    network_sha256: str
    protocol: str | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    seed: int | None = None
    dataset: str | None = None
    dataset_source: str | None = None
    dataset_licence: str | None = None
    fingerprint: str | None = None
    fold: int | None = None
    images: dict[str, int] = Field(default_factory=dict)  # per split
    weights: WeightsInfo | None = None
    top1: Estimate | None = None
    top5: Estimate | None = None


class Calibration(Record):
    """The images that int8 was calibrated with: `n` images of `dataset`, drawn with `seed`. `settings`: in words."""

    n: int
    dataset: str
    fingerprint: str
    seed: int
    settings: str


class Speed(Record):
    """The time of one image in this file (`p50`) and in the float32 file of the same network and runtime (`float32`),
    milliseconds, from processes that took `turns` turns in `bursts` bursts on the machine `hardware`.

    `ratio`: this file's time over float32's, the median over bursts; `low`, `high`: of the lowest and the highest
    burst. `versions`: of the packages that influence the times. `unsteady`: what makes the times unreliable, in
    sentences; a busy machine changes all times, and the ratio much less.
    """

    ratio: float
    low: float
    high: float
    p50: TimeEstimate
    float32: TimeEstimate
    threads: int
    bursts: int
    turns: int
    hardware: Hardware
    versions: dict[str, str] = Field(default_factory=dict)
    unsteady: list[str] = Field(default_factory=list)

    @property
    def is_slower(self) -> bool:
        """Whether it is shown to take longer than float32."""
        return self.low > 1 and self.ratio > _TIE

    @property
    def sentence(self) -> str:
        """What int8 gains, with the numbers and the machine, as a sentence."""
        if self.high >= 1 or self.ratio > 1 / _TIE:
            gain = "gains size, not speed"
        else:
            gain = "gains size and speed" if self.ratio <= _WORTHWHILE else "gains size, and little speed"
        doubt = f" Measure again on an idle machine: {'; '.join(self.unsteady)}." if self.unsteady else ""
        return (
            f"int8 {gain}: it takes {self.ratio:.2f} x the time of float32 ({self.low:.2f} to {self.high:.2f} in "
            f"{self.bursts} bursts; {self.p50.value:.2f} against {self.float32.value:.2f} ms an image, "
            f"{self.threads} {'thread' if self.threads == 1 else 'threads'}, {self.hardware.label()}).{doubt}"
        )


class ArtifactRecord(Record):
    """One exported model. `files`: every file that must be unchanged, `entry` among them.

    The model takes one input, uint8 RGB (N, H, W, 3), and returns one output, float32 class probabilities (N, C). Where
    `input.height` is None the model resizes, crops, scales and normalises; where it is a number, the caller resizes and
    crops to that size, and the model scales and normalises only. `remedies`: what was tried so that int8 keeps its
    accuracy, in order, by validation images; their losses are optimistic, because the same images chose among the
    attempts. `speed`: int8 against float32, None where it was not measured. `certificate`: by test images, None until
    it was scored. `earlier`: certificates of the same files on other images or at another tolerance, oldest first,
    without their classes.
    """

    schema_version: Literal[1] = 1
    kind: Literal["foray artifact"] = "foray artifact"
    runtime: Runtime
    precision: ArtifactPrecision
    entry: str
    files: dict[str, FileInfo]
    model: str
    resolution: int
    num_classes: int
    input: InputShape
    preprocessing: ArtifactPreprocessing
    run: ArtifactOrigin
    params: int
    macs: int
    versions: dict[str, str]
    created: str  # ISO 8601, UTC
    foray_version: str
    calibration: Calibration | None = None  # int8 only
    remedies: list[str] = Field(default_factory=list)
    speed: Speed | None = None  # int8 only
    certificate: Certificate | None = None
    earlier: list[Certificate] = Field(default_factory=list)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each of `files`."""
        return {name: info.sha256 for name, info in self.files.items()}

    @property
    def certificates(self) -> list[Certificate]:
        """All that are of these very files, oldest first."""
        every = [*self.earlier, *([self.certificate] if self.certificate else [])]
        return [one for one in every if one.files == self.digests]

    def certified(self, certificate: Certificate) -> ArtifactRecord:
        """The record with a certificate of its files, which then names the sets of images of the earlier ones."""
        others = [one for one in self.certificates if one.question != certificate.question]
        sets = {one.image_set: one for one in others if one.image_set != certificate.image_set}
        known = EarlierSet.model_fields
        named = [EarlierSet(**{name: getattr(one, name) for name in known}) for one in sets.values()]
        return self.model_copy(
            update={
                "certificate": certificate.model_copy(update={"earlier_sets": named}),
                "earlier": [one.model_copy(update={"per_class": [], "earlier_sets": []}) for one in others],
            }
        )

    def tried_as(self, there: ArtifactRecord) -> ArtifactRecord:
        """The record of a file written anew, which remembers the certificates of `there` if the bytes are the same."""
        return self.model_copy(update={"earlier": there.model_copy(update={"files": self.files}).certificates})

    @property
    def model_bytes(self) -> int:
        """Bytes of the model's own files, labels.txt left out."""
        return sum(info.bytes for name, info in self.files.items() if name != "labels.txt")
