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
from foray.costs.analysis import count_macs, count_params
from foray.data.csv_table import read_table
from foray.deploy import ArtifactError, open_artifact
from foray.errors import DataError, DiskFullError, ForayError, RunError
from foray.export.reader_probes import is_own_reader
from foray.export.runtimes import PRECISIONS, RUNTIMES, RuntimeSupport, add_resize
from foray.export.source import ExportSource
from foray.records import (
    ArtifactPrecision,
    ArtifactPreprocessing,
    ArtifactRecord,
    Calibration,
    FileInfo,
    InputShape,
    Speed,
    file_sha256,
    require_writable,
    write_text,
)

LABELS = "labels.txt"
RECORD = "artifact.json"
CARD = "README.md"
SETTLE = "settle"  # the folder in which certify asks for labels
_SETTLE_FILES = frozenset({"plan.json", "label.html", "labels.csv"})
_UNFINISHED = ".unfinished"
_PROGRAMS = tuple(sorted(Path(deploy.__file__).parent.glob("[!_]*.py")))
_ENTRIES = [support.entry for support in RUNTIMES.values()]
_WEIGHTS = [Path(entry).with_suffix(".bin").name for entry in _ENTRIES if entry.endswith(".xml")]
_WRITTEN = frozenset({LABELS, RECORD, CARD, *_ENTRIES, *_WEIGHTS, *(program.name for program in _PROGRAMS)})
_BYTECODE = "__pycache__"  # Python's, where a program beside the model was run
_SHOWN_NAMES = 5


def artifact_folder(out: Path, support: RuntimeSupport, precision: ArtifactPrecision) -> Path:
    """Where in `out` an artifact goes."""
    return out / f"{support.name}-{precision}"


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
            resize=how.resize,
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
    decided_later = {"files", "created", "calibration", "remedies", "speed", "certificate", "earlier"}
    same = there.model_dump(exclude=decided_later) == planned.model_dump(exclude=decided_later)
    same_seed = there.calibration is None or there.calibration.seed == seed
    return there if same and same_seed and artifact.labels == label_lines(classes) and is_own_reader(folder) else None


def remembered(folder: Path, record: ArtifactRecord) -> ArtifactRecord:
    """`record` of a file that is about to replace the one in `folder`, with the certificates of that one if the bytes
    are the same."""
    try:
        return record.tried_as(ArtifactRecord.load(folder / RECORD))
    except ForayError:  # none is there, or none that can be read
        return record


def require_replaceable(folder: Path) -> None:
    """Raises RunError where writing an artifact into `folder` would take something away that foray did not write.

    An artifact's own files are replaced; without artifact.json nothing in a folder is known to be foray's.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise RunError(f"{folder} is a link or a file, not the folder of an artifact. {_way_out('it')}")
    if folder.is_dir():
        _refuse(
            folder, _foreign(folder) if (folder / RECORD).is_file() else sorted(path.name for path in folder.iterdir())
        )


def refuse_foreign_files(plan: Sequence[tuple[RuntimeSupport, ArtifactPrecision]], out: Path, *, force: bool) -> None:
    """`require_replaceable` of every folder that is sure to be written, before any work is done.

    Those with an artifact may be kept as they are unless `force`. Raises RunError also where `out` cannot be written.
    """
    require_writable(out)
    for support, precision in plan:
        folder = artifact_folder(out, support, precision)
        if force or not (folder / RECORD).is_file():
            require_replaceable(folder)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """An empty folder beside `folder` to write in, which takes its name and place when the block ends without error.

    On any error it is removed, and what was in `folder` stays. Raises DiskFullError, and RunError, also for what came
    into `folder` meanwhile and is not an artifact's.
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
            _remove_artifact(folder)
        unfinished.replace(folder)
    except OSError as error:
        raise _explained(folder, error) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def remove_unfinished_folders(out: Path) -> None:
    """Removes what killed exports were writing in `out`. Only for who holds the folder's lock."""
    for name in (f"{runtime}-{precision}" for runtime in RUNTIMES for precision in PRECISIONS):
        for leftover in out.glob(f".{name}-*{_UNFINISHED}"):
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
    write_text(folder / LABELS, "".join(f"{name}\n" for name in label_lines(source.classes)))
    files = {
        path.name: FileInfo(sha256=file_sha256(path), bytes=path.stat().st_size) for path in sorted(folder.iterdir())
    }
    for program in _PROGRAMS:
        shutil.copyfile(program, folder / program.name)
    int8 = {"calibration": calibration, "remedies": list(remedies), "speed": speed}
    record = planned.model_copy(update={"files": files} | int8)
    record.save(folder / RECORD)
    return record


def finished(
    folder: Path, source: ExportSource, support: RuntimeSupport, precision: ArtifactPrecision
) -> ArtifactRecord:
    """Makes an artifact of the model in `folder`, which takes prepared images: resize in the graph, where the runtime
    can, and all that lies beside it. For one that is timed, not shipped: without card and calibration."""
    add_resize(support, precision, folder / support.entry, source.preprocessing)
    return complete(folder, source, describe(source, support, precision, {}))


def label_lines(classes: Sequence[str]) -> list[str]:
    """The lines of labels.txt: one for each class, whatever it is called."""
    return [" ".join(name.split()) or "(no name)" for name in classes]


def _foreign(folder: Path) -> list[str]:
    """Names in `folder` that no export writes."""
    return sorted(path.name for path in folder.iterdir() if not _is_written(path))


def _is_written(path: Path) -> bool:
    if path.name == _BYTECODE and path.is_dir():
        stems = {program.stem for program in _PROGRAMS}
        return all(cached.name.partition(".")[0] in stems for cached in path.iterdir())
    if path.name == SETTLE and path.is_dir() and not path.is_symlink():
        return all(_is_question(one) for one in path.iterdir())
    unfinished = path.name.startswith(".") and path.name.endswith(_UNFINISHED)  # of a writer that was killed
    known = path.name in _WRITTEN or (unfinished and path.name[1:].rsplit(".", 2)[0] in _WRITTEN)
    return known and not path.is_dir()


def _is_question(path: Path) -> bool:
    """Whether a file in settle/ only asks for labels: those that a person gave are kept."""
    if path.name not in _SETTLE_FILES or not path.is_file():
        return False
    try:
        return path.suffix != ".csv" or not any(row.get("label") for _, row in read_table(path)[1])
    except DataError:  # whatever it is, foray did not write it
        return False


def _refuse(folder: Path, foreign: Sequence[str]) -> None:
    if SETTLE in foreign and (folder / SETTLE).is_dir():
        raise RunError(
            f"{folder / SETTLE} holds labels that somebody gave, or files that foray did not write. Let foray certify "
            f"read the labels first, or move {folder / SETTLE} elsewhere."
        )
    if foreign:
        more = f" and {len(foreign) - _SHOWN_NAMES} more" if len(foreign) > _SHOWN_NAMES else ""
        raise RunError(
            f"{folder} holds {', '.join(foreign[:_SHOWN_NAMES])}{more}, which foray export did not write and "
            f"does not delete. {_way_out('it' if len(foreign) == 1 else 'them')}"
        )


def _way_out(it: str) -> str:
    return f"Move {it} elsewhere, or choose another folder with `out`."


def _remove_artifact(folder: Path) -> None:
    """Removes an artifact's files and the folder they leave empty. Raises RunError where others lie among them."""
    _refuse(folder, _foreign(folder))
    for inner in (_BYTECODE, SETTLE):
        shutil.rmtree(folder / inner, ignore_errors=True)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _explained(folder: Path, error: OSError) -> ForayError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"The disk is full while writing {folder}. Free some space and run the same command again."
        )
    return RunError(f"Cannot write {folder}: {error.strerror or error}.")
