"""Results made up for tests: runs of a role at a scale as they would lie on disk, right about the images one says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from foray.records import EpochRow, RunRecord
from foray.records.reproduction import ClaimResult, ExperimentInfo, Scale
from foray.reproduce.claim import Claim, Judge
from foray.reproduce.experiments import BY_SCALE
from foray.reproduce.findings import Findings
from foray.reproduce.judge import judged
from foray.reproduce.results_folder import RunResult
from foray.specs import get_spec

_EARLIER = Path(__file__).parents[1] / "fixtures" / "written_by_86f8878" / "train"
Right = npt.NDArray[np.bool_]


def some_right(n_right: int, n: int, first: int = 0) -> Right:
    """(n,) answers, of which `n_right` are right, from image `first` on."""
    right = np.zeros(n, dtype=bool)
    right[first : first + n_right] = True
    return right


def rows(train: Sequence[float | None], val: Sequence[float | None]) -> tuple[EpochRow, ...]:
    """A history of these accuracies."""
    return tuple(
        EpochRow(epoch=i, learning_rate=0.1, train_loss=1.0, train_top1=t, val_loss=1.0, val_top1=v, seconds=1.0)
        for i, (t, v) in enumerate(zip(train, val, strict=True))
    )


@dataclass
class Made:
    """Runs as the experiment of a role and scale plans them, below `folder`."""

    folder: Path
    runs: list[RunResult] = field(default_factory=list)

    def run(
        self,
        role: str,
        test: Right,
        *,
        scale: Scale = "full",
        seed: int = 0,
        val: Right | None = None,
        history: tuple[EpochRow, ...] | None = None,
        source: str | None = None,
        fold: int | None = None,
        changes: dict[str, object] | None = None,
        precision: str = "float32",
    ) -> RunResult:
        """One run; `val`: as test where not given; `changes`: keys of its recipe; `precision`: it trained in."""
        experiment = BY_SCALE[scale][role]
        recipe = experiment.resolved()
        assert recipe is not None
        val = test if val is None else val
        earlier = RunRecord.load(next(_EARLIER.glob("*/record.json")))
        side = experiment.resolution or get_spec(experiment.model).resolution
        fold = (experiment.fold or 0) if experiment.source == "deepweeds" and fold is None else fold
        record = earlier.model_copy(
            update={
                "architecture": earlier.architecture.model_copy(
                    update={
                        "large_classifier": False,
                        "name": experiment.model,
                        "requested": experiment.model,
                        "resolution": side,
                    }
                ),
                "dataset": earlier.dataset.model_copy(
                    update={"counts": {"train": 100, "val": len(val), "test": len(test)}, "fold": fold}
                ),
                "recipe": recipe.model_dump(mode="json") | (changes or {}),
                "seed": seed,
                "train_precision": precision,
                "metrics": {},
            }
        )
        path = self.folder / f"{scale}-{role}-{seed}-{len(self.runs)}"
        path.mkdir(parents=True)
        arrays: dict[str, Any] = {}
        for split, right in (("val", val), ("test", test)):
            arrays[f"{split}_ids"] = np.array([f"{split}/fold {fold or 0}/{i:05d}.jpg" for i in range(len(right))])
            arrays[f"{split}_labels"] = np.zeros(len(right), dtype=np.uint16)
            arrays[f"{split}_predicted"] = (~right).astype(np.uint16)
        np.savez(path / "predictions.npz", **arrays)
        kept = experiment.per_class.words() if experiment.per_class else None
        info = ExperimentInfo(
            role=role, scale=scale, source=source or experiment.source, reduced=kept, command="foray reproduce"
        )
        flat = rows([0.9] * recipe.epochs, [float(val.mean())] * recipe.epochs)
        made = RunResult(info, record, flat if history is None else history, path)
        self.runs.append(made)
        return made

    def findings(self) -> Findings:
        """All of them, full before reduced."""
        chosen: dict[str, list[RunResult]] = {}
        also: dict[str, list[RunResult]] = {}
        for made in sorted(self.runs, key=lambda one: (one.info.scale, one.record.seed)):
            same = chosen.get(made.info.role)
            target = also if same and same[0].info.scale != made.info.scale else chosen
            target.setdefault(made.info.role, []).append(made)
        return Findings(chosen, {}, mini=False, also=also)


def judge(found: Findings | Made, how: Judge, origin: Literal["study", "ours"] = "study") -> ClaimResult:
    """The verdict on a claim made up for `how`."""
    claim = Claim("x", "comparison", "A statement.", "nowhere", "deepweeds", how, origin=origin)
    return judged(claim, found.findings() if isinstance(found, Made) else found)
