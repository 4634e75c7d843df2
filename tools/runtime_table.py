"""results/runtimes.md: shipped files beside PyTorch, their latency and accuracy by runtime and precision.

    python -m tools.runtime_table                        # MobileNetV2 and EfficientNetV2-B0 on ImageNet images
    python -m tools.runtime_table --run RUN --data DATA  # and a fine-tuned run on its own images

Exports published weights to every runtime in float32 and int8, certifies each file on the ILSVRC2012 validation images
that are there, times all of them in turns beside eager PyTorch, and writes the page. Files that are intact already are
kept, so an interrupted one goes on; timings are always taken anew. Needs the extra export, and an idle machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks._results import ROOT, shared_data
from foray.cli.progress import terminal_progress
from foray.clock.measure import cost_profile
from foray.clock.schedule import TimingSchedule
from foray.deploy import bench
from foray.export.export import Exported, export_run, export_weights
from foray.export.request import ExportRequest
from foray.export.runtimes import RUNTIMES
from foray.export.timing import RuntimeSetup, Subject, artifact_candidate, model_subject, run_subject, time_networks
from foray.progress import Progress
from foray.records import Certificate, Estimate, RuntimeCost, RuntimeProfile, hardware
from foray.records.quantities import format_bytes, format_points
from foray.requests import ImageSource

PRECISIONS = ("fp32", "int8")
WEIGHTS = {"mobilenet_v2": "mobilenetv2_100.tf_in1k", "efficientnet_v2_b0": "tf_efficientnetv2_b0.in1k"}
TOLERANCES = {"mobilenet_v2": 0.01, "efficientnet_v2_b0": 0.015}  # of top-1
COLUMNS = (
    "runtime", "precision", "file", "p50 ms (95 %)", "x PyTorch (99 %)", "time of float32 (99 %)", "file to label ms",
    "top-1 % (95 %)", "points lost (at most)", "certificate",
)  # fmt: skip


@dataclass(frozen=True)
class Section:
    """One network: its files, and the same network for PyTorch."""

    title: str
    exported: Sequence[Exported]
    subject: Subject


def main() -> None:
    """Writes the page."""
    given = _arguments()
    with terminal_progress() as progress:
        sections = [_published(name, given, progress) for name in given.models]
        sections += [_of_run(run, given, progress) for run in given.run]
        profiles = [_profile(section, given.threads, given.turns, progress) for section in sections]
    lines = _head(profiles[0], given.threads)
    for section, profile in zip(sections, profiles, strict=True):
        lines += ["", f"## {section.title}", "", *_table(section, profile)]
        lines += [f"- Not steady: {warning}." for warning in _warnings(profile)]
        lines += ["", *_remedies(section)]
    given.out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"Written: {given.out}")


def _arguments() -> argparse.Namespace:
    shared = shared_data()
    parser = argparse.ArgumentParser(prog="python -m tools.runtime_table", description="Latency and accuracy of files.")
    parser.add_argument("--models", nargs="*", choices=[*WEIGHTS], default=[*WEIGHTS])
    parser.add_argument("--weights", type=Path, default=shared / "weights", help="timm's folders")
    parser.add_argument("--imagenet", type=Path, default=shared / "data/imagenet_val_500", help="to certify on")
    parser.add_argument(
        "--calibration", type=Path, default=shared / "data/imagenet_sample_1000", help="ImageNet images for int8"
    )
    parser.add_argument("--run", type=Path, nargs="*", default=[], help="finished runs, in sections of their own")
    parser.add_argument("--data", help="the images of the runs")
    parser.add_argument("--threads", type=int, default=hardware().cores)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--artifacts", type=Path, default=ROOT / "benchmarks/out/artifacts", help="where the files go")
    parser.add_argument("--out", type=Path, default=ROOT / "results/runtimes.md")
    given = parser.parse_args()
    if bool(given.run) != (given.data is not None):
        parser.error("--run and --data go together.")
    if not given.models and not given.run:
        parser.error("Name a model or a run.")
    return given


def _published(name: str, given: argparse.Namespace, progress: Progress) -> Section:
    weights = given.weights / WEIGHTS[name]
    images = ImageSource("imagenet", data_dir=given.imagenet)
    request = ExportRequest(tuple(RUNTIMES), PRECISIONS, images, given.calibration, TOLERANCES[name])
    exported = export_weights(name, weights, request, given.artifacts / name, progress=progress)
    return Section(f"{name}, ImageNet", exported, model_subject(name, str(weights)))


def _of_run(run: Path, given: argparse.Namespace, progress: Progress) -> Section:
    folder = given.artifacts / run.resolve().name
    exported = export_run(
        run, ExportRequest(tuple(RUNTIMES), PRECISIONS, ImageSource(given.data)), folder, progress=progress
    )
    about = exported[0].record
    return Section(f"{about.model}, {about.run.protocol} on {about.run.dataset}", exported, run_subject(run))


def _profile(section: Section, threads: int, turns: int, progress: Progress) -> RuntimeProfile:
    artifacts = [artifact_candidate(one.folder, threads) for one in section.exported]
    setup, schedule = RuntimeSetup("torch", "fp32", threads), TimingSchedule(turns=turns)
    return time_networks([section.subject], [setup], artifacts, schedule=schedule, progress=progress)


def _warnings(profile: RuntimeProfile) -> list[str]:
    return list(dict.fromkeys(reason for cost in profile.costs for reason in cost_profile(cost, profile).unsteady))


def _head(profile: RuntimeProfile, threads: int) -> list[str]:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(profile.versions.items()))
    command = " ".join(["python -m tools.runtime_table", *sys.argv[1:]])
    return [
        "# Shipped files: latency and accuracy by runtime and precision",
        "",
        f"Written by `{command}`; every file is what `foray export` writes and certifies. Latency: "
        f"one image as the network takes it, {threads} threads, processes that take turns ({profile.turns} each, in "
        f"{profile.bursts} bursts), beside the same network in eager PyTorch (float32, channels-last), and int8 beside "
        "float32 of the same runtime: what is above 1 gains size, not speed. File to label: with decoding and resizing "
        "of a JPEG. Top-1 is scored by the file itself, from image file to label; the points lost are against float32 "
        "in PyTorch on the same images, with 95 % confidence at most the number in brackets.",
        "",
        f"{profile.hardware.label()}; {profile.created[:10]}; {packages}.",
    ]


def _table(section: Section, profile: RuntimeProfile) -> Iterator[str]:
    costs = {(cost.runtime, cost.precision): cost for cost in profile.costs}
    eager = costs["torch", "float32"]
    reference = _certificate(section.exported[0]).reference_top1
    yield "| " + " | ".join(COLUMNS) + " |"
    yield "|---|---|" + "---:|" * (len(COLUMNS) - 3) + "---|"
    yield _row(
        [
            "PyTorch", "fp32", format_bytes(eager.file_bytes), _p50(eager), "1", "-", _label(eager), _top1(reference),
            "-", "-",
        ]
    )  # fmt: skip
    for one in section.exported:
        about, certificate = one.record, _certificate(one)
        cost = costs[about.runtime, bench.PRECISIONS[about.precision]]
        lost = f"{100 * certificate.loss:+.1f} ({100 * certificate.loss_upper:.1f})"
        verdict = f"{certificate.verdict} at {format_points(certificate.tolerance)}"
        yield _row(
            [
                about.runtime, about.precision, format_bytes(cost.file_bytes), _p50(cost), _ratio(profile, eager, cost),
                "-" if cost.precision == "float32" else _ratio(profile, cost, costs[about.runtime, "float32"]),
                _label(cost), _top1(certificate.top1), lost, verdict,
            ]
        )  # fmt: skip
    yield ""
    yield f"n = {reference.n:,} images of {_certificate(section.exported[0]).dataset}; {eager.n:,} passes each."


def _remedies(section: Section) -> Iterator[str]:
    """How each int8 file came about: what was tried, on images held back for it, in order."""
    for one in section.exported:
        if one.record.calibration is not None:
            yield (
                f"int8 for {one.record.runtime}, by what was tried on images that are not those of the table. They "
                "chose among it, so their losses are optimistic; those of the table are not:"
            )
            yield ""
            yield from (f"- {sentence}" for sentence in one.record.remedies)
            yield ""


def _certificate(one: Exported) -> Certificate:
    assert one.record.certificate is not None  # images were given
    return one.record.certificate


def _ratio(profile: RuntimeProfile, long: RuntimeCost, short: RuntimeCost) -> str:
    """How many times as long `long` takes as `short`, with its interval."""
    for pair in profile.differences:
        if (pair.a, pair.b) == (short.name, long.name):
            return f"{pair.ratio:.2f} ({pair.low:.2f}-{pair.high:.2f})"
        if (pair.a, pair.b) == (long.name, short.name):
            return f"{1 / pair.ratio:.2f} ({1 / pair.high:.2f}-{1 / pair.low:.2f})"
    raise AssertionError(f"{short.name} was not compared with {long.name}")


def _p50(cost: RuntimeCost) -> str:
    return f"{cost.p50.value:.2f} ({cost.p50.low:.2f}-{cost.p50.high:.2f})"


def _label(cost: RuntimeCost) -> str:
    return f"{cost.label_p50.value:.1f}"


def _top1(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} ({100 * estimate.low:.1f}-{100 * estimate.high:.1f})"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
