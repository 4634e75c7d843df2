"""The public functions of `foray` that take single options: they make requests of them and call the packages.

Nowhere else in Python are these options spelled one by one; the command line has them in `foray.cli.options`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from foray.clock.schedule import WAIT_SECONDS
from foray.data import Split
from foray.process_state import restores_process_state
from foray.processes import ALONE, Processes
from foray.progress import SILENT, Progress
from foray.recipes import Protocol, Recipe
from foray.records import Budget, Comparison, Metrics, Preference, RunRecord
from foray.requests import ImageSource, Machine, TrainingRequest

if TYPE_CHECKING:
    from foray.export.export import Exported


@restores_process_state
def compare(
    data: str | Path,
    models: Sequence[str],
    protocol: Protocol = "linear",
    *,
    recipe: Recipe | None = None,
    weights: str | Path | None = None,
    epochs: int | None = None,
    unfreeze: str | None = None,
    changes: Sequence[str] = (),
    resolution: int | None = None,
    budget: Budget | None = None,
    tolerance: float = 0.01,
    prefer: Preference = "latency",
    seeds: int | None = None,
    alone: bool = False,
    out: str | Path = "out",
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    cache_dir: Path | None = None,
    profiles: Path | None = None,
    runtime: str | None = None,
    precision: str | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    workers: int | None = None,
    threads: int | None = None,
    wait_seconds: float = WAIT_SECONDS,
    command: str = "",
    progress: Progress = SILENT,
) -> Comparison:
    """Trains and measures models on your images, decides which to ship, and writes `out`/report.html.

    Finished runs found in `out` are used again, so the same call resumes an interrupted comparison, and changing only
    the budget decides anew without training. What depends on a latency that is not steady has outcome "not_known":
    models that may be over a bound on it are not trained, and the same call measures again.

    Args:
        data: a folder of class folders (with or without train/val/test above them), an archive of one, a CSV of
            path,label[,split][,group], or the name of a data set (`digits`).
        models: names from `foray models`.
        protocol: how they are trained: `scratch`, `linear`, `partial` or `finetune`.
        recipe: in place of the protocol's preset, its own protocol included.
        weights: pretrained weights: a folder, a file, a hub id, or `hub`; needed unless `protocol` is `scratch`.
        epochs: instead of the preset's.
        unfreeze: for `partial`, `last:N` layers or parts by name.
        changes: `key=value` of the recipe (see `foray.recipes.changed`).
        resolution: input side, pixels; None: that of the weights; from scratch the architecture's, but for images of at
            most 64 pixels their own side, at least 32.
        budget: upper bounds of the costs; None: none.
        tolerance: largest loss of accuracy against any other model that is accepted, in [0, 1] (0.01 is one point).
        prefer: `latency`, `macs`, `params`, `memory` or `file`: of the models that pass, the cheapest is shipped.
        seeds: runs per model, seeds 0 to `seeds` - 1; None: three for `linear`, one for the others.
        alone: allow 5 % wrong picks, not 2.5 %; only where `foray.settle` will not be called on `out`.
        out: folder of the runs and the report.
        fold: fold of a data set with official folds; None: its own default.
        data_dir: folder with a copy of the named data set.
        offline: download nothing, neither images nor weights.
        cache_dir: decoded images, features and downloads; None: see `foray.cache_folder`.
        profiles: device.json, costs measured on another device; None: they are measured here.
        runtime: torch, onnx, openvino, litert or executorch: what costs are measured on here, or which of `profiles`
            count; None: torch.
        precision: of `runtime`: fp32, fp16, bf16 or int8.
        skip_unreadable: leave unreadable images out instead of stopping.
        device: where networks are trained: `auto`, `cpu` or `cuda`.
        workers: threads that decode images; None: one per core.
        threads: of timing; None: as many as torch uses.
        wait_seconds: how long to wait for a quiet machine where latency counts; 0 measures at once, and such a latency
            is never steady.
        command: what the report gives as the command that made it.
        progress: what is told of the progress.

    Returns:
        The comparison, with `out`/comparison.json has it.

    Raises:
        ForayError: for data, models, weights or numbers that do not fit, and when `out` holds another comparison, or
            files in the place of its report.
    """
    from foray.comparison import ComparisonRequest, CostRequest
    from foray.comparison import compare as run_comparison

    request = ComparisonRequest(
        ImageSource(data, fold, data_dir, offline, skip_unreadable),
        tuple(models),
        TrainingRequest(protocol, recipe, tuple(changes), epochs, unfreeze, resolution, weights),
        budget or Budget(), tolerance, prefer, seeds,
        CostRequest(profiles, runtime, precision, wait_seconds), alone,
    )  # fmt: skip
    machine = Machine(device, threads, workers, cache_dir)
    return run_comparison(request, out, machine, command=command, progress=progress)


@restores_process_state
def train(
    data: str | Path,
    model: str,
    protocol: Protocol = "finetune",
    *,
    recipe: Recipe | None = None,
    weights: str | Path | None = None,
    epochs: int | None = None,
    unfreeze: str | None = None,
    changes: Sequence[str] = (),
    resolution: int | None = None,
    seed: int = 0,
    deterministic: bool = False,
    out: str | Path = "runs",
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    skip_unreadable: bool = False,
    device: str = "auto",
    workers: int | None = None,
    cache_dir: Path | None = None,
    processes: Processes = ALONE,
    progress: Progress = SILENT,
) -> RunRecord:
    """Trains one model on your images and scores it on the test split.

    The run's folder is `out`/<run_id of the record>. The same call again returns the same run, or goes on with it.

    Args:
        data: as for `compare`.
        model: a name from `foray models`.
        protocol: `scratch`, `linear`, `partial` or `finetune`.
        recipe: in place of the protocol's preset, its own protocol included.
        weights: pretrained weights: a folder, a file, a hub id, or `hub`; needed unless `protocol` is `scratch`.
        epochs: instead of the preset's.
        unfreeze: for `partial`, `last:N` layers or parts by name.
        changes: `key=value` of the recipe (see `foray.recipes.changed`).
        resolution: input side, pixels; None: that of the weights; from scratch the architecture's, but for images of at
            most 64 pixels their own side, at least 32.
        seed: of initialisation, order and augmentation.
        deterministic: float32 and deterministic algorithms, so that the same call gives the same weights bit for bit
            on the same machine.
        out: folder that gets the run's folder.
        fold: fold of a data set with official folds; None: its own default.
        data_dir: folder with a copy of the named data set.
        offline: download nothing, neither images nor weights.
        skip_unreadable: leave unreadable images out instead of stopping.
        device: `auto`, `cpu` or `cuda`.
        workers: threads that decode images; None: one per core.
        cache_dir: decoded images, features and downloads; None: see `foray.cache_folder`.
        processes: those that train the run together, each of which makes this call
            (`foray.processes.joined_processes`).
        progress: what is told of the progress.

    Returns:
        The record of the run, as its record.json has it.

    Raises:
        ForayError: for data, models, weights or numbers that do not fit.
    """
    from foray.runs import train as train_model

    return train_model(
        ImageSource(data, fold, data_dir, offline, skip_unreadable),
        model,
        TrainingRequest(protocol, recipe, tuple(changes), epochs, unfreeze, resolution, weights),
        Machine(device, None, workers, cache_dir, processes),
        out=out, seed=seed, deterministic=deterministic, progress=progress,
    )  # fmt: skip


@restores_process_state
def evaluate(
    run: str | Path,
    data: str | Path,
    split: Split = "test",
    *,
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    device: str = "auto",
    workers: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> Metrics:
    """Scores a finished run on images it was neither trained nor selected on, in float32.

    Of `data` with splits the test split is scored, of data without splits every image; what the run knows is left out
    and counted in `left_out`, whatever it is called now, so that of the run's own data its own test split is scored.
    The classes may be any of the run's, by name; those without images are in `absent`.

    Args:
        run: folder of the run.
        data: as for `compare`.
        split: `train` or `val` scores those images on purpose.
        fold: fold of a data set with official folds; None: the one the run was trained on.
        data_dir: folder with a copy of the named data set.
        offline: download nothing.
        device: `auto`, `cpu` or `cuda`.
        workers: threads that decode images; None: one per core.
        cache_dir: decoded images and downloads; None: see `foray.cache_folder`.
        progress: what is told of the progress.

    Returns:
        Accuracies in [0, 1] with their intervals, per class, and the confusions.

    Raises:
        RunError: when `run` is no finished run.
        DataError: when a class of `data` is not the run's or no image is left.
    """
    from foray.runs import evaluate as evaluate_run

    source = ImageSource(data, fold, data_dir, offline)
    return evaluate_run(run, source, split, Machine(device, None, workers, cache_dir), progress=progress)


@restores_process_state
def export_run(
    run: str | Path,
    runtimes: Sequence[str],
    precisions: Sequence[str],
    out: str | Path,
    *,
    data: str | Path | None = None,
    calibration: str | Path | None = None,
    images: str | Path | None = None,
    fold: int | None = None,
    data_dir: Path | None = None,
    offline: bool = False,
    tolerance: float = 0.01,
    seed: int = 0,
    force: bool = False,
    threads: int | None = None,
    workers: int | None = None,
    cache_dir: Path | None = None,
    progress: Progress = SILENT,
) -> list[Exported]:
    """Writes `out`/<runtime>-<precision>/ for every combination, from a finished run.

    An intact artifact of the same run, precision and versions is kept unless `force`.

    Args:
        run: folder of the run.
        runtimes: onnx, openvino, litert or executorch.
        precisions: fp32, fp16, bf16 or int8.
        out: folder that gets the artifacts' folders.
        data: images to certify on, and to calibrate int8 with, as for `compare`; None: the artifacts carry no
            certificate.
        calibration: images for int8, where `data` has no train.
        images: images without labels to certify on, as for `certify`; `data` then only calibrates int8.
        fold: fold of a data set with official folds; None: the one the run was trained on.
        data_dir: folder with a copy of the named data set.
        offline: download nothing.
        tolerance: loss of top-1 that is allowed, in [0, 1].
        seed: of what int8 draws.
        force: write again what is there already.
        threads: of the runtimes while they are scored; None: one per core.
        workers: threads that decode images; None: one per core.
        cache_dir: decoded images and downloads; None: see `foray.cache_folder`.
        progress: what is told of the progress.

    Returns:
        One for each artifact, in the order of `runtimes` and `precisions`.

    Raises:
        ForayError: before any work for what a runtime cannot do or lacks, a run that is not done, int8 without images,
            classes that are not the run's, and a folder that holds what foray did not write; later for a full disk and
            an operator that a runtime lacks.
    """
    from foray.export.export import export_run as export
    from foray.export.request import ExportRequest
    from foray.settling.export_files import export_on_images

    source = None if data is None else ImageSource(data, fold, data_dir, offline)
    request = ExportRequest(tuple(runtimes), tuple(precisions), source, calibration, tolerance, seed, force)
    machine = Machine("cpu", threads, workers, cache_dir)
    if images is not None:
        return export_on_images(run, request, out, images, machine, progress=progress)
    return export(run, request, out, machine, progress=progress)
