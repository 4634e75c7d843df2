"""What an export is asked to write, and which images it is certified on and int8 is calibrated with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from foray.data import NAMED_DATASETS, Dataset
from foray.data.near_duplicates import with_appearances
from foray.data.open import completed
from foray.errors import DataError
from foray.limits import require_seed, require_tolerance
from foray.progress import Progress
from foray.records import ArtifactOrigin, RunFolder
from foray.regular_files import is_there
from foray.requests import ImageSource, Machine
from foray.runs.held_out import HeldOut, fold_for


@dataclass(frozen=True)
class ExportRequest:
    """What an export is asked to write.

    runtimes: onnx, openvino, litert or executorch.
    precisions: fp32, fp16, bf16 or int8; every combination that exists is written.
    images: to certify on, and to calibrate int8 with; None: the artifacts carry no certificate.
    calibration: images for int8, where `images` has no train.
    tolerance: loss of top-1 that is allowed, in [0, 1].
    seed: of what int8 draws.
    force: write again what is there already.
    certified: False: `images` only calibrate int8, because the files are certified on others afterwards.
    """

    runtimes: tuple[str, ...]
    precisions: tuple[str, ...] = ("fp32",)
    images: ImageSource | None = None
    calibration: str | Path | None = None
    tolerance: float = 0.01
    seed: int = 0
    force: bool = False
    certified: bool = True

    def require_sound(self) -> None:
        """Raises ForayError for a tolerance or a seed that is none, and for int8 without images."""
        require_tolerance(self.tolerance)
        require_seed(self.seed)
        if self.images is None and self.calibration is not None:
            raise DataError("`calibration` goes with `data`, the images to certify on.")

    def open_images(self, origin: ArtifactOrigin | None, machine: Machine, progress: Progress) -> Dataset:
        """The images to certify on; the fold is by default that of the run, of which `origin` tells."""
        assert self.images is not None
        source = self.images
        fold = fold_for(source.data, origin.dataset, origin.fold, source.fold) if origin else source.fold
        return replace(source, fold=fold).open_given(machine.cache, progress)

    def open_calibration(self, machine: Machine, progress: Progress) -> Dataset:
        """The images of `calibration`: data as usual, or another copy of the named data set that is certified on."""
        assert self.images is not None
        assert self.calibration is not None
        path, source = Path(self.calibration), ImageSource(self.calibration, offline=self.images.offline)
        if str(self.images.data) in NAMED_DATASETS and self.images.data_dir is not None and path.exists():
            source = replace(source, data=self.images.data, data_dir=path)
        return source.open_given(machine.cache, progress)


@dataclass(frozen=True, eq=False)
class ChosenImages:
    """`dataset`: all images that were named, for int8; `tested`: those that files are certified on, if any are."""

    dataset: Dataset
    tested: HeldOut | None


def not_certified(run: str | Path) -> str:
    """What an export without images lacks, and where the images of the run are or were."""
    said = "Files are written without a certificate, because no images were given (`data`)."
    inputs = RunFolder(Path(run)).load().inputs
    if inputs is None or inputs.data in NAMED_DATASETS:
        return said
    if is_there(inputs.data):
        return f"{said} Those of the run are in {inputs.data}."
    return f"{said} Those of the run were in {inputs.data}, which is not there any more: name where they are now."


def carved_for_int8(given: Dataset, machine: Machine, progress: Progress) -> Dataset:
    """Data without splits on which int8 is both calibrated and certified: each needs images of its own, so carved."""
    if any(sample.split for sample in given.samples):
        return given
    progress.note("int8 needs images of its own to calibrate on: 15 % are certified on. `calibration` names others.")
    return completed(with_appearances(given, cache_dir=machine.cache, progress=progress), seed=0, carving="by content")
