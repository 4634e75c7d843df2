"""The grid search of alpha, beta and gamma, by short trainings on the user's images (arXiv:1905.11946, section 3.3).

A small network of the family, the proxy, is scaled to twice its MACs in every direction of a grid, each network is
trained from scratch with several seeds, and val selects the direction. The study's claim that scaling one dimension
alone is worse is then judged on test, which selects nothing. Needs torch.
"""

from __future__ import annotations

import time
from pathlib import Path

from foray.errors import RunError
from foray.progress import SILENT, Progress
from foray.records import ScalingSearch, folder_lock
from foray.requests import Machine
from foray.runs.many import train_runs
from foray.runs.outcomes import outcomes_of
from foray.scaling.findings import conclude
from foray.scaling.search_plan import SearchPlan

SEARCH_FILE = "scaling_search.json"


def search(
    plan: SearchPlan,
    out: Path,
    machine: Machine = Machine(),
    *,
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
            raise RunError(f"{out} holds the search of other data, recipe or proxy. Choose another folder with `out`.")
        with progress.task("Scaling search", total=len(plan.specs()) * len(plan.seeds)) as task:
            trained = train_runs(
                plan.runs(), out, machine, finished=lambda run, _: task.advance(note=run.group), progress=progress
            )
        outcomes = outcomes_of(trained, out)
        found = conclude(plan, outcomes, trained.failures, command, time.perf_counter() - started)
        found.save(path)
    return found
