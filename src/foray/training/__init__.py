"""Training one network: the one loop, its optimisers, schedules and checkpoints, on one process or several."""

from foray.training.interruption import Interrupted
from foray.training.loop import TrainingFailedError
from foray.training.plan import RunPlan, plan_run

__all__ = ["Interrupted", "RunPlan", "TrainingFailedError", "plan_run"]
