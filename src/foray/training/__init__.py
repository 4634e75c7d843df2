"""Training one network: the one loop, its optimisers, schedules and checkpoints, on one process or several."""

from foray.training.distributed import joined_processes
from foray.training.interruption import Interrupted
from foray.training.loop import TrainingFailedError
from foray.training.plan import SMALL_IMAGE_SIDE, RunPlan, plan_run, recipe_for

__all__ = [
    "SMALL_IMAGE_SIDE", "Interrupted", "RunPlan", "TrainingFailedError", "joined_processes", "plan_run", "recipe_for",
]  # fmt: skip
