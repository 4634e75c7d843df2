"""Whether the machine was the same from the first burst to the last, and left to the measurement."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from foray.deploy import bench
from foray.deploy.bench import ProcessorTime
from foray.records.runtime_profile import Steadiness


@dataclass(frozen=True)
class Load:
    """Shares of the processors' time in [0, 1]: what other processes used, what went to other virtual machines."""

    busy: float
    stolen: float

    @property
    def is_quiet(self) -> bool:
        """Whether a measurement may go on beside it."""
        return not bench.load_warnings(self.busy, self.stolen)

    def __str__(self) -> str:
        """As in 'others use 63 % of the processors'."""
        stolen = f", {100 * self.stolen:.0f} % went to other virtual machines" if self.stolen >= 0.005 else ""
        return f"use {100 * self.busy:.0f} % of the processors{stolen}"


class LoadWatch:
    """Watches the processors from its construction on. `processes`: the ids of those that are being measured."""

    def __init__(self, processes: Callable[[], Iterable[int]] = tuple, proc: Path = Path("/proc")) -> None:
        self._processes, self._proc = processes, proc
        self._before, self._own_before = ProcessorTime.now(proc), self._own()

    @property
    def knows(self) -> bool:
        """Whether the system says what the processors do."""
        return self._before is not None

    def load(self) -> Load | None:
        """What others used since construction; None where the system does not say, or no time has passed."""
        now = ProcessorTime.now(self._proc)
        if self._before is None or now is None:
            return None
        shares = now.shares_since(self._before, self._own() - self._own_before)
        return None if shares is None else Load(*shares)

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


def steadiness(
    calibrations: Sequence[float], loads: Sequence[Load | None], *, waited_seconds: float = 0.0, again: int = 0
) -> Steadiness:
    """What the calibrations between turns and the load during each burst say of the machine.

    The shares are means over bursts, and not known where one burst's is not.
    """
    known = [load for load in loads if load is not None]
    complete = bool(known) and len(known) == len(loads)
    busy = sum(load.busy for load in known) / len(known) if complete else None
    stolen = sum(load.stolen for load in known) / len(known) if complete else None
    return Steadiness(
        drift=bench.drift(calibrations),
        stolen=stolen,
        busy_elsewhere=busy,
        busy_by_burst=[load.busy for load in known] if complete else [],
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        waited_seconds=waited_seconds,
        taken_again=again,
        warnings=bench.unsteadiness(calibrations) + bench.load_warnings(busy, stolen),
    )
