"""The time of an int8 file beside the float32 file of the same network: processes that take turns on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foray.deploy import bench
from foray.errors import ForayError
from foray.export.folder import complete, describe
from foray.export.graph import deployable
from foray.export.runtimes import RuntimeSupport, add_resize, write_float
from foray.export.source import ExportSource
from foray.profiling.turns import difference, interleave
from foray.profiling.workers import artifact_worker
from foray.progress import SILENT, Progress
from foray.records import ArtifactPrecision, Speed, TimeEstimate, hardware, scratch_folder

_TURNS = 15


@dataclass(frozen=True)
class Stopwatch:
    """Times int8 files of one network for one runtime. `float32`: the folder of its float32 artifact."""

    source: ExportSource
    support: RuntimeSupport
    float32: Path
    threads: int
    progress: Progress

    def time(self, entry: Path) -> Speed | None:
        """The int8 file `entry`, which takes prepared images, as it would be shipped, resize included.

        None, and a note, where a process fails.
        """
        with scratch_folder("foray-int8") as folder, self.progress.task("int8 beside float32", 1) as task:
            for path in entry.parent.iterdir():
                shutil.copyfile(path, folder / path.name)
            _complete(folder, self.source, self.support, "int8")
            try:
                speed = self._beside_float32(folder)
                task.advance(note=speed.sentence)
                return speed
            except ForayError as error:
                self.progress.note(f"The time of int8 could not be measured: {error}")
                return None

    def _beside_float32(self, folder: Path) -> Speed:
        with (
            artifact_worker("float32", self.float32, self.threads) as float32,
            artifact_worker("int8", folder, self.threads) as int8,
        ):
            takes = {}
            for worker in (float32, int8):
                passes = bench.passes_a_turn(worker.ask(task="warm_up", batch=1)["pass_ms"])
                takes[worker.name] = lambda worker=worker, passes=passes: [
                    float(ms) for ms in worker.ask(task="network", batch=1, passes=passes)["ms"]
                ]
            found = interleave(takes, _TURNS, between=bench.calibrate)
        theirs, ours = found.times["float32"], found.times["int8"]
        pair = difference("float32", theirs, "int8", ours)
        return Speed(
            ratio=pair.ratio,
            low=pair.low,
            high=pair.high,
            p50=_median(ours),
            float32=_median(theirs),
            threads=self.threads,
            turns=_TURNS,
            hardware=hardware(),
            unsteady=bench.unsteadiness(found.calibrations),
        )


@contextmanager
def stopwatch(
    source: ExportSource, support: RuntimeSupport, threads: int | None, progress: Progress = SILENT
) -> Iterator[Stopwatch]:
    """Writes the float32 artifact, which is gone at the end. `threads` None: one a core."""
    with scratch_folder("foray-float32") as folder:
        write_float(support, "fp32", deployable(source.network, source.preprocessing), folder)
        _complete(folder, source, support, "fp32")
        yield Stopwatch(source, support, folder, threads or bench.cores(), progress)


def _complete(folder: Path, source: ExportSource, support: RuntimeSupport, precision: ArtifactPrecision) -> None:
    """Makes an artifact of the model in `folder`."""
    add_resize(support, precision, folder / support.entry, source.preprocessing)
    complete(folder, source, describe(source, support, precision, {}))


def _median(times: bench.Times) -> TimeEstimate:
    found = bench.percentile(times, 50)
    return TimeEstimate(value=found.value, low=found.low, high=found.high)
