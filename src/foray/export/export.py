"""From a run, or published weights, to artifacts: written, certified, described."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from foray.data import NAMED_DATASETS, Dataset, open_dataset
from foray.data.storage import require_free_space
from foray.errors import DataError, ForayError
from foray.export.card import write_card
from foray.export.certify import certify
from foray.export.folder import (
    artifact_folder,
    complete,
    describe,
    existing,
    refuse_foreign_files,
    remove_unfinished_folders,
    replaced_folder,
    require_replaceable,
)
from foray.export.graph import deployable
from foray.export.quantization import Int8Loss, Remedies, quantize, remedies_for
from foray.export.reference import Reference, reference_of_network, reference_of_run
from foray.export.runtimes import RuntimeSupport, add_resize, float_writer, plan_exports, write_float
from foray.export.source import ExportSource, require_classes, source_of_run, source_of_weights
from foray.export.validation import QuantizationImages, quantization_images
from foray.limits import require_seed, require_tolerance
from foray.progress import SILENT, Progress
from foray.records import ArtifactPrecision, ArtifactRecord, Calibration, folder_lock

_BYTES_A_PARAMETER = 12  # on the way: the float model, what it is made into, and what it replaces


@dataclass(frozen=True)
class Exported:
    """One artifact. `written`: False where an earlier one, intact and of the same run, was kept."""

    folder: Path
    record: ArtifactRecord
    written: bool


@dataclass(frozen=True)
class Images:
    """Which images, and how they are read; see `open_dataset`. `calibration`: for int8, where `data` has no train."""

    data: str | Path
    calibration: str | Path | None = None
    fold: int | None = None
    data_dir: Path | None = None
    offline: bool = False
    cache_dir: Path | None = None
    workers: int | None = None

    def open(self, fold: int | None, progress: Progress) -> Dataset:
        """The images to certify on; `fold`: that of the run, where none is given."""
        return open_dataset(
            self.data, fold=fold if self.fold is None else self.fold, data_dir=self.data_dir, offline=self.offline,
            cache_dir=self.cache_dir, progress=progress,
        )  # fmt: skip

    def open_calibration(self, progress: Progress) -> Dataset:
        """The images of --calibration: data as usual, or another copy of the named data set that is certified on."""
        assert self.calibration is not None
        is_copy = str(self.data) in NAMED_DATASETS and self.data_dir is not None and Path(self.calibration).exists()
        return open_dataset(
            self.data if is_copy else self.calibration,
            data_dir=Path(self.calibration) if is_copy else None,
            offline=self.offline,
            cache_dir=self.cache_dir,
            progress=progress,
        )


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
    dataset = images.open(source.origin.fold, progress) if images else None
    return _Export(source, images, dataset, tolerance, seed, force, threads, progress).write_all(plan, Path(out))


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
    dataset = images.open(None, progress) if images else None
    source = source_of_weights(model, weights, dataset.classes if dataset else None, offline=offline, progress=progress)
    return _Export(source, images, dataset, tolerance, seed, force, threads, progress).write_all(plan, Path(out))


def _require_images(plan: list[tuple[RuntimeSupport, ArtifactPrecision]], images: Images | None) -> None:
    if images is None and any(precision == "int8" for _, precision in plan):
        raise DataError("int8 is calibrated on train images: name them with --data DATA.")


@dataclass(frozen=True)
class _Export:
    source: ExportSource
    images: Images | None
    dataset: Dataset | None
    tolerance: float
    seed: int
    force: bool
    threads: int | None
    progress: Progress

    def write_all(self, plan: list[tuple[RuntimeSupport, ArtifactPrecision]], out: Path) -> list[Exported]:
        if self.dataset is not None:
            self._require_usable(self.dataset, any(precision == "int8" for _, precision in plan))
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

    def _require_usable(self, dataset: Dataset, to_int8: bool) -> None:
        assert self.images is not None
        require_classes(self.source, dataset)
        if not len(dataset.indices("test")):
            raise DataError(f"{dataset.name} has no test images to certify on.")
        if to_int8 and self.images.calibration is None and not len(dataset.indices("train")):
            raise DataError(
                f"int8 is calibrated on train images, and {dataset.name} has none. Name others with --calibration DATA."
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
        if self.dataset is not None and not self._is_certified(record):
            certificate = certify(
                folder, self.dataset, self._reference, tolerance=self.tolerance, threads=self.threads,
                progress=self.progress,
            )  # fmt: skip
            record = record.model_copy(update={"certificate": certificate})
        return Exported(folder, record, written=kept is None)

    def _write(
        self, support: RuntimeSupport, precision: ArtifactPrecision, planned: ArtifactRecord, folder: Path
    ) -> ArtifactRecord:
        calibration: Calibration | None = None
        remedies: tuple[str, ...] = ()
        if precision == "int8":
            calibration, remedies = self._write_int8(support, folder)
        else:
            module = deployable(self.source.network, self.source.preprocessing)
            write_float(support, precision, module, folder)
        add_resize(support, precision, folder / support.entry, self.source.preprocessing)
        return complete(folder, self.source, planned, calibration, remedies)

    def _write_int8(self, support: RuntimeSupport, folder: Path) -> tuple[Calibration, tuple[str, ...]]:
        remedies, found = self._remedies, self._quantization_images
        measure: Callable[[Path], Int8Loss] | None = None
        if found.validation is not None:
            batch = None if support.resizes else 1
            measure = partial(_measure, found, support, batch, self.tolerance)
        quantized = quantize(
            self.source.network,
            support.name,
            found.train,
            folder,
            preprocessing=self.source.preprocessing,
            write_float=float_writer(support),
            measure=measure,
            tolerance=self.tolerance,
            remedies=remedies,
            seed=self.seed,
            progress=self.progress,
        )
        calibration = Calibration(
            n=min(quantized.settings.images, len(found.train)),
            dataset=found.dataset.name,
            fingerprint=found.dataset.fingerprint,
            seed=self.seed,
            settings=str(quantized.settings),
        )
        return calibration, quantized.remedies

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
        assert self.images is not None
        assert self.dataset is not None
        whole = self.images.calibration is not None
        dataset = self.images.open_calibration(self.progress) if whole else self.dataset
        if len(dataset.classes) != len(self.source.classes):
            raise ForayError(f"{dataset.name} has {len(dataset.classes)} classes, not {len(self.source.classes)}.")
        return quantization_images(
            deployable(self.source.network, self.source.preprocessing), self.source.preprocessing, dataset,
            whole=whole, seed=self.seed, cache_dir=self.images.cache_dir, workers=self.images.workers,
            progress=self.progress,
        )  # fmt: skip

    @cached_property
    def _reference(self) -> Reference:
        """The float32 network's probabilities of the test images, computed once for all artifacts."""
        assert self.images is not None
        assert self.dataset is not None
        if self.source.folder is not None:
            return reference_of_run(
                self.source.folder, self.dataset, cache_dir=self.images.cache_dir, workers=self.images.workers,
                progress=self.progress,
            )  # fmt: skip
        return reference_of_network(
            self.source.network, self.source.preprocessing, list(self.source.classes), self.dataset,
            source=f"weights {self.source.origin.id}", cache_dir=self.images.cache_dir, workers=self.images.workers,
            progress=self.progress,
        )  # fmt: skip

    def _is_certified(self, record: ArtifactRecord) -> bool:
        assert self.dataset is not None
        certificate = record.certificate
        return (
            certificate is not None
            and certificate.tolerance == self.tolerance
            and certificate.fingerprint == self.dataset.fingerprint
            and certificate.split == "test"
            and certificate.files == {name: info.sha256 for name, info in record.files.items()}
        )


def _measure(
    found: QuantizationImages, support: RuntimeSupport, batch: int | None, tolerance: float, entry: Path
) -> Int8Loss:
    assert found.validation is not None
    return found.validation.measure(support.name, entry, batch, tolerance)


def _params(source: ExportSource) -> int:
    return sum(parameter.numel() for parameter in source.network.parameters())
