"""Exporting a run as files that are certified on images without labels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from foray.export.export import Exported, export_run
from foray.export.request import ExportRequest
from foray.progress import SILENT, Progress
from foray.requests import Machine
from foray.settling.shipped_file import certify_on_images


def export_on_images(
    run: str | Path,
    request: ExportRequest,
    out: str | Path,
    images: str | Path,
    machine: Machine = Machine(),
    *,
    progress: Progress = SILENT,
) -> list[Exported]:
    """`export_run`, where each file is certified on `images` without labels; those of `request` only calibrate int8.

    A file that was kept, and certified on the same images, keeps its certificate, labels included. Raises ForayError as
    `export_run` and `certify_on_images` do.
    """
    done = []
    for one in export_run(run, replace(request, certified=False), out, machine, progress=progress):
        certificate = certify_on_images(
            one.folder, run, images, machine, tolerance=request.tolerance, used=one.used, again=False,
            progress=progress,
        )  # fmt: skip
        done.append(replace(one, record=one.record.model_copy(update={"certificate": certificate})))
    return done
