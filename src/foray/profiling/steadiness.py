"""Whether the machine was the same from the first turn to the last, and left to the measurement."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foray.deploy.bench import drift, unsteadiness
from foray.records.runtime_profile import Steadiness

STOLEN_LIMIT = 0.02  # of the processors' time
BUSY_LIMIT = 0.10

# proc(5): user nice system idle iowait irq softirq steal; guests are in user and nice
_IDLE, _IOWAIT, _STEAL = 3, 4, 7
_FIELDS = 8


@dataclass(frozen=True)
class ProcessorTime:
    """Ticks since the system started, of all processors together."""

    total: int
    busy: int
    stolen: int

    @classmethod
    def parse(cls, text: str) -> ProcessorTime | None:
        """From /proc/stat; None where it holds no such numbers, as in some containers."""
        for line in text.splitlines():
            label, *numbers = line.split()
            if label == "cpu" and len(numbers) >= _FIELDS and any(map(int, numbers)):
                ticks = [int(number) for number in numbers[:_FIELDS]]
                stolen = ticks[_STEAL]
                return cls(sum(ticks), sum(ticks) - ticks[_IDLE] - ticks[_IOWAIT] - stolen, stolen)
        return None


class LoadWatch:
    """Watches the processors from its construction on. `processes`: the ids of those that are being measured."""

    def __init__(self, processes: Callable[[], Iterable[int]] = tuple, proc: Path = Path("/proc")) -> None:
        self._processes, self._proc = processes, proc
        self._load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        self._before, self._own_before = self._now(), self._own()

    def steadiness(self, calibrations: Sequence[float]) -> Steadiness:
        """What the calibrations between turns and the processors' counters say of the time since construction."""
        warnings, stolen, busy = unsteadiness(calibrations), None, None
        now = self._now()
        if self._before is not None and now is not None and now.total > self._before.total:
            elapsed = now.total - self._before.total
            stolen = (now.stolen - self._before.stolen) / elapsed
            busy = max(0.0, (now.busy - self._before.busy - (self._own() - self._own_before)) / elapsed)
            if stolen > STOLEN_LIMIT:
                warnings.append(f"{100 * stolen:.0f} % of the processors' time went to other virtual machines")
            if busy > BUSY_LIMIT:
                warnings.append(f"other processes used {100 * busy:.0f} % of the processors' time")
        return Steadiness(
            drift=drift(calibrations), stolen=stolen, busy_elsewhere=busy, load_average=self._load_average,
            warnings=warnings,
        )  # fmt: skip

    def _now(self) -> ProcessorTime | None:
        try:
            return ProcessorTime.parse((self._proc / "stat").read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def _own(self) -> int:
        """Ticks that this process and those it measures have used; proc(5): fields 14 and 15 of stat."""
        spent = 0
        for process in (os.getpid(), *self._processes()):
            try:
                after_name = (self._proc / str(process) / "stat").read_text(encoding="utf-8").rpartition(")")[2]
                user, system = after_name.split()[11:13]
            except (OSError, ValueError):
                continue
            spent += int(user) + int(system)
        return spent
