"""Runs on disk: training one or many into their folders, going on with one, scoring and using what came out."""

from foray.runs.classify import predict
from foray.runs.evaluate import evaluate
from foray.runs.run import train_run
from foray.runs.run_id import run_id
from foray.runs.train import resume, train
from foray.runs.trained import TrainedRun, load_run

__all__ = ["TrainedRun", "evaluate", "load_run", "predict", "resume", "run_id", "train", "train_run"]
