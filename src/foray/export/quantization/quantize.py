"""One network, one runtime: int8 that was measured, with remedies where it lost too much."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from foray.export.graph import Deployable, deployable
from foray.export.quantization.bias_correction import correct_biases
from foray.export.quantization.fine_tuning import FineTuning, fine_tune
from foray.export.quantization.layers import weighted_layers
from foray.export.quantization.remedies import Measure, Remedies, Time, Trials
from foray.export.quantization.sensitivity import PreCheck, pre_check
from foray.export.quantization.settings import Settings
from foray.export.quantization.train_images import TrainImages
from foray.export.runtimes import RUNTIMES, float_writer
from foray.models import Network
from foray.progress import SILENT, Progress
from foray.records import Runtime, Speed
from foray.specs import Preprocessing
from foray.statistics.paired import PairedResult

_FEW_IMAGES = 64  # for the pre-check and for biases


@dataclass(frozen=True)
class Quantized:
    """`entry`: the file a runtime opens; `files`: all that were written, entry included. `settings`: what was used.

    `loss`: on the validation split, None if it was not measured; optimistic where several were tried.
    `meets_tolerance`: whether that is within the tolerance (True if none was measured). `speed`: beside float32, None
    if it was not measured. `remedies`: what was tried, one sentence each.
    """

    entry: Path
    files: tuple[Path, ...]
    settings: Settings
    loss: PairedResult | None
    meets_tolerance: bool
    speed: Speed | None
    remedies: tuple[str, ...]


@dataclass(frozen=True)
class Int8Request:
    """How int8 is made and judged.

    settings: where to start, with no more images than there are.
    seed: of the calibration sample.
    measure: `measure(entry)` says how much accuracy a file loses against the float32 network on the validation split,
        and holds the tolerance; None: the first quantisation is kept.
    time: `time(entry)`, how long a file takes beside float32.
    remedies: of `remedies_for`, which several runtimes may share; None: its own.
    """

    settings: Settings = Settings()
    seed: int = 0
    measure: Measure | None = None
    time: Time = lambda _: None
    remedies: Remedies | None = None


def quantize(
    network: Network,
    preprocessing: Preprocessing,
    runtime: Runtime,
    train: TrainImages,
    folder: Path,
    request: Int8Request = Int8Request(),
    *,
    progress: Progress = SILENT,
) -> Quantized:
    """Writes `network` in int8 for `runtime` into `folder`: model.onnx, model.xml and .bin, model.tflite or model.pte.

    The file takes uint8 (N, R, R, 3), or one image where the float model does, and gives probabilities (N, C).
    Raises ForayError naming the extra when the runtime's tool is not installed, and when a graph is not the network's.
    """
    RUNTIMES[runtime].require_installed()
    first, seed = request.settings, request.seed
    first = replace(first, images=min(first.images, len(train)))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".int8-") as workshop:
        write = _Writer(runtime, train, preprocessing, seed, progress, Path(workshop) / "float")
        if request.measure is None:
            (Path(workshop) / "0").mkdir()
            entry = write(network, first, Path(workshop) / "0")
            speed = request.time(entry)
            return Quantized(*_moved(entry, folder), first, None, True, speed, ())
        trials = Trials(network, write, request.measure, request.time, Path(workshop), len(train))
        remedies = request.remedies or remedies_for(network, train, preprocessing, seed=seed, progress=progress)
        outcome = trials.run(first, remedies)
        best = outcome.best
        return Quantized(
            *_moved(best.entry, folder),
            settings=best.settings,
            loss=best.loss,
            meets_tolerance=best.is_within,
            speed=best.speed,
            remedies=outcome.sentences,
        )


def remedies_for(
    network: Network,
    train: TrainImages,
    preprocessing: Preprocessing,
    *,
    fine_tuning: FineTuning | None = FineTuning(),  # noqa: B008, frozen
    seed: int = 0,
    progress: Progress = SILENT,
) -> Remedies:
    """What is done about `network` if need be: once, for however many runtimes. `fine_tuning` None: without it."""

    @cache
    def check() -> PreCheck:
        return pre_check(network, train.sample(_FEW_IMAGES, seed), preprocessing, progress=progress)

    @cache
    def tune() -> Network:
        return fine_tune(network, train, preprocessing, fine_tuning or FineTuning(), seed=seed, progress=progress)

    return Remedies(check, tune if fine_tuning else None, fine_tuning or FineTuning())


@dataclass
class _Writer:
    """Quantises networks for one runtime; the last float32 model, which attempts may share, lies in `float_folder`."""

    runtime: Runtime
    train: TrainImages
    preprocessing: Preprocessing
    seed: int
    progress: Progress
    float_folder: Path
    module: Deployable | None = None
    made_of: tuple[Network, tuple[str, ...]] | None = None

    def __call__(self, network: Network, settings: Settings, folder: Path) -> Path:
        """Quantises `network` by `settings` into `folder`; returns the entry file."""
        self.progress.note(f"int8 for {self.runtime}: {settings}")
        target = folder / RUNTIMES[self.runtime].entry
        images = self.train.sample(settings.images, self.seed)
        module = self._float_module(network, settings)
        if self.runtime == "executorch":
            from foray.export.quantization.executorch import quantize_executorch

            quantize_executorch(module, images, target, settings)
            return target
        match self.runtime:
            case "onnx":
                from foray.export.quantization.onnx import quantize_onnx as quantize_file
            case "openvino":
                from foray.export.quantization.openvino import quantize_openvino as quantize_file
            case "litert":
                from foray.export.quantization.litert import quantize_litert as quantize_file
        float_model = self.float_folder / RUNTIMES[self.runtime].entry
        if not float_model.exists():
            float_model = float_writer(RUNTIMES[self.runtime])(module, self.float_folder)
        quantize_file(float_model, images, target, settings, weighted_layers(module.network))
        return target

    def _float_module(self, network: Network, settings: Settings) -> Deployable:
        """What is quantised. Its biases are corrected for all tools but NNCF, which does it itself."""
        if self.module is None or self.made_of != (network, settings.float_layers):
            shutil.rmtree(self.float_folder, ignore_errors=True)
            self.float_folder.mkdir()
            self.made_of = network, settings.float_layers
            if self.runtime != "openvino":
                network = correct_biases(
                    network,
                    self.train.sample(_FEW_IMAGES, self.seed),
                    self.preprocessing,
                    granularity=settings.weights,
                    float_layers=settings.float_layers,
                )
            self.module = deployable(network, self.preprocessing)
        return self.module


def _moved(entry: Path, folder: Path) -> tuple[Path, tuple[Path, ...]]:
    """Entry and files of a finished attempt, in `folder`."""
    files = tuple(path.replace(folder / path.name) for path in sorted(entry.parent.iterdir()))
    return folder / entry.name, files
