"""Networks on runtimes, timed: models by name and runs are written as files, artifacts are taken as they are.

The one path from a network to its costs, for `compare`, `profile` and `scale`: subjects, their files in a scratch
folder, the clock, `CostProfile`s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from foray.clock.burst import RuntimeCandidate
from foray.clock.measure import cost_profile, time_candidates
from foray.clock.schedule import TimingSchedule
from foray.clock.torch_session import save_for_worker
from foray.costs import count_macs, count_params, file_bytes, peak_inference_memory
from foray.costs.analysis import peak_activation_memory
from foray.deploy import ArtifactError, open_artifact
from foray.errors import ForayError, UnknownNameError
from foray.export.artifact_folder import LABELS, finished
from foray.export.graph import deployable
from foray.export.quantization import Int8Request, Settings, TrainImages, quantize
from foray.export.runtimes import (
    PRECISIONS,
    RUNTIMES,
    RuntimeSupport,
    write_float,
)
from foray.export.source import ExportSource, source_of_run, source_of_weights
from foray.models import SmallImage, build_model
from foray.progress import SILENT, Progress
from foray.records import (
    ArtifactOrigin,
    ArtifactPrecision,
    CostProfile,
    RunFolder,
    Runtime,
    RuntimeProfile,
    scratch_folder,
)
from foray.specs import Preprocessing, get_spec

TORCH_PRECISIONS = ("fp32", "bf16")

_AT_ONCE = 12  # processes of a few hundred MB each
_CALIBRATION_IMAGES = 4  # of noise: ranges do not change how long a network takes


@dataclass(frozen=True, eq=False)
class Subject:
    """One network and how it is called in tables."""

    name: str
    source: ExportSource
    small_image: SmallImage = "none"


@dataclass(frozen=True)
class RuntimeSetup:
    """A runtime with a precision (fp32, fp16, bf16, int8) and a number of threads."""

    runtime: str
    precision: str
    threads: int


def in_pytorch(threads: int | None) -> RuntimeSetup:
    """PyTorch in float32; `threads` None: as many as it uses in this process."""
    return RuntimeSetup("torch", "fp32", threads or torch.get_num_threads())


def plan_setups(runtimes: Sequence[str], precisions: Sequence[str], threads: Sequence[int]) -> list[RuntimeSetup]:
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
    return [RuntimeSetup(runtime, precision, n) for runtime, precision in pairs for n in dict.fromkeys(threads)]


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


def artifact_candidate(folder: Path, threads: int, name: str | None = None) -> RuntimeCandidate:
    """An exported file as it is; `name` None: of its folder and what it is. Raises ForayError for a damaged one."""
    try:
        about = open_artifact(folder).description
    except ArtifactError as error:
        raise ForayError(str(error)) from error
    setup = RuntimeSetup(about["runtime"], about["precision"], threads)
    return RuntimeCandidate(
        name=name or f"{folder.resolve().name} {_label(about['model'], setup)}",
        folder=folder.resolve(),
        model=about["model"],
        resolution=about["resolution"],
        runtime=setup.runtime,
        precision=setup.precision,
        threads=threads,
        params=about["params"],
        macs=about["macs"],
        file_bytes=sum(info["bytes"] for name, info in about["files"].items() if name != LABELS),
    )


def time_networks(
    subjects: Sequence[Subject],
    setups: Sequence[RuntimeSetup],
    artifacts: Sequence[RuntimeCandidate] = (),
    *,
    batches: Sequence[int] = (1,),
    layers: bool = False,
    schedule: TimingSchedule = TimingSchedule(),  # noqa: B008 (frozen)
    progress: Progress = SILENT,
) -> RuntimeProfile:
    """Times every subject with every setup, and `artifacts`, against each other: see `time_candidates`.

    The files of the subjects are gone at the end. Raises ForayError where a runtime lacks an operator.
    """
    with scratch_folder("foray-timing") as folder:
        candidates = [*write_candidates(subjects, setups, folder, progress), *artifacts]
        return time_candidates(candidates, batches=batches, layers=layers, schedule=schedule, progress=progress)


def timed_costs(
    subjects: Sequence[Subject],
    setup: RuntimeSetup,
    *,
    keep_resident: bool,
    batches: Sequence[int] = (1,),
    schedule: TimingSchedule = TimingSchedule(),  # noqa: B008 (frozen)
    progress: Progress = SILENT,
) -> dict[str, CostProfile]:
    """The costs of networks of different names by name, twelve timed against each other at once.

    `keep_resident`: with the resident memory; without it, for networks in PyTorch, memory is that by analysis alone, as
    most of what such a process holds is PyTorch itself. Raises ForayError where the runtime lacks an operator.
    """
    costs: dict[str, CostProfile] = {}
    for start in range(0, len(subjects), _AT_ONCE):
        some = subjects[start : start + _AT_ONCE]
        measured = time_networks(some, [setup], batches=batches, schedule=schedule, progress=progress)
        costs |= {cost.model: cost_profile(cost, measured) for cost in measured.costs}
    if keep_resident:
        return costs
    return {name: cost.model_copy(update={"resident_memory_bytes": None}) for name, cost in costs.items()}


def write_candidates(
    subjects: Sequence[Subject], setups: Sequence[RuntimeSetup], folder: Path, progress: Progress = SILENT
) -> list[RuntimeCandidate]:
    """Writes every subject for every setup below `folder`, one file for all numbers of threads.

    int8 is calibrated on noise: latency is that of real files, accuracy is meaningless. Raises ForayError where a
    runtime lacks an operator.
    """
    candidates = []
    written: dict[Path, int] = {}
    kinds = {(setup.runtime, setup.precision) for setup in setups}
    with progress.task("Exporting", len(subjects) * len(kinds)) as bar:
        for number, subject in enumerate(subjects):
            network, side = subject.source.network, subject.source.preprocessing.resolution
            params, macs = count_params(network), count_macs(network, side)
            activations, peak = peak_activation_memory(network, side), peak_inference_memory(network, side)
            for setup in setups:
                place = folder / str(number) / f"{setup.runtime}-{setup.precision}"
                if place not in written:
                    place.mkdir(parents=True)
                    written[place] = _write(subject, setup, place)
                    bar.advance(note=f"{subject.name} {place.name}")
                candidates.append(
                    RuntimeCandidate(
                        name=_label(subject.name, setup),
                        folder=place,
                        model=network.spec.name,
                        resolution=side,
                        runtime=setup.runtime,
                        precision=setup.precision,
                        threads=setup.threads,
                        params=params,
                        macs=macs,
                        file_bytes=written[place],
                        image_bytes=activations,
                        peak_memory_bytes=peak if (setup.runtime, setup.precision) == ("torch", "fp32") else None,
                    )
                )
    return candidates


def _write(subject: Subject, setup: RuntimeSetup, folder: Path) -> int:
    """Returns the bytes of the model's files."""
    source = subject.source
    if setup.runtime == "torch":
        save_for_worker(source.network, source.preprocessing, subject.small_image, folder)
        return file_bytes(source.network)
    support, precision = RUNTIMES[cast(Runtime, setup.runtime)], cast(ArtifactPrecision, setup.precision)
    if precision == "int8":
        _write_int8(source, support, folder)
    else:
        write_float(support, precision, deployable(source.network, source.preprocessing), folder)
    return finished(folder, source, support, precision).model_bytes


def _write_int8(source: ExportSource, support: RuntimeSupport, folder: Path) -> None:
    side, n = source.preprocessing.resolution, _CALIBRATION_IMAGES
    noise = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    train = TrainImages(noise, np.arange(n), np.zeros(n, np.int64))
    quantize(source.network, source.preprocessing, support.name, train, folder, Int8Request(Settings(images=n)))


def _label(name: str, setup: RuntimeSetup) -> str:
    threads = f"{setup.threads} thread{'s' if setup.threads > 1 else ''}"
    return f"{name} {setup.runtime} {setup.precision} {threads}"
