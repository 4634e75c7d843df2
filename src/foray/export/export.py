"""From a run, or published weights, to artifacts: written, certified, described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from foray.cache_folder import cache_directory
from foray.data import Dataset
from foray.data.storage import require_free_space
from foray.errors import DataError
from foray.export.artifact_folder import (
    artifact_folder,
    complete,
    describe,
    existing,
    refuse_foreign_files,
    remove_unfinished_folders,
    replaced_folder,
    require_replaceable,
)
from foray.export.card import write_card
from foray.export.certify import certify
from foray.export.graph import deployable
from foray.export.images import ChosenImages, Images, carved_for_int8
from foray.export.quantization import Quantized, Remedies, quantize, remedies_for
from foray.export.reference import Reference, reference_of_network, reference_of_run
from foray.export.runtimes import RuntimeSupport, add_resize, float_writer, plan_exports, write_float
from foray.export.source import ExportSource, source_of_run, source_of_weights
from foray.export.speed import stopwatch
from foray.export.validation import QuantizationImages, quantization_images
from foray.limits import require_seed, require_tolerance
from foray.progress import SILENT, Progress
from foray.records import ArtifactPrecision, ArtifactRecord, Calibration, folder_lock
from foray.runs.held_out import HeldOut, as_the_run_split, held_out, in_classes_of, trained_on, without_run
from foray.statistics import PairedResult

_BYTES_A_PARAMETER = 12  # on the way: the float model, what it is made into, and what it replaces


@dataclass(frozen=True)
class Exported:
    """One artifact. `written`: False where an earlier one, intact and of the same run, was kept."""

    folder: Path
    record: ArtifactRecord
    written: bool


def export_run(
    run: str | Path,
    runtimes: Sequence[str],
    precisions: Sequence[str],
    out: str | Path,
    *,
    images: Images | None = None,
    tolerance: float = 0.01,
    seed: int = 0,
    force: bool = False,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> list[Exported]:
    """Writes out/<runtime>-<precision>/ for every combination, from the finished run in the folder `run`.

    `images`: to certify on, and to calibrate int8 with; None: the artifacts carry no certificate. `tolerance`: loss of
    top-1 that is allowed, in [0, 1]. `seed`: of what int8 draws. An intact artifact of the same run, precision and
    versions is kept unless `force`. `threads`: of the runtimes while they are scored.

    Raises ForayError before any work for what a runtime cannot do or lacks, a run that is not done, int8 without
    images, classes that are not the run's, and a folder that holds what foray did not write; later for a full disk and
    an operator that a runtime lacks.
    """
    require_tolerance(tolerance)
    require_seed(seed)
    plan = plan_exports(runtimes, precisions)
    _require_images(plan, images)
    refuse_foreign_files(plan, Path(out), force=force)
    source = source_of_run(run)
    chosen = None
    if images is not None:
        given = images.open(source.origin, progress)
        tested = held_out(run, given, cache_dir=images.cache_dir or cache_directory(), progress=progress)
        chosen = ChosenImages(images, as_the_run_split(run, given), tested)
    return _Export(source, chosen, tolerance, seed, force, threads, progress).write_all(plan, Path(out))


def export_weights(
    model: str,
    weights: str | Path,
    runtimes: Sequence[str],
    precisions: Sequence[str],
    out: str | Path,
    *,
    images: Images | None = None,
    offline: bool = False,
    tolerance: float = 0.01,
    seed: int = 0,
    force: bool = False,
    threads: int | None = None,
    progress: Progress = SILENT,
) -> list[Exported]:
    """As `export_run`, for published weights as they are, with their own classifier. Raises WeightsError."""
    require_tolerance(tolerance)
    require_seed(seed)
    plan = plan_exports(runtimes, precisions)
    _require_images(plan, images)
    refuse_foreign_files(plan, Path(out), force=force)
    chosen = None
    if images is not None:
        given = images.open(None, progress)
        if images.calibration is None and any(precision == "int8" for _, precision in plan):
            given = carved_for_int8(given, images, progress)
        chosen = ChosenImages(images, given, without_run(given))
    classes = chosen.dataset.classes if chosen else None
    source = source_of_weights(model, weights, classes, offline=offline, progress=progress)
    return _Export(source, chosen, tolerance, seed, force, threads, progress).write_all(plan, Path(out))


def _require_images(plan: list[tuple[RuntimeSupport, ArtifactPrecision]], images: Images | None) -> None:
    if images is None and any(precision == "int8" for _, precision in plan):
        raise DataError("int8 is calibrated on train images: name them with --data DATA.")


@dataclass(frozen=True)
class _Export:
    source: ExportSource
    chosen: ChosenImages | None
    tolerance: float
    seed: int
    force: bool
    threads: int | None
    progress: Progress

    def write_all(self, plan: list[tuple[RuntimeSupport, ArtifactPrecision]], out: Path) -> list[Exported]:
        if self.chosen is not None and any(precision == "int8" for _, precision in plan):
            self._require_train(self.chosen)
        with folder_lock(out, what="export"), self.progress.task("exporting", len(plan)) as task:
            remove_unfinished_folders(out)
            require_free_space(out, len(plan) * _BYTES_A_PARAMETER * _params(self.source), "Exporting")
            wanted = []
            for support, precision in plan:
                folder = artifact_folder(out, support, precision)
                planned = describe(self.source, support, precision, {})
                kept = None if self.force else existing(folder, planned, self.source.classes, self.seed)
                if kept is None:
                    require_replaceable(folder)
                wanted.append((support, precision, folder, planned, kept))
            done: list[Exported] = []
            for one in wanted:
                done.append(self._one(*one))
                task.advance(note=done[-1].folder.name)
        return done

    def _require_train(self, chosen: ChosenImages) -> None:
        name, has_train = chosen.dataset.name, len(chosen.dataset.indices("train")) > 0
        if chosen.images.calibration is None and not has_train:
            raise DataError(
                f"int8 is calibrated on train images, and {name} has none. Name others with --calibration DATA."
            )

    def _one(
        self,
        support: RuntimeSupport,
        precision: ArtifactPrecision,
        folder: Path,
        planned: ArtifactRecord,
        kept: ArtifactRecord | None,
    ) -> Exported:
        if kept is None:
            self.progress.note(f"Writing {folder}")
            with replaced_folder(folder) as unfinished:
                record = self._write(support, precision, planned, unfinished)
                write_card(unfinished, record)
        else:
            record = kept
            self.progress.note(f"Kept {folder}: intact, and of the same network and versions")
        if self.chosen is not None:
            tested = self._tested(precision)
            if self._is_certified(record, tested):
                return Exported(folder, record, written=kept is None)
            certificate = certify(
                folder, tested.dataset, self._reference, tolerance=self.tolerance, threads=self.threads,
                left_out=tested.left_out, notes=tested.notes, progress=self.progress,
            )  # fmt: skip
            record = record.model_copy(update={"certificate": certificate})
        return Exported(folder, record, written=kept is None)

    def _write(
        self, support: RuntimeSupport, precision: ArtifactPrecision, planned: ArtifactRecord, folder: Path
    ) -> ArtifactRecord:
        if precision != "int8":
            write_float(support, precision, deployable(self.source.network, self.source.preprocessing), folder)
            add_resize(support, precision, folder / support.entry, self.source.preprocessing)
            return complete(folder, self.source, planned)
        quantized, images = self._write_int8(support, folder), self._quantization_images
        add_resize(support, precision, folder / support.entry, self.source.preprocessing)
        calibration = Calibration(
            n=quantized.settings.images,
            dataset=images.dataset.name,
            fingerprint=images.dataset.fingerprint,
            seed=self.seed,
            settings=str(quantized.settings),
        )
        return complete(folder, self.source, planned, calibration, quantized.remedies, quantized.speed)

    def _write_int8(self, support: RuntimeSupport, folder: Path) -> Quantized:
        remedies, found = self._remedies, self._quantization_images

        def measure(entry: Path) -> PairedResult:
            assert found.validation is not None
            return found.validation.measure(support.name, entry, None if support.resizes else 1, self.tolerance)

        with stopwatch(self.source, support, self.threads, self.progress) as watch:
            return quantize(
                self.source.network,
                support.name,
                found.train,
                folder,
                preprocessing=self.source.preprocessing,
                write_float=float_writer(support),
                measure=measure if found.validation else None,
                time=watch.time,
                remedies=remedies,
                seed=self.seed,
                progress=self.progress,
            )

    @cached_property
    def _remedies(self) -> Remedies:
        """Of all int8 files; what the pre-check finds is said before the first one is written."""
        remedies = remedies_for(
            self.source.network, self._quantization_images.train, self.source.preprocessing, seed=self.seed,
            progress=self.progress,
        )  # fmt: skip
        found = remedies.pre_check()
        worst = ", ".join(
            f"{layer.name} (weights {layer.weight_sqnr_db:.0f} dB, activations {layer.activation_sqnr_db:.0f} dB)"
            for layer in found.layers[:3]
        )
        self.progress.note(f"Pre-check: {found.advice}")
        self.progress.note(f"Most sensitive layers, by signal to quantisation noise: {worst}")
        return remedies

    @cached_property
    def _quantization_images(self) -> QuantizationImages:
        assert self.chosen is not None
        images = self.chosen.images
        return quantization_images(
            deployable(self.source.network, self.source.preprocessing), self.source.preprocessing,
            self._calibration_dataset, whole=images.calibration is not None,
            trained_on=trained_on(self.source.folder) if self.source.folder else (), seed=self.seed,
            cache_dir=images.cache_dir, workers=images.workers, progress=self.progress,
        )  # fmt: skip

    @cached_property
    def _calibration_dataset(self) -> Dataset:
        """Of its images train and val are used; of those of --calibration, all."""
        assert self.chosen is not None
        if self.chosen.images.calibration is None:
            return self.chosen.dataset
        return in_classes_of(self.chosen.images.open_calibration(self.progress), self.source.classes)

    def _tested(self, precision: ArtifactPrecision) -> HeldOut:
        """What a file is certified on: for int8 no image that it was calibrated on or chosen by."""
        assert self.chosen is not None
        if precision != "int8":
            return self.chosen.tested
        whole = self.chosen.images.calibration is not None
        used = {sample.content for sample in self._calibration_dataset.samples if whole or sample.split != "test"}
        return self.chosen.tested.less(used)

    @cached_property
    def _reference(self) -> Reference:
        """The float32 network's probabilities of the test images, computed once for all artifacts."""
        assert self.chosen is not None
        images, tested = self.chosen.images, self.chosen.tested
        if self.source.folder is not None:
            return reference_of_run(
                self.source.folder, tested, cache_dir=images.cache_dir, workers=images.workers, progress=self.progress
            )
        return reference_of_network(
            self.source.network, self.source.preprocessing, list(self.source.classes), tested.dataset,
            source=f"weights {self.source.origin.id}", cache_dir=images.cache_dir, workers=images.workers,
            progress=self.progress,
        )  # fmt: skip

    def _is_certified(self, record: ArtifactRecord, tested: HeldOut) -> bool:
        certificate = record.certificate
        return (
            certificate is not None
            and certificate.tolerance == self.tolerance
            and certificate.fingerprint == tested.dataset.fingerprint
            and certificate.split == "test"
            and certificate.files == {name: info.sha256 for name, info in record.files.items()}
        )


def _params(source: ExportSource) -> int:
    return sum(parameter.numel() for parameter in source.network.parameters())
