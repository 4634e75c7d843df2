"""Runs on disk: training one into its folder, going on with it, scoring and using what came out."""

from foray.runs.api import evaluate, resume, run_id, train
from foray.runs.classify import predict
from foray.runs.run import train_run
from foray.runs.trained import TrainedRun, load_run

__all__ = ["TrainedRun", "evaluate", "load_run", "predict", "resume", "run_id", "train", "train_run"]
