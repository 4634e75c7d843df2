"""`foray export`: a run as files for the device, each certified on your images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foray.cli import options
from foray.cli.certify import FAILED, say_what_is_next
from foray.cli.verb import with_groups

if TYPE_CHECKING:
    from foray.export.export import Exported
    from foray.records import Certificate


@with_groups
def export(
    *,
    run: Annotated[
        Path | None,
        typer.Argument(metavar="[RUN]", show_default=False, help="Folder of a finished run; or --model and --weights."),
    ] = None,
    to: Annotated[
        str, typer.Option("--to", metavar="A,B", help="Runtimes: onnx, openvino, litert, executorch.")
    ] = "onnx",
    precision: Annotated[str, typer.Option(metavar="A,B", help="fp32, fp16, bf16 (openvino), int8.")] = "fp32",
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", show_default=False, help="Images to certify on, and to calibrate int8 with."),
    ] = None,
    images: options.Unlabelled = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the artifacts' folders go.")] = Path("artifacts"),
    tolerance: Annotated[str, typer.Option(metavar="1pt", help="Largest loss of accuracy allowed, in points.")] = "1pt",
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Without RUN: published weights of this model."),
    ] = None,
    weights: options.WeightsFrom = None,
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="DATA", show_default=False, help="Images to calibrate int8 with where --data has no train images."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the calibration images.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Overwrite artifacts that exist already.")] = False,
    as_json: options.AsJson = False,
    source: options.SourceOptions,
    machine: options.CpuOptions,
) -> None:
    """Write a run as files for other runtimes; with --data or --images, certify each on your images.

    Normalisation is inside every file. ONNX and OpenVINO files also resize and crop; for LiteRT and ExecuTorch the
    predict.py beside the file does.

    Exit status 0: no artifact fails its certification; 3: one fails, and is marked.
    """
    from foray.errors import ForayError
    from foray.records.quantities import parse_points

    points = parse_points(tolerance, "--tolerance")
    if (run is None) == (model is None) or (model is None) != (weights is None):
        raise ForayError("Name the folder of a run, or published weights: --model NAME --weights DIR.")
    if images is not None and run is None:
        raise ForayError("--images go with a RUN: on which images published weights were trained is not known.")
    options.prepare_threads(machine.threads)
    from foray.cli.progress import terminal_progress
    from foray.export.export import export_run, export_weights
    from foray.export.request import ExportRequest
    from foray.settling.export_files import export_on_images

    labelled = None if data is None else source.request(data)
    request = ExportRequest(_names(to), _names(precision), labelled, calibration, points, seed, force)
    with terminal_progress() as progress:
        if run is not None and images is not None:
            done = export_on_images(run, request, out, images, machine.request(), progress=progress)
        elif run is not None:
            done = export_run(run, request, out, machine.request(), progress=progress)
        else:
            assert model is not None
            assert weights is not None
            done = export_weights(
                model, weights, request, out, machine.request(), offline=source.offline, progress=progress
            )
    if as_json:
        print(json.dumps([_json(one) for one in done], indent=1))
    else:
        _print(done)
        for one in done:
            if one.record.certificate is not None:
                say_what_is_next(one.folder, one.record.certificate, run, images)
    if any(_verdict(one) == "fail" for one in done):
        raise typer.Exit(FAILED)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _verdict(one: Exported) -> str:
    certificate = one.record.certificate
    return certificate.verdict if certificate else "not certified"


def _json(one: Exported) -> dict[str, object]:
    return {"folder": str(one.folder), "written": one.written, "artifact": one.record.model_dump(mode="json")}


def _print(done: list[Exported]) -> None:
    from foray.cli.tables import print_table
    from foray.cli.terminal import say
    from foray.records.quantities import format_bytes, percent_number

    rows = []
    for one in done:
        certificate = one.record.certificate
        rows.append(
            [
                one.folder.name,
                format_bytes(one.record.model_bytes),
                percent_number(certificate.top1.value if certificate and certificate.top1 else None),
                _loss(certificate) if certificate else "",
                _verdict(one),
            ]
        )
    say(f"In {done[0].folder.parent}:")
    print()
    print_table(["artifact", "file", "top-1 %", "loss against float32", "certificate"], rows)
    for one in done:
        certificate = one.record.certificate
        speed = [one.record.speed.sentence] if one.record.speed else []
        for sentence in [*one.record.remedies, *speed]:
            say(f"{one.folder.name}: {sentence}")
        if certificate and certificate.verdict == "inconclusive":
            say(f"{one.folder.name}: {certificate.sentence}")
        if certificate and certificate.left_out and certificate.left_out.total:
            say(f"{one.folder.name}: {certificate.left_out.sentence}")
        for sentence in certificate.unlabelled.remarks if certificate and certificate.unlabelled else []:
            say(f"{one.folder.name}: {sentence}")
        for sentence in [*certificate.failures, *certificate.doubts, *certificate.cautions] if certificate else []:
            say(f"{one.folder.name}: {sentence}")


def _loss(certificate: Certificate) -> str:
    from foray.records.quantities import format_points

    bound = f"at most {100 * certificate.loss_upper:.2f}"
    return f"{format_points(certificate.loss)} ({bound})" if certificate.loss is not None else f"{bound} points"
