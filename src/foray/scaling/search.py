"""The grid search of alpha, beta and gamma, by short trainings on the user's images (arXiv:1905.11946, section 3.3).

A small network of the family, the proxy, is scaled to twice its MACs in every direction of a grid, each network is
trained from scratch with several seeds, and val selects the direction. The study's claim that scaling one dimension
alone is worse is then judged on test, which selects nothing. Needs torch.
"""

from __future__ import annotations

import time
from pathlib import Path

from foray.comparison import ModelOutcome
from foray.errors import RunError
from foray.progress import SILENT, Progress
from foray.records import RunRecord, ScalingSearch, folder_lock
from foray.runs import run_id, train_run
from foray.scaling.findings import conclude
from foray.scaling.search_plan import SearchPlan
from foray.training import TrainingFailedError, plan_run

SEARCH_FILE = "scaling_search.json"


def search(
    plan: SearchPlan,
    out: Path,
    *,
    device: str = "auto",
    workers: int | None = None,
    cache_dir: Path | None = None,
    command: str = "",
    progress: Progress = SILENT,
) -> ScalingSearch:
    """Trains every network of `plan` and writes `out`/scaling_search.json.

    Finished runs found in `out` are used again and an interrupted one continues from its last epoch, so the same call
    resumes a search. Raises ForayError when `out` holds another search.
    """
    started = time.perf_counter()
    with folder_lock(out, what="search"):
        path = out / SEARCH_FILE
        if path.exists() and ScalingSearch.load(path).id != plan.key:
            raise RunError(f"{out} holds the search of other data, recipe or proxy. Choose another folder with --out.")
        outcomes: dict[str, ModelOutcome] = {}
        failures: dict[str, str] = {}
        with progress.task("Scaling search", total=len(plan.specs()) * len(plan.seeds)) as task:
            for spec in plan.specs():
                records: list[RunRecord] = []
                folders: list[Path] = []
                try:
                    for seed in plan.seeds:
                        run = plan_run(spec.name, plan.dataset, plan.recipe, seed=seed)
                        folder = out / "runs" / run_id(run, plan.dataset)
                        records.append(
                            train_run(
                                run,
                                plan.dataset,
                                folder,
                                device=device,
                                workers=workers,
                                cache_dir=cache_dir,
                                progress=progress,
                            )
                        )
                        folders.append(folder)
                        task.advance(note=spec.name)
                except TrainingFailedError as error:
                    failures[spec.name] = str(error)
                    progress.note(f"{spec.name} failed and is left out: {error}")
                    continue
                outcomes[spec.name] = ModelOutcome(spec.name, tuple(records), tuple(folders))
        found = conclude(plan, outcomes, failures, command, time.perf_counter() - started)
        found.save(path)
    return found
