"""The folder of an artifact: the model, labels.txt, artifact.json, README.md and the programs that run it."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from foray import __version__, deploy
from foray.deploy import ArtifactError, open_artifact
from foray.errors import DiskFullError, ForayError, RunError
from foray.export.reader_probes import is_own_reader
from foray.export.runtimes import RuntimeSupport
from foray.export.source import ExportSource
from foray.models.tensor_file import file_sha256
from foray.profiling.macs import count_macs, count_params
from foray.records import (
    ArtifactPrecision,
    ArtifactPreprocessing,
    ArtifactRecord,
    Calibration,
    FileInfo,
    InputShape,
    Speed,
    write_text,
)

LABELS = "labels.txt"
RECORD = "artifact.json"
_UNFINISHED = ".unfinished"


def describe(
    source: ExportSource, support: RuntimeSupport, precision: ArtifactPrecision, files: dict[str, FileInfo]
) -> ArtifactRecord:
    """What is known of an artifact before it has been calibrated or certified."""
    how, network = source.preprocessing, source.network
    side = None if support.resizes else how.resolution
    return ArtifactRecord(
        runtime=support.name,
        precision=precision,
        entry=support.entry,
        files=files,
        model=network.spec.name,
        resolution=how.resolution,
        num_classes=len(source.classes),
        input=InputShape(height=side, width=side, batch=None if support.resizes else 1),
        preprocessing=ArtifactPreprocessing(
            resolution=how.resolution,
            resize_side=how.resize_side,
            interpolation=how.interpolation,
            mean=how.mean,
            std=how.std,
        ),
        run=source.origin,
        params=count_params(network),
        macs=count_macs(network, how.resolution),
        versions={name: metadata.version(name) for name in ("torch", *support.packages.values())},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        foray_version=__version__,
    )


def existing(folder: Path, planned: ArtifactRecord, classes: Sequence[str], seed: int) -> ArtifactRecord | None:
    """The record of the artifact in `folder` if it is intact and nothing that decides it has changed; else None."""
    try:
        artifact = open_artifact(folder)
        there = ArtifactRecord.load(folder / RECORD)
    except (ArtifactError, ForayError):
        return None
    decided_later = {"files", "created", "calibration", "remedies", "speed", "certificate"}
    same = there.model_dump(exclude=decided_later) == planned.model_dump(exclude=decided_later)
    same_seed = there.calibration is None or there.calibration.seed == seed
    return there if same and same_seed and artifact.labels == _labels(classes) and is_own_reader(folder) else None


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to write in, which takes its name and place when the block ends without error.

    On any error it is removed, and what was in `folder` stays. Raises DiskFullError and RunError.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=_UNFINISHED, dir=folder.parent))
    except OSError as error:
        raise _explained(folder, error) from error
    try:
        yield unfinished
        unfinished.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        unfinished.replace(folder)
    except OSError as error:
        raise _explained(folder, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_unfinished_folders(out: Path) -> None:
    """Removes what killed exports were writing in `out`. Only for who holds the folder's lock."""
    for leftover in out.glob(f".*{_UNFINISHED}"):
        shutil.rmtree(leftover, ignore_errors=True)


def complete(
    folder: Path,
    source: ExportSource,
    planned: ArtifactRecord,
    calibration: Calibration | None = None,
    remedies: Sequence[str] = (),
    speed: Speed | None = None,
) -> ArtifactRecord:
    """Writes what lies beside the model files in `folder`; the card comes last, when the certificate is known."""
    write_text(folder / LABELS, "".join(f"{name}\n" for name in _labels(source.classes)))
    files = {
        path.name: FileInfo(sha256=file_sha256(path), bytes=path.stat().st_size) for path in sorted(folder.iterdir())
    }
    for program in sorted(Path(deploy.__file__).parent.glob("[!_]*.py")):
        shutil.copyfile(program, folder / program.name)
    int8 = {"calibration": calibration, "remedies": list(remedies), "speed": speed}
    record = planned.model_copy(update={"files": files} | int8)
    record.save(folder / RECORD)
    return record


def _labels(classes: Sequence[str]) -> list[str]:
    """One line each, whatever a class is called."""
    return [" ".join(name.split()) or "(no name)" for name in classes]


def _explained(folder: Path, error: OSError) -> ForayError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"The disk is full while writing {folder}. Free some room and run the same command again.")
    return RunError(f"Cannot write {folder}: {error.strerror or error}.")
