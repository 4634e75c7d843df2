"""The time of an int8 file beside the float32 file of the same network: processes that take turns on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foray.clock.measure import time_candidates
from foray.clock.schedule import TimingSchedule
from foray.errors import ForayError
from foray.export.artifact_folder import finished
from foray.export.graph import deployable
from foray.export.runtimes import RuntimeSupport, write_float
from foray.export.source import ExportSource
from foray.export.timing import artifact_candidate
from foray.progress import SILENT, Progress
from foray.records import Speed, available_cores, scratch_folder

# The ratio of two that take turns stands a busy machine, and says so: nobody waits for a quiet one.
_SCHEDULE = TimingSchedule(turns=12, bursts=3, apart_seconds=0.0, wait_seconds=0.0)


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
        with scratch_folder("foray-int8") as folder:
            for path in entry.parent.iterdir():
                shutil.copyfile(path, folder / path.name)
            finished(folder, self.source, self.support, "int8")
            try:
                return self._beside_float32(folder)
            except ForayError as error:
                self.progress.note(f"The time of int8 could not be measured: {error}")
                return None

    def _beside_float32(self, folder: Path) -> Speed:
        folders = {"float32": self.float32, "int8": folder}
        candidates = [artifact_candidate(place, self.threads, name) for name, place in folders.items()]
        found = time_candidates(candidates, schedule=_SCHEDULE, progress=self.progress)
        costs = {cost.name: cost for cost in found.costs}
        (pair,) = found.differences
        ratio, low, high = pair.ratio, pair.low, pair.high
        if pair.a == "int8":  # the faster one comes first
            ratio, low, high = 1 / ratio, 1 / high, 1 / low
        return Speed(
            ratio=ratio,
            low=low,
            high=high,
            p50=costs["int8"].p50,
            float32=costs["float32"].p50,
            threads=self.threads,
            bursts=found.bursts,
            turns=found.turns,
            hardware=found.hardware,
            versions=found.versions,
            unsteady=found.steadiness.warnings,
        )


@contextmanager
def stopwatch(
    source: ExportSource, support: RuntimeSupport, threads: int | None, progress: Progress = SILENT
) -> Iterator[Stopwatch]:
    """Writes the float32 artifact, which is gone at the end. `threads` None: one per core."""
    with scratch_folder("foray-float32") as folder:
        write_float(support, "fp32", deployable(source.network, source.preprocessing), folder)
        finished(folder, source, support, "fp32")
        yield Stopwatch(source, support, folder, threads or available_cores(), progress)
