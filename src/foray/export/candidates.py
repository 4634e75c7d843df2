"""Networks as the files of runtimes, written to be timed and thrown away: models by name, runs, and artifacts as they
are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from foray.clock.burst import RuntimeCandidate
from foray.clock.torch_session import save_for_worker
from foray.costs.macs import count_macs, count_params
from foray.costs.memory import peak_activation_memory
from foray.deploy import ArtifactError, open_artifact
from foray.errors import ForayError, UnknownNameError
from foray.export.artifact_folder import complete, describe
from foray.export.graph import deployable
from foray.export.quantization import Int8Request, Settings, TrainImages, quantize
from foray.export.runtimes import (
    PRECISIONS,
    RUNTIMES,
    RuntimeSupport,
    add_resize,
    write_float,
)
from foray.export.source import ExportSource, source_of_run, source_of_weights
from foray.models import SmallImage, build_model
from foray.progress import SILENT, Progress
from foray.records import ArtifactOrigin, ArtifactPrecision, RunFolder, Runtime
from foray.specs import Preprocessing, get_spec

TORCH_PRECISIONS = ("fp32", "bf16")

_CALIBRATION_IMAGES = 4  # of noise: ranges do not change how long a network takes


@dataclass(frozen=True, eq=False)
class Subject:
    """One network and how it is called in tables."""

    name: str
    source: ExportSource
    small_image: SmallImage = "none"


@dataclass(frozen=True)
class Target:
    """What a subject is timed on."""

    runtime: str
    precision: str
    threads: int


def plan_targets(runtimes: Sequence[str], precisions: Sequence[str], threads: Sequence[int]) -> list[Target]:
    """Every combination that exists, in the order given and each once.

    A runtime that has none of `precisions`, or a precision that none of `runtimes` has, is an error; other pairs that
    do not exist (int8 on torch) are left out. Raises UnknownNameError, and ForayError naming the extra of a runtime
    that is not installed: all of it before any work.
    """
    known = ("torch", *RUNTIMES)
    for kind, names, all_names in (("runtime", runtimes, known), ("precision", precisions, PRECISIONS)):
        if not names:
            raise ForayError(f"Name at least one {kind}: {', '.join(all_names)}.")
        for name in names:
            if name not in all_names:
                raise UnknownNameError(kind, name, all_names, f"There are {', '.join(all_names)}.")
    pairs = [
        (runtime, precision)
        for runtime in dict.fromkeys(runtimes)
        for precision in dict.fromkeys(precisions)
        if precision in _precisions(runtime)
    ]
    for runtime in runtimes:
        if runtime not in {has for has, _ in pairs}:
            raise ForayError(f"{runtime} has no {' or '.join(precisions)}; it has {', '.join(_precisions(runtime))}.")
        if runtime != "torch":
            RUNTIMES[cast(Runtime, runtime)].require_installed()
    for precision in precisions:
        if precision not in {has for _, has in pairs}:
            raise ForayError(f"{precision} exists on none of {', '.join(runtimes)}.")
    return [Target(runtime, precision, n) for runtime, precision in pairs for n in dict.fromkeys(threads)]


def _precisions(runtime: str) -> Sequence[str]:
    return TORCH_PRECISIONS if runtime == "torch" else RUNTIMES[cast(Runtime, runtime)].precisions


def run_subject(folder: Path) -> Subject:
    """A finished run. Raises RunError."""
    source = source_of_run(folder)
    small_image = RunFolder(folder).load().architecture.small_image
    return Subject(source.network.spec.name, source, small_image)


def model_subject(
    name: str, weights: str | None = None, resolution: int | None = None, *, offline: bool = False,
    progress: Progress = SILENT,
) -> Subject:  # fmt: skip
    """A model by name: with `weights` as published, else with fresh ones, which take as long; ImageNet's 1000 classes.

    Raises UnknownNameError and WeightsError.
    """
    if weights is not None:
        source = source_of_weights(name, weights, offline=offline, progress=progress)
        if resolution is not None:
            source = replace(source, preprocessing=replace(source.preprocessing, resolution=resolution))
        return Subject(source.network.spec.name, source)
    spec = get_spec(name)
    return fresh_subject(spec.name, 1000, Preprocessing(resolution=resolution or spec.resolution))


def fresh_subject(
    name: str, num_classes: int, preprocessing: Preprocessing, small_image: SmallImage = "none"
) -> Subject:
    """A network with fresh weights."""
    network = build_model(get_spec(name), num_classes=num_classes, small_image=small_image, seed=0).eval()
    classes = tuple(f"class {i}" for i in range(num_classes))
    origin = ArtifactOrigin(id=f"{name}, fresh weights", network_sha256="0" * 64)
    return Subject(name, ExportSource(network, preprocessing, classes, origin), small_image)


def artifact_candidate(folder: Path, threads: int) -> RuntimeCandidate:
    """An exported file as it is. Raises ForayError for one that is damaged."""
    try:
        about = open_artifact(folder).description
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    sizes = [info["bytes"] for name, info in about["files"].items() if name != "labels.txt"]
    target = Target(about["runtime"], about["precision"], threads)
    return RuntimeCandidate(
        name=f"{folder.resolve().name} {_label(about['model'], target)}",
        folder=folder.resolve(),
        model=about["model"],
        resolution=about["resolution"],
        runtime=about["runtime"],
        precision=about["precision"],
        threads=threads,
        params=about["params"],
        macs=about["macs"],
        file_bytes=sum(sizes),
    )


def write_candidates(
    subjects: Sequence[Subject], targets: Sequence[Target], folder: Path, progress: Progress = SILENT
) -> list[RuntimeCandidate]:
    """Writes every subject for every target below `folder`, one file for all numbers of threads.

    int8 is calibrated on noise: the files take as long as real ones and know nothing. Raises ForayError where a runtime
    lacks an operator.
    """
    candidates = []
    written: dict[Path, int] = {}
    kinds = {(target.runtime, target.precision) for target in targets}
    with progress.task("Exporting", len(subjects) * len(kinds)) as bar:
        for number, subject in enumerate(subjects):
            network, side = subject.source.network, subject.source.preprocessing.resolution
            params, macs = count_params(network), count_macs(network, side)
            activations = peak_activation_memory(network, side)
            for target in targets:
                place = folder / str(number) / f"{target.runtime}-{target.precision}"
                if place not in written:
                    place.mkdir(parents=True)
                    written[place] = _write(subject, target, place)
                    bar.advance(note=f"{subject.name} {place.name}")
                candidates.append(
                    RuntimeCandidate(
                        _label(subject.name, target), place, network.spec.name, side, target.runtime,
                        target.precision, target.threads, params, macs, written[place], activations,
                    )
                )  # fmt: skip
    return candidates


def _write(subject: Subject, target: Target, folder: Path) -> int:
    """Returns the bytes of the model's files."""
    source = subject.source
    if target.runtime == "torch":
        return save_for_worker(source.network, source.preprocessing, subject.small_image, folder).stat().st_size
    support, precision = RUNTIMES[cast(Runtime, target.runtime)], cast(ArtifactPrecision, target.precision)
    if precision == "int8":
        _write_int8(source, support, folder)
    else:
        write_float(support, precision, deployable(source.network, source.preprocessing), folder)
    add_resize(support, precision, folder / support.entry, source.preprocessing)
    return complete(folder, source, describe(source, support, precision, {})).model_bytes


def _write_int8(source: ExportSource, support: RuntimeSupport, folder: Path) -> None:
    side, n = source.preprocessing.resolution, _CALIBRATION_IMAGES
    noise = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    train = TrainImages(noise, np.arange(n), np.zeros(n, np.int64))
    quantize(source.network, source.preprocessing, support.name, train, folder, Int8Request(Settings(images=n)))


def _label(name: str, target: Target) -> str:
    threads = f"{target.threads} thread{'s' if target.threads > 1 else ''}"
    return f"{name} {target.runtime} {target.precision} {threads}"
