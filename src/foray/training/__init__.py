"""Training, evaluating and predicting: the one loop, the linear protocol on cached features, and runs on disk."""

from foray.deploy import Prediction
from foray.training.api import evaluate, resume, run_id, train
from foray.training.distributed import joined_processes
from foray.training.features import extract_features
from foray.training.interruption import Interrupted
from foray.training.loop import TrainingFailedError
from foray.training.metrics import compute_metrics
from foray.training.plan import SMALL_IMAGE_SIDE, RunPlan, plan_run, recipe_for
from foray.training.predict import predict
from foray.training.run import train_run
from foray.training.trained import TrainedRun, load_run

__all__ = [
    "SMALL_IMAGE_SIDE", "Interrupted", "Prediction", "RunPlan", "TrainedRun", "TrainingFailedError", "compute_metrics",
    "evaluate", "extract_features", "joined_processes", "load_run", "plan_run", "predict", "recipe_for", "resume",
    "run_id", "train", "train_run",
]  # fmt: skip
