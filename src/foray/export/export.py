"""From a run, or published weights, to artifacts: written, certified, described."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from foray.data import Dataset
from foray.data.storage import require_free_space
from foray.errors import DataError
from foray.export.artifact_folder import (
    RECORD,
    artifact_folder,
    complete,
    describe,
    existing,
    refuse_foreign_files,
    remembered,
    remove_unfinished_folders,
    replaced_folder,
    require_replaceable,
)
from foray.export.card import write_card
from foray.export.certify import certify
from foray.export.graph import deployable
from foray.export.quantization import Int8Request, Quantized, Remedies, quantize, remedies_for
from foray.export.reference import Reference, reference_of_network, reference_of_run
from foray.export.request import ChosenImages, ExportRequest, carved_for_int8, not_certified
from foray.export.runtimes import RuntimeSupport, add_resize, plan_exports, write_float
from foray.export.source import ExportSource, source_of_run, source_of_weights
from foray.export.speed import stopwatch
from foray.export.validation import QuantizationImages, quantization_images
from foray.process_state import restores_process_state
from foray.progress import SILENT, Progress
from foray.records import ArtifactPrecision, ArtifactRecord, Calibration, folder_lock
from foray.requests import Machine
from foray.runs.held_out import HeldOut, as_the_run_split, held_out, in_classes_of, without_run
from foray.statistics import PairedResult

_BYTES_A_PARAMETER = 12  # on the way: the float model, what it is made into, and what it replaces


@dataclass(frozen=True)
class Exported:
    """One artifact. `written`: False where an earlier one, intact and of the same run, was kept. `used`: contents of
    the images that an int8 file was calibrated or selected on."""

    folder: Path
    record: ArtifactRecord
    written: bool
    used: frozenset[str] = frozenset()


def export_run(
    run: str | Path,
    request: ExportRequest,
    out: str | Path,
    machine: Machine = Machine(),
    *,
    progress: Progress = SILENT,
) -> list[Exported]:
    """Writes out/<runtime>-<precision>/ for every combination, from the finished run in the folder `run`.

    An intact artifact of the same run, precision and versions is kept unless `request` says otherwise. The threads of
    `machine` are those of the runtimes while they are scored.

    Raises ForayError before any work for what a runtime cannot do or lacks, a run that is not done, int8 without
    images, classes that are not the run's, and a folder that holds what foray did not write; later for a full disk and
    an operator that a runtime lacks.
    """
    plan = _planned(request, Path(out))
    source = source_of_run(run)
    chosen = None
    if request.images is not None:
        given = request.open_images(source.origin, machine, progress)
        tested = held_out(run, given, cache_dir=machine.cache, progress=progress) if request.certified else None
        chosen = ChosenImages(as_the_run_split(run, given), tested)
    elif request.certified:
        progress.note(not_certified(run))
    return _Export(source, request, chosen, machine, progress).write_all(plan, Path(out))


@restores_process_state
def export_weights(
    model: str,
    weights: str | Path,
    request: ExportRequest,
    out: str | Path,
    machine: Machine = Machine(),
    *,
    offline: bool = False,
    progress: Progress = SILENT,
) -> list[Exported]:
    """As `export_run`, for published weights as they are, with their own classifier. Raises WeightsError."""
    plan = _planned(request, Path(out))
    chosen = None
    if request.images is not None:
        given = request.open_images(None, machine, progress)
        if request.calibration is None and _has_int8(plan):
            given = carved_for_int8(given, machine, progress)
        chosen = ChosenImages(given, without_run(given))
    classes = chosen.dataset.classes if chosen else None
    source = source_of_weights(model, weights, classes, offline=offline, progress=progress)
    return _Export(source, request, chosen, machine, progress).write_all(plan, Path(out))


def _planned(request: ExportRequest, out: Path) -> list[tuple[RuntimeSupport, ArtifactPrecision]]:
    """The artifacts to write. Raises ForayError for what cannot be written, or would take the place of other files."""
    request.require_sound()
    plan = plan_exports(request.runtimes, request.precisions)
    if request.images is None and _has_int8(plan):
        raise DataError("int8 is calibrated on train images: name them with `data`.")
    refuse_foreign_files(plan, out, force=request.force)
    return plan


def _has_int8(plan: list[tuple[RuntimeSupport, ArtifactPrecision]]) -> bool:
    return any(precision == "int8" for _, precision in plan)


@dataclass(frozen=True)
class _Export:
    source: ExportSource
    request: ExportRequest
    chosen: ChosenImages | None
    machine: Machine
    progress: Progress

    def write_all(self, plan: list[tuple[RuntimeSupport, ArtifactPrecision]], out: Path) -> list[Exported]:
        if self.chosen is not None and _has_int8(plan):
            self._require_train(self.chosen)
        with folder_lock(out, what="export"), self.progress.task("exporting", len(plan)) as task:
            remove_unfinished_folders(out)
            require_free_space(out, len(plan) * _BYTES_A_PARAMETER * _params(self.source), "Exporting")
            wanted = []
            for support, precision in plan:
                folder = artifact_folder(out, support, precision)
                planned = describe(self.source, support, precision, {})
                kept = None if self.request.force else existing(folder, planned, self.source.classes, self.request.seed)
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
        if self.request.calibration is None and not has_train:
            raise DataError(f"int8 is calibrated on train images, and {name} has none. Name others with `calibration`.")

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
                record = remembered(folder, self._write(support, precision, planned, unfinished))
                record.save(unfinished / RECORD)
                write_card(unfinished, record)
        else:
            record = kept
            self.progress.note(f"Kept {folder}: intact, and of the same network and versions")
        used = self._used(precision)
        if self.chosen is not None and self.chosen.tested is not None:
            tested = self.chosen.tested.less(used)
            if self._is_certified(record, tested):
                return Exported(folder, record, kept is None, used)
            certificate = certify(
                folder, tested, self._reference, tolerance=self.request.tolerance, threads=self.machine.threads,
                progress=self.progress,
            )  # fmt: skip
            record = record.certified(certificate)
        return Exported(folder, record, kept is None, used)

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
            seed=self.request.seed,
            settings=str(quantized.settings),
        )
        return complete(folder, self.source, planned, calibration, quantized.remedies, quantized.speed)

    def _write_int8(self, support: RuntimeSupport, folder: Path) -> Quantized:
        remedies, found = self._remedies, self._quantization_images

        def measure(entry: Path) -> PairedResult:
            assert found.validation is not None
            batch = None if support.resizes else 1
            return found.validation.measure(support.name, entry, batch, self.request.tolerance)

        with stopwatch(self.source, support, self.machine.threads, self.progress) as watch:
            request = Int8Request(
                seed=self.request.seed, measure=measure if found.validation else None, time=watch.time,
                remedies=remedies,
            )  # fmt: skip
            return quantize(
                self.source.network, self.source.preprocessing, support.name, found.train, folder, request,
                progress=self.progress,
            )  # fmt: skip

    @cached_property
    def _remedies(self) -> Remedies:
        """Of all int8 files; what the pre-check finds is said before the first one is written."""
        remedies = remedies_for(
            self.source.network, self._quantization_images.train, self.source.preprocessing,
            seed=self.request.seed, progress=self.progress,
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
        return quantization_images(
            self.source, self._calibration_dataset, self.machine, whole=self.request.calibration is not None,
            seed=self.request.seed, progress=self.progress,
        )  # fmt: skip

    @cached_property
    def _calibration_dataset(self) -> Dataset:
        """Of its images train and val are used; of those of `calibration`, all."""
        assert self.chosen is not None
        if self.request.calibration is None:
            return self.chosen.dataset
        return in_classes_of(self.request.open_calibration(self.machine, self.progress), self.source.classes)

    def _used(self, precision: ArtifactPrecision) -> frozenset[str]:
        """Contents of the images that a file was calibrated or selected on: none of them may certify it."""
        if precision != "int8" or self.chosen is None:
            return frozenset()
        whole = self.request.calibration is not None
        return frozenset(
            sample.content for sample in self._calibration_dataset.samples if whole or sample.split != "test"
        )

    @cached_property
    def _reference(self) -> Reference:
        """The float32 network's probabilities of the test images, computed once for all artifacts."""
        assert self.chosen is not None
        assert self.chosen.tested is not None
        tested = self.chosen.tested
        if self.source.folder is not None:
            return reference_of_run(self.source.folder, tested, self.machine, progress=self.progress)
        return reference_of_network(self.source, tested, self.machine, progress=self.progress)

    def _is_certified(self, record: ArtifactRecord, tested: HeldOut) -> bool:
        certificate = record.certificate
        return (
            certificate is not None
            and certificate.tolerance == self.request.tolerance
            and certificate.fingerprint == tested.dataset.fingerprint
            and certificate.split == "test"
            and certificate.files == record.digests
        )


def _params(source: ExportSource) -> int:
    return sum(parameter.numel() for parameter in source.network.parameters())
