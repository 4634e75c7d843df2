"""artifact.json: what an exported file is, what it was made from, and what it is worth."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from foray.limits import MOST_BATCH, MOST_RESIZE_SIDE
from foray.records.certificate import Certificate
from foray.records.metrics import Estimate
from foray.records.record import Record
from foray.records.run import WeightsInfo
from foray.specs.preprocessing import Interpolation, Triple

Runtime = Literal["onnx", "openvino", "litert", "executorch"]
ArtifactPrecision = Literal["fp32", "fp16", "bf16", "int8"]


class FileInfo(Record):
    """One file of the folder."""

    sha256: str
    bytes: int


class InputShape(Record):
    """The sides, in pixels, and the number of the images that the model takes at once. None: any."""

    height: int | None = Field(ge=1, le=MOST_RESIZE_SIDE)
    width: int | None = Field(ge=1, le=MOST_RESIZE_SIDE)
    batch: int | None = Field(ge=1, le=MOST_BATCH)


class ArtifactPreprocessing(Record):
    """As `foray.specs.Preprocessing`, with the short side after the resize, in pixels, written out."""

    resolution: int = Field(ge=1, le=MOST_RESIZE_SIDE)
    resize_side: int = Field(ge=1, le=MOST_RESIZE_SIDE)
    interpolation: Interpolation
    mean: Triple
    std: Triple


class ArtifactOrigin(Record):
    """The float32 network behind the artifact: a run, or published weights as they are (then without recipe and seed).

    `network_sha256`: of the file its weights were read from. `top1`, `top5`: of float32 on the test split. `dataset`
    is None where nothing is known of the images.
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
    """What int8 took its ranges from: `n` images of `dataset`, drawn with `seed`. `settings`: in words."""

    n: int
    dataset: str
    fingerprint: str
    seed: int
    settings: str


class ArtifactRecord(Record):
    """One exported model. `files`: every file that has to be as it was written, `entry` among them.

    The model takes one input, uint8 RGB (N, H, W, 3), and returns one output, float32 class probabilities (N, C).
    Where `input.height` is None it resizes, crops, scales and normalises by itself; where it is a number the image has
    been resized and cropped to that side and the model scales and normalises only.
    `remedies`: what was tried so that int8 keeps its accuracy, in order. `certificate`: None until it was scored.
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
    certificate: Certificate | None = None

    @property
    def model_bytes(self) -> int:
        """Bytes of the model's own files, labels.txt left out."""
        return sum(info.bytes for name, info in self.files.items() if name != "labels.txt")
